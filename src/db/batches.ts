/** Short enough for one statement's time-out, and for those who wait for the same rows. */
const ROWS = 2000

/**
 * Does something to all rows that need it, a batch at a time.
 * @param work does it to at most so many rows, and tells to how many
 * @returns to how many in all
 */
export async function inBatches(
  work: (most: number) => Promise<number>,
  most = ROWS,
): Promise<number> {
  for (let all = 0; ; ) {
    const done = await work(most)
    all += done
    if (done < most) return all
  }
}

/** How many rows a statement changed. */
export function changed({ numAffectedRows }: { numAffectedRows?: bigint | undefined }): number {
  return Number(numAffectedRows ?? 0n)
}
