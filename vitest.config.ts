// How the tests run: one process a file, no watch; what needs long says so beside its test.
import { defineConfig } from 'vitest/config'
import { plainSummary } from './test/plain-summary.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', plainSummary],
    pool: 'forks',
    // Two files at a time: the machine that must pass has two cores, and each database test brings its own server. Three take
    // as long, and what waits for half a second of another program's begins to fail.
    maxWorkers: 2,
    // AWS's SDK says in seven lines of each test file that it will want a later Node in 2027.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
