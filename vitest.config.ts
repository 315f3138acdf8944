import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
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
        },
      },
      { test: { name: 'structure', include: ['test/structure/**/*.test.ts'] } },
    ],
  },
})
