// Which quarterdeck this is: the version of package.json, and the commit where it runs from a checkout.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))

/** `0.1.0`, or `0.1.0+3f2a91c` in a git checkout. Reads two small files; asks no other program. */
export function codeVersion(): string {
  const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string }
  const commit = checkedOutCommit()
  return commit === undefined ? version : `${version}+${commit.slice(0, 7)}`
}

function checkedOutCommit(): string | undefined {
  try {
    const head = readFileSync(`${root}.git/HEAD`, 'utf8').trim()
    if (!head.startsWith('ref: ')) return head
    return readFileSync(`${root}.git/${head.slice('ref: '.length)}`, 'utf8').trim()
  } catch {
    return undefined // not a checkout, or its references are packed: the version alone has to do
  }
}
