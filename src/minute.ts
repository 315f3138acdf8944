/** A moment as people read it, in a mail or on a page of the console: `2026-01-31 12:05 UTC`. */
export function minuteText(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
