import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Those that take longest, in an order in which no two that start many processes come together. */
const LONG = [
  'browser/accessibility',
  'delivery/reroutes',
  'cli/embedded',
  'browser/second-factors',
  'faults/killed',
  'browser/enrolment',
  'db/start',
]

/** Begins with the long ones. Where no run is remembered the largest would come first, and the long ones, alone, last. */
class LongOnesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
      return place < 0 ? LONG.length : place
    }
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  test: {
    // One more than the cores of a small machine: many tests wait, for a process, a timer or a time-out. With two
    // more, statements come to their time limits.
    maxWorkers: 3,
    sequence: { sequencer: LongOnesFirst },
    projects: [
      {
        test: {
          name: 'behaviour',
          include: ['test/**/*.test.ts'],
          exclude: ['test/structure/**'],
          globalSetup: ['test/support/postgres.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          pool: 'forks',
          // Tests share nothing but modules, which are then read once a worker and not once a file.
          isolate: false,
        },
      },
      {
        test: {
          name: 'structure',
          include: ['test/structure/**/*.test.ts'],
          testTimeout: 30_000,
        },
      },
    ],
  },
})
