// The sample quarter 2024Q3, computed once for all test files and brought into any database by a restore: a second instead of the
// ten that the steps take. For tests of what comes after the steps; the steps themselves are tested by running them.

import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { backUp } from '../lib/db/backup.ts'
import { openBackup } from '../lib/db/backup-file.ts'
import { restore } from '../lib/db/backup-restore.ts'
import { connect, type Database, disconnect } from '../lib/db/connect.ts'
import { migrate } from '../lib/db/migrate.ts'
import { compute, stepsOf } from './compute.ts'
import { embeddedServer } from './db/servers.ts'
import { root } from './run.ts'

export const QUARTER = '2024Q3'

// Settled before a test moves its scratch folders to another disk (TMPDIR): nothing is renamed across disks.
const FOLDER = tmpdir()

/** What the rows depend on: whoever changes any of it gets them computed anew. */
function contentsHash(): string {
  const hash = createHash('sha256')
  for (const folder of ['bin', 'commands', 'lib', 'sql', 'data'])
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const file = join(entry.parentPath, entry.name)
      hash.update(file).update(readFileSync(file))
    }
  return hash.digest('hex').slice(0, 16)
}

async function backupFile(): Promise<string> {
  const file = join(FOLDER, `quarterdeck-test-${QUARTER}-${process.getuid?.() ?? 0}-${contentsHash()}.backup`)
  if (existsSync(file)) return file
  const scratch = mkdtempSync(join(FOLDER, 'quarterdeck-test-'))
  const server = await embeddedServer()
  const sql = await connect(server.settings)
  try {
    await migrate(sql)
    await compute(sql, QUARTER)
    await backUp(sql, join(scratch, 'backup'))
  } finally {
    await disconnect(sql)
    await server.stop()
  }
  renameSync(join(scratch, 'backup'), file) // two test files at once make the same rows, and the second takes the place of the first
  rmSync(scratch, { recursive: true })
  return file
}

/** Brings the quarter into a database that has its tables: every step done, with its indexes, novelty and lineage. */
export async function bringQuarter(sql: Database): Promise<void> {
  const backup = await openBackup(await backupFile())
  try {
    await restore(sql, backup)
  } finally {
    await backup.close()
  }
  const { index, novelty, lineage } = stepsOf(QUARTER)
  for (const step of [index, novelty, lineage]) await step(sql)
}
