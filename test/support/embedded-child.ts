import { setTimeout as pause } from 'node:timers/promises'
import { Pool } from 'pg'
import { openEmbedded } from '../../src/db/embedded.ts'

/**
 * A process beside the test that opens the embedded database of a directory. It says what it does in lines on
 * standard output, serves until its standard input ends, and then lets go of the database.
 *
 *     node embedded-child.ts <directory> [write <first number>]
 */
const [directory = '', task, first = '0'] = process.argv.slice(2)
const database = await openEmbedded(directory)
const pool = new Pool({ host: database.host, user: 'postgres', database: 'postgres', max: 1 })
pool.on('error', () => {})
await pool.query('create table if not exists written (number integer primary key, by integer)')
process.stdout.write('open\n')

let stopping = false
process.stdin.resume().once('end', () => {
  stopping = true
})
for (let number = Number(first); !stopping; number++) {
  if (task !== 'write') {
    await pause(20)
    continue
  }
  await pool.query('insert into written values ($1, $2)', [number, process.pid])
  process.stdout.write(`${number}\n`)
}
await pool.end()
await database.close()
