// The file that a Prometheus textfile collector reads while a command runs: always whole, never half written.
// A folder that takes no file is refused at once, before hours of work; what fails later is said once and costs figures.

import { open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { messageOf, UserError } from './errors.ts'
import { warn } from './log.ts'

export type MetricsFile = {
  /** Puts a text in the place of the one before. Never rejects. */
  write(text: string): Promise<void>
}

export async function openMetricsFile(path: string): Promise<MetricsFile> {
  const file = resolve(path)
  // In the same folder, or the renaming would be a copy; not ending in .prom, or the collector would read it as well.
  const unfinished = join(dirname(file), `.${basename(file)}.${process.pid}`)
  let said = false
  let last: Promise<void> = Promise.resolve()

  async function replace(text: string): Promise<void> {
    try {
      await fill(unfinished, text)
      await rename(unfinished, file)
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => {})
      if (!said) warn(`${path} cannot be written (${messageOf(error)}): the figures in it are old; all else goes on`)
      said = true
    }
  }

  const there = await stat(file).catch(() => undefined)
  if (there?.isDirectory())
    throw new UserError(
      `the metrics file ${path} is a folder`,
      `name a file in it: --metrics-file ${join(path, 'quarterdeck.prom')}`,
    )
  try {
    await fill(unfinished, '')
    await rm(unfinished)
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new UserError(
      missing
        ? `the metrics file ${path} cannot be written: there is no folder ${dirname(file)}`
        : `the metrics file ${path} cannot be written: ${messageOf(error)}`,
      missing ? `make it: mkdir -p ${dirname(file)}` : `look at who may write there: ls -ld ${dirname(file)}`,
      { cause: error },
    )
  }
  return {
    // One after the other: two at once would write into the same unfinished file.
    write(text) {
      last = last.then(() => replace(text))
      return last
    },
  }
}

async function fill(path: string, text: string): Promise<void> {
  const handle = await open(path, 'w')
  try {
    await handle.writeFile(text)
    await handle.chmod(0o644) // the collector is another user's process, and a system's default may keep it out
  } finally {
    await handle.close()
  }
}
