// The last line of a test run in plain words, which any program can read: `412 passed, 0 failed, 3 skipped`.

import type { Reporter, TestModule } from 'vitest/node'

export const plainSummary: Reporter = {
  onTestRunEnd(modules) {
    const tests = modules.flatMap(module => [...module.children.allTests()])
    const number = (state: string) => tests.filter(test => test.result().state === state).length
    // A file that cannot be loaded has no tests to fail, and must not go unseen.
    const broken = modules.filter((module: TestModule) => module.errors().length > 0).length
    process.stdout.write(
      `\n${number('passed')} passed, ${number('failed') + broken} failed, ${number('skipped')} skipped\n`,
    )
  },
}
