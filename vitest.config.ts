import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // One more than the cores of a small machine: many tests wait, for a process, a timer or a time-out. With two
    // more, statements come to their time limits.
    maxWorkers: 3,
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
