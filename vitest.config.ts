import { defineConfig } from 'vitest/config'

// `npm run test:long` sets it: test/long takes minutes, and has the machine to itself.
const long = process.env['TEST_LONG'] !== undefined

export default defineConfig({
  test: {
    include: long ? ['test/long/**/*.test.ts'] : ['test/**/*.test.ts'],
    exclude: long ? [] : ['test/long/**'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: long ? 600_000 : 15_000,
    hookTimeout: 30_000,
  },
})
