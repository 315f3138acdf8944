/** Calls a function for the first who asks, and gives everybody what it gave; but for a promise that is broken. */
export function once<T>(make: () => T): () => T {
  let made: { readonly it: T } | undefined
  return () => {
    if (made) return made.it
    const it = make()
    made = { it }
    if (it instanceof Promise) {
      it.catch(() => {
        made = undefined
      })
    }
    return it
  }
}
