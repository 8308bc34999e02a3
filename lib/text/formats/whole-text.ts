// A file that holds one call, read whole, and its lines.
// Here so that no format takes an endless file into memory. Leaves many-call files to records.ts and capital-iq.ts.

import { UserError } from '../../errors.ts'
import type { TextFile } from '../../files.ts'

// The longest calls come to 200,000 characters; a hundred times that is no single call but a collection.
const LONGEST_CALL = 20_000_000

export async function wholeText(file: TextFile): Promise<string> {
  let text = ''
  for await (const chunk of file.chunks()) {
    text += chunk
    if (text.length <= LONGEST_CALL) continue
    throw new UserError(
      `${file.name} is too long for one call: over ${LONGEST_CALL.toLocaleString('en-US')} characters`,
      'put each call into a file of its own, or use a format with many calls, such as JSONL',
    )
  }
  return text
}

/** Lines with their numbers, from 1; empty ones left out. */
export function numberedLines(text: string): { text: string; number: number }[] {
  return text
    .split(/\r\n|\n|\r/)
    .map((line, i) => ({ text: line, number: i + 1 }))
    .filter(line => line.text.trim() !== '')
}
