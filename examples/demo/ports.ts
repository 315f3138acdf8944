import { createServer } from 'node:net'

/**
 * The wanted port if it is free, another one otherwise.
 * @param say told when it had to be another
 * @param taken ports promised to others
 */
export async function choosePort(
  wanted: number,
  say: (sentence: string) => void,
  taken: readonly number[] = [],
): Promise<number> {
  if (wanted > 0 && wanted < 65_536 && !taken.includes(wanted) && (await isFree(wanted))) {
    return wanted
  }
  const port = await listenOnce(0, '127.0.0.1')
  if (port === undefined) throw new Error('no free port was found')
  if (wanted > 0) say(`Port ${wanted} is taken; using ${port} instead.`)
  return port
}

/** Free on both addresses of localhost: a browser may take either. */
async function isFree(port: number): Promise<boolean> {
  return (
    (await listenOnce(port, '127.0.0.1')) !== undefined &&
    (await listenOnce(port, '::1')) !== undefined
  )
}

/** Listens for a moment; undefined when someone else does. */
function listenOnce(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined)
      // A machine without IPv6 has nobody listening there.
      else if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT') resolve(port)
      else reject(error)
    })
    probe.listen({ port, host, exclusive: true }, () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
    })
  })
}
