/**
 * Has Node collect its garbage in full, which takes it some 100 ms. A start leaves 70 MB behind that a process with
 * little to do would keep for good: the young generation has grown by then, and nothing else makes it shrink. It grows
 * again where there is much to do.
 */
export async function giveBackStartMemory(): Promise<void> {
  // Not every Node is built with it.
  const { Session } = await import('node:inspector/promises')
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.collectGarbage')
  session.disconnect()
}
