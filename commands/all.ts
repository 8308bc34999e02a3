// Every command, in pipeline order first: the help page and docs/commands.md show them so.

import { command as aggregate } from './aggregate.ts'
import { command as buildIndex } from './build-index.ts'
import { command as clusterFirm } from './cluster-firm.ts'
import { command as dbBackup } from './db-backup.ts'
import { command as dbCheck } from './db-check.ts'
import { command as dbRestore } from './db-restore.ts'
import { command as dbStart } from './db-start.ts'
import { command as dbStop } from './db-stop.ts'
import { command as dropQuarter } from './drop-quarter.ts'
import { command as embed } from './embed.ts'
import { command as evaluate } from './eval.ts'
import { command as exportTables } from './export.ts'
import { command as ingest } from './ingest.ts'
import { command as lineage } from './lineage.ts'
import { command as models } from './models.ts'
import { command as nameTopics } from './name-topics.ts'
import { command as novelty } from './novelty.ts'
import { command as plan } from './plan.ts'
import { command as report } from './report.ts'
import { command as search } from './search.ts'
import { command as sql } from './sql.ts'
import { command as status } from './status.ts'
import { command as themes } from './themes.ts'
import { command as trends } from './trends.ts'

export const commands = [
  ingest,
  embed,
  clusterFirm,
  nameTopics,
  aggregate,
  buildIndex,
  novelty,
  lineage,
  themes,
  trends,
  report,
  exportTables,
  evaluate,
  search,
  sql,
  status,
  models,
  plan,
  dbCheck,
  dropQuarter,
  dbStart,
  dbStop,
  dbBackup,
  dbRestore,
]
