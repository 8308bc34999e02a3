// The prompts as data: two messages apart from the explanation, and every placeholder explained.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

describe.each([
  ['name-topics.md', ['quarter', 'firm', 'taken', 'topics']],
  ['name-themes.md', ['quarter', 'taken', 'themes']],
])('%s', (file, placeholders) => {
  const text = readFileSync(new URL(`../../data/prompts/${file}`, import.meta.url), 'utf8')
  const parts = text.split(/^=== (?:system|user) ===$/m)

  it('has an explanation, a system part and a user part', () => {
    expect(parts).toHaveLength(3)
    expect(text.match(/^=== .* ===$/gm)).toEqual(['=== system ===', '=== user ==='])
  })

  it('explains exactly the placeholders that the user part has, and the system part has none', () => {
    const [header, system, user] = parts
    expect([...user.matchAll(/\{\{(\w+)\}\}/g)].map(match => match[1])).toEqual(placeholders)
    expect([...new Set([...header.matchAll(/^ {2}\{\{(\w+)\}\}/gm)].map(match => match[1]))]).toEqual(placeholders)
    expect(system).not.toContain('{{')
  })

  it('keeps what was said, and names made of it, inside the data block', () => {
    const outside = parts[2].replace(/<data>\n\{("\w+": \{\{\w+\}\}(, )?)+\}\n<\/data>/, '')
    expect(outside.match(/\{\{\w+\}\}/g)).toEqual(['{{quarter}}'])
  })
})
