// The regression of docs/research.md, on the panel of the sample that ships, as a person runs it: the page says what it prints,
// and a dummy for every firm and theme gives the same coefficient and error.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exportTo } from '../../commands/export.ts'
import { connect, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { embeddedServer, type TestServer } from '../db/servers.ts'
import { bringQuarter } from '../ready-quarter.ts'
import { root } from '../run.ts'
import { hasPython, runPython } from '../tables/python.ts'

// The sandwich in full, with all columns: (X'X)^-1 (sum over firms of X'u u'X) (X'X)^-1. Dummies of firms, which lie within the
// clusters, cost no degree of freedom. Both were statsmodels' to twelve digits.
const WITH_DUMMIES = `
import sys
import numpy as np
import pandas as pd
panel = pd.read_parquet(sys.argv[1]).dropna(subset=["share_of_answers", "share_of_prepared"])
themes = pd.get_dummies(panel.theme_id, dtype=float)
X = np.column_stack([panel.share_of_prepared, themes, pd.get_dummies(panel.firm_id, dtype=float).iloc[:, 1:]])
y = panel.share_of_answers.to_numpy()
beta = np.linalg.lstsq(X, y)[0]
bread = np.linalg.inv(X.T @ X)
scores = pd.DataFrame(X * (y - X @ beta)[:, None]).groupby(panel.firm_id.to_numpy()).sum().to_numpy()
n, firms = len(panel), panel.firm_id.nunique()
correction = firms / (firms - 1) * (n - 1) / (n - 1 - themes.shape[1])
error = np.sqrt(correction * (bread @ scores.T @ scores @ bread)[0, 0])
print(f"coefficient {beta[0]:.3f}, error clustered by firm {error:.3f}")
`

describe.skipIf(!hasPython)('the regression of docs/research.md', () => {
  let server: TestServer
  let panel: string
  beforeAll(async () => {
    server = await embeddedServer()
    panel = join(server.settings.home, 'panel.parquet')
    const sql = await connect(server.settings)
    await migrate(sql)
    await bringQuarter(sql)
    await exportTo(sql, { what: 'panel', format: 'parquet', zeros: true, output: panel })
    await disconnect(sql)
  }, 240_000) // the first test file to ask computes the quarter
  afterAll(() => server.stop())

  it('prints on the sample what the page says', async () => {
    const printed = await runPython(join(root, 'docs/regression.py'), panel, 'share_of_answers', 'share_of_prepared')
    expect(readFileSync(join(root, 'docs/research.md'), 'utf8')).toContain(printed)
    expect(printed).toContain(await runPython('-c', WITH_DUMMIES, panel))
  }, 60_000)

  it('says when there is nothing to compare', async () => {
    const run = (...words: string[]) => runPython(join(root, 'docs/regression.py'), panel, ...words)
    await expect(run('share_of_call', 'novelty')).rejects.toThrow('nothing to compare in 0 rows')
    await expect(run('share_of_call', 'call_sentences')).rejects.toThrow('leave nothing to compare in 168 rows')
  }, 60_000)
})
