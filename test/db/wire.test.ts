import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { PGlite } from '@electric-sql/pglite'
import { Client, Pool } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { serveWire } from '../../src/db/wire.ts'
import { burst } from '../support/flow.ts'

const TRANSACTION_LIMIT_MS = 600
const directory = mkdtempSync(join(tmpdir(), 'sallyport-wire-'))
const address = { host: directory, user: 'postgres', database: 'postgres' }
let database: PGlite
let wire: Awaited<ReturnType<typeof serveWire>>
const pools: Pool[] = []

/** Nothing here takes long, unless the machine is busy with all other tests; what hangs is given up. */
function newPool(max = 8): Pool {
  const pool = new Pool({ ...address, max, query_timeout: 20_000 })
  pool.on('error', () => {})
  pools.push(pool)
  return pool
}

beforeAll(async () => {
  database = await PGlite.create()
  wire = await serveWire(database, join(directory, '.s.PGSQL.5432'), TRANSACTION_LIMIT_MS)
})
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end()))
})
afterAll(async () => {
  await wire.close()
  await database.close()
  rmSync(directory, { recursive: true, force: true })
})

describe('statements of many connections', () => {
  test('never get each other’s parameters or results', async () => {
    const many = [newPool(), newPool(), newPool()]
    const answers = await burst(600, async (i) => {
      // Different shapes, so that a plan or a row of another statement would show.
      const [sql, expected] =
        i % 3 === 0
          ? ['select $1::int as a', { a: i }]
          : i % 3 === 1
            ? ["select $1::int as b, 'text' as c", { b: i, c: 'text' }]
            : ['select $1::int + 1 as d from generate_series(1, 1)', { d: i + 1 }]
      const { rows } = (await many[i % many.length]?.query(String(sql), [i])) ?? { rows: [] }
      return { rows, expected }
    })
    for (const { rows, expected } of answers) expect(rows).toEqual([expected])
  })

  test('wait while another has a transaction open, and see none of it', async () => {
    const pool = newPool()
    await pool.query('create table tally (n integer)')
    await burst(20, async (i) => {
      const client = await pool.connect()
      await client.query('begin')
      const before = await client.query('select count(*)::int as n from tally')
      await client.query('insert into tally values ($1)', [i])
      await pause(i % 3)
      const after = await client.query('select count(*)::int as n from tally')
      expect(after.rows[0].n).toBe(before.rows[0].n + 1)
      await client.query(i % 2 ? 'rollback' : 'commit')
      client.release()
    })
    expect((await pool.query('select count(*)::int as n from tally')).rows).toEqual([{ n: 10 }])
  })

  test('are not held up by an error: the connection goes on, a failed transaction too', async () => {
    const pool = newPool(1)
    await pool.query('create table once (id integer primary key)')
    for (let i = 0; i < 3; i++) {
      await expect(pool.query('selec $1', [1])).rejects.toMatchObject({ code: '42601' })
      await expect(pool.query('selec')).rejects.toMatchObject({ code: '42601' })
      await pool.query('insert into once values ($1)', [i])
      await expect(pool.query('insert into once values ($1)', [i])).rejects.toMatchObject({
        code: '23505',
      })
      await expect(pool.query('select $1::int', ['x'])).rejects.toMatchObject({ code: '22P02' })
    }
    const client = await pool.connect()
    await client.query('begin')
    await client.query('insert into once values (9)')
    await expect(client.query('select 1 / $1::int', [0])).rejects.toMatchObject({ code: '22012' })
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' })
    await client.query('rollback')
    client.release()
    expect((await pool.query('select count(*)::int as n from once')).rows).toEqual([{ n: 3 }])
  })

  test('may carry several megabytes there and back', async () => {
    const pool = newPool(3)
    await burst(3, async (i) => {
      const sent = Buffer.alloc(4_000_000 + i, i + 1)
      const { rows } = await pool.query('select $1::bytea as echo, length($1::bytea) as n', [sent])
      expect(rows[0].n).toBe(sent.length)
      expect(sent.equals(rows[0].echo)).toBe(true)
    })
    const { rows } = await pool.query(
      "select i, repeat('x', 1000) as filler from generate_series(1, 5000) i",
    )
    expect(rows.length).toBe(5000)
    expect(rows.at(-1).i).toBe(5000)
  })
})

describe('a connection', () => {
  test('may send its bytes one by one, or several queries in one piece', async () => {
    const socket = connect(join(directory, '.s.PGSQL.5432'))
    const heard = collect(socket)
    const bytes = Buffer.concat([startup(), query("select 'one by one'")])
    for (const byte of bytes) {
      socket.write(Buffer.from([byte]))
      await pause(0)
    }
    await heard.until('one by one')
    socket.write(Buffer.concat([query("select 'fir' || 'st'"), query("select 'sec' || 'ond'")]))
    await heard.until('second')
    expect(heard.text()).toContain('first')
    socket.destroy()
  })

  test('that dies inside a transaction is rolled back, and the others go on', async () => {
    const pool = newPool()
    await pool.query('create table fate (n integer)')
    const socket = connect(join(directory, '.s.PGSQL.5432'))
    const heard = collect(socket)
    socket.write(Buffer.concat([startup(), query('begin; insert into fate values (1)')]))
    await heard.until('INSERT 0 1')
    socket.destroy()
    expect((await pool.query('select * from fate')).rows).toEqual([])
    await pool.query('insert into fate values (2)')
  })

  test('that dies while it begins a transaction holds nobody up', async () => {
    const pool = newPool()
    for (let i = 0; i < 20; i++) {
      const socket = connect(join(directory, '.s.PGSQL.5432'))
      socket.on('error', () => {})
      socket.write(Buffer.concat([startup(), query('begin')]))
      if (i % 2) await pause(i % 5)
      else await new Promise((sent) => socket.write('', sent))
      socket.destroy()
    }
    const began = performance.now()
    for (let i = 0; i < 5; i++) await pool.query('select 1')
    expect(performance.now() - began).toBeLessThan(1000)
  })

  test('that sends rubbish is cut off, and the others go on', async () => {
    const pool = newPool()
    for (const rubbish of [
      Buffer.from('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
      Buffer.from([0, 0, 0, 0, 0, 0, 0, 0]),
      Buffer.concat([startup(), Buffer.from([0x51, 0x80, 0, 0, 0, 1, 2, 3])]),
      Buffer.concat([startup(), Buffer.from([0x51, 0, 0, 0, 0, 1, 2, 3])]),
    ]) {
      const socket = connect(join(directory, '.s.PGSQL.5432'))
      socket.on('error', () => {})
      socket.resume()
      const closed = new Promise((done) => socket.once('close', () => done('closed')))
      socket.write(rubbish)
      expect(await Promise.race([closed, pause(1000)])).toBe('closed')
      expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    }
  })

  test('that leaves its transaction open for too long is ended', async () => {
    const pool = newPool()
    await pool.query('create table idle (n integer)')
    const client = new Client(address)
    const ended = new Promise((resolve) => client.once('error', resolve))
    await client.connect()
    await client.query('begin')
    await client.query('insert into idle values (1)')
    const began = performance.now()
    expect((await pool.query('select * from idle')).rows).toEqual([])
    expect(performance.now() - began).toBeGreaterThan(TRANSACTION_LIMIT_MS * 0.8)
    expect(await ended).toBeInstanceOf(Error)
  })

  test('is served to the end of its statement when the database closes', async () => {
    const own = mkdtempSync(join(tmpdir(), 'sallyport-wire-'))
    const path = join(own, '.s.PGSQL.5432')
    const another = await serveWire(database, path, TRANSACTION_LIMIT_MS)
    const client = new Client({ ...address, host: own })
    client.on('error', () => {})
    await client.connect()
    const answer = client.query('select count(*)::int as n from generate_series(1, 300000)')
    await pause(20)
    await another.close()
    expect((await answer).rows).toEqual([{ n: 300_000 }])
    rmSync(own, { recursive: true, force: true })
  })
})

function startup(): Buffer {
  const body = Buffer.from('user\0postgres\0database\0postgres\0\0')
  const head = Buffer.alloc(8)
  head.writeInt32BE(body.length + 8, 0)
  head.writeInt32BE(196_608, 4)
  return Buffer.concat([head, body])
}

function query(text: string): Buffer {
  const head = Buffer.from([0x51, 0, 0, 0, 0])
  head.writeInt32BE(Buffer.byteLength(text) + 5, 1)
  return Buffer.concat([head, Buffer.from(`${text}\0`)])
}

function collect(socket: Socket) {
  let heard = ''
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1')
  })
  return {
    text: () => heard,
    async until(text: string): Promise<void> {
      for (let i = 0; i < 200 && !heard.includes(text); i++) await pause(10)
      expect(heard).toContain(text)
    },
  }
}
