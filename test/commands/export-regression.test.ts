// The regression of docs/research.md, on the panel of the sample that ships, as a person runs it: the page says what it prints,
// and statsmodels finds the same coefficient with a dummy for every firm and theme.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root, STEPS, scratchHome, stepWords, succeed } from '../run.ts'
import { hasPython, runPython } from '../tables/python.ts'

const WITH_DUMMIES = `
import sys
import pandas as pd
import statsmodels.formula.api as smf
panel = pd.read_parquet(sys.argv[1]).dropna(subset=["share_of_answers", "share_of_prepared"])
print(smf.ols("share_of_answers ~ share_of_prepared + C(firm_id) + C(theme_id)", panel).fit().params["share_of_prepared"])
`

describe.skipIf(!hasPython)('the regression of docs/research.md', () => {
  const { home, remove } = scratchHome()
  const panel = join(home, 'panel.parquet')
  beforeAll(async () => {
    for (const verb of STEPS.filter(step => step !== 'index')) await succeed(stepWords(verb, '2024Q3'), { home })
    await succeed(['export', '--zeros', '--output', panel], { home })
  }, 120_000)
  afterAll(remove)

  it('prints on the sample what the page says', async () => {
    const printed = await runPython(join(root, 'docs/regression.py'), panel, 'share_of_answers', 'share_of_prepared')
    expect(readFileSync(join(root, 'docs/research.md'), 'utf8')).toContain(printed)
    const coefficient = Number(/coefficient ([-\d.]+)/.exec(printed)?.[1])
    expect(coefficient).toBeCloseTo(Number(await runPython('-c', WITH_DUMMIES, panel)), 3)
  }, 60_000)

  it('says when there is nothing to compare', async () => {
    await expect(runPython(join(root, 'docs/regression.py'), panel, 'share_of_call', 'novelty')).rejects.toThrow(
      'nothing to compare in 0 rows',
    )
  }, 60_000)
})
