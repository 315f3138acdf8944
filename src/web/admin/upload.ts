import { Writable } from 'node:stream'
import type { Context } from 'koa'
import { HttpMethodEnum, koaBody } from 'koa-body'
import { Refusal } from '../../errors.ts'

/** Longest field beside the file. */
const FIELD_BYTES = 4096

/**
 * Reads a form with one file, and hands the file over in pieces as it comes, so that it is never whole in memory
 * nor on a disk.
 * @param most bytes of the file
 * @throws Refusal when it is no such form, or too long; whatever `take` throws
 */
export async function readUpload(
  ctx: Context,
  { most, piece, take }: { most: number; piece: number; take: (bytes: Buffer) => Promise<void> },
): Promise<void> {
  if (!ctx.is('multipart/form-data')) {
    throw new Refusal('content_type', 415, 'Send the file by the form of this page.')
  }
  let thrown: unknown
  const read = koaBody({
    multipart: true,
    urlencoded: false,
    json: false,
    text: false,
    parsedMethods: [HttpMethodEnum.POST],
    formidable: {
      maxFiles: 1,
      maxFileSize: most,
      maxFields: 4,
      maxFieldsSize: FIELD_BYTES,
      allowEmptyFiles: false,
      fileWriteStreamHandler: () => inPieces(piece, take, (error) => (thrown = error)),
    },
    onError(error) {
      thrown ??= error
    },
  })
  await read(ctx, async () => {})
  if (thrown instanceof Refusal) throw thrown
  if (thrown !== undefined) {
    const sentence = `The file couldn’t be read: it is empty, was broken off, or has more than ${most / 1024 / 1024} MB.`
    throw new Refusal('upload', 400, sentence)
  }
}

/** Gathers what comes into pieces of the same size. */
function inPieces(
  size: number,
  take: (bytes: Buffer) => Promise<void>,
  failed: (error: unknown) => void,
): Writable {
  let held: Buffer[] = []
  let length = 0

  async function handOver(all: boolean): Promise<void> {
    while (length >= size || (all && length > 0)) {
      const whole = Buffer.concat(held)
      await take(whole.subarray(0, size))
      const rest = whole.subarray(size)
      held = rest.length > 0 ? [rest] : []
      length = rest.length
    }
  }
  const done = (work: Promise<void>, callback: (error?: Error) => void) =>
    work.then(
      () => callback(),
      (error: unknown) => {
        failed(error)
        callback(error instanceof Error ? error : new Error('not taken'))
      },
    )

  return new Writable({
    write(chunk: Buffer, _encoding, callback) {
      held.push(chunk)
      length += chunk.length
      done(handOver(false), callback)
    },
    final: (callback) => void done(handOver(true), callback),
  })
}
