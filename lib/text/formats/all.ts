// The formats, in the order they are tried: the sure marks first, any text last.
// Here so that a new vendor is one file and one line. Leaves the marks to each format.

import { UsageError, UserError } from '../../errors.ts'
import type { TextFile } from '../../files.ts'
import type { Format } from '../transcript.ts'
import { capitalIq } from './capital-iq.ts'
import { earningsCall } from './earningscall.ts'
import { fmp } from './fmp.ts'
import { kurry } from './kurry.ts'
import { maec } from './maec.ts'
import { motleyFool } from './motley-fool.ts'
import { plainText } from './plain-text.ts'

export const FORMATS: readonly Format[] = [maec, motleyFool, earningsCall, kurry, fmp, capitalIq, plainText]

export const formatNames: readonly string[] = FORMATS.map(format => format.name)

/** The format of a file by its path and first 64 KB, or the one asked for by name. */
export async function formatOf(file: Pick<TextFile, 'name' | 'path' | 'head'>, forced?: string): Promise<Format> {
  if (forced !== undefined) {
    const format = FORMATS.find(({ name }) => name === forced)
    if (format) return format
    throw new UsageError(
      `no format is named ${JSON.stringify(forced)}; there are ${FORMATS.length}: ${formatNames.join(', ')}`,
      `--format ${formatNames[0]}`,
    )
  }
  const head = await file.head()
  const format = FORMATS.find(({ recognises }) => recognises(file.path, head))
  if (format) return format
  const known = FORMATS.map(({ name, about }) => `${name} (${about})`).join('; ')
  throw new UserError(
    `${file.name} looks like none of the ${FORMATS.length} formats: ${known}`,
    `if it is one of them after all, say which: --format ${formatNames[0]}`,
  )
}
