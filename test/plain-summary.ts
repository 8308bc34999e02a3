// The last line of a test run in plain words, which any program can read: `412 passed, 0 failed, 3 skipped`.

import type { Reporter, TestModule } from 'vitest/node'

export const plainSummary: Reporter = {
  onTestRunEnd(modules, unhandledErrors) {
    const tests = modules.flatMap(module => [...module.children.allTests()])
    const number = (state: string) => tests.filter(test => test.result().state === state).length
    // A file that cannot be loaded, and an error outside of every test, have no test to fail, and must not go unseen.
    const broken = modules.filter((module: TestModule) => module.errors().length > 0).length
    process.stdout.write(
      `\n${number('passed')} passed, ${number('failed') + broken + unhandledErrors.length} failed, ${number('skipped')} skipped\n`,
    )
  },
}
