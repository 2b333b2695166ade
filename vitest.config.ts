import { defineConfig } from 'vitest/config'

// `npm run test:long` sets it: test/long takes minutes, and has the machine to itself.
const long = process.env['TEST_LONG'] !== undefined

/** Tests of how long something takes, or of how often it happens in a time: nothing runs beside them. */
const TIMED = [
  'test/demo/**/*.test.ts',
  'test/faults/**/*.test.ts',
  'test/interop/**/*.test.ts',
  'test/real/**/*.test.ts',
]

const common = { globalSetup: ['test/support/global-setup.ts'], hookTimeout: 30_000 }

export default defineConfig({
  test: long
    ? { ...common, include: ['test/long/**/*.test.ts'], testTimeout: 600_000 }
    : {
        projects: [
          {
            test: {
              ...common,
              name: 'beside each other',
              include: ['test/**/*.test.ts'],
              exclude: [...TIMED, 'test/long/**'],
              testTimeout: 15_000,
              maxWorkers: 2,
              sequence: { groupOrder: 0 },
            },
          },
          {
            test: {
              ...common,
              name: 'alone',
              include: TIMED,
              testTimeout: 15_000,
              maxWorkers: 1,
              sequence: { groupOrder: 1 },
            },
          },
        ],
      },
})
