import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // Two more than the cores of a small machine: many tests wait, for a process, a timer or a time-out.
    maxWorkers: 4,
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
      { test: { name: 'structure', include: ['test/structure/**/*.test.ts'] } },
    ],
  },
})
