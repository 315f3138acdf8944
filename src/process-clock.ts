/**
 * Sets the clock of this process, which then goes on by itself: a machine whose clock is set anew, or was wrong from
 * the start, tells it nothing any more. What asks for a new `Date` without a time still hears the machine's; those
 * are the stamps of log lines, and of what the simulated phone shows.
 *
 * The provider asks `Date.now()` wherever it judges an age or writes an expiry, and takes no other clock.
 *
 * @param ms since 1970
 */
export function setProcessClock(ms: number): void {
  const at = performance.now()
  Date.now = () => Math.floor(ms + performance.now() - at)
}
