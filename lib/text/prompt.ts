// Fills the questions of data/prompts with the topics of a firm, and reads the names out of the answer.
// Transcript text is data that anybody may have spoken: it goes in as JSON that cannot end the block it stands in.
// Asking is lib/model; making names distinct when all has been said is names.ts.

import { UserError } from '../errors.ts'
import { readAlike } from './names.ts'

export type Prompt = { system: string; user: string }
export type TopicForNaming = { id: string | number; keywords: readonly string[]; sentences: readonly string[] }
export type ThemeForNaming = {
  id: string | number
  firms: number
  keywords: readonly string[]
  topics: readonly { name: string; summary: string }[]
}

const SYSTEM_MARKER = '=== system ==='
const USER_MARKER = '=== user ==='

/** A prompt from its file: a comment, a system part and a user part whose {{placeholders}} are filled with `values`. */
export function fillPrompt(template: string, values: Readonly<Record<string, string>>): Prompt {
  const lines = template.split(/\r?\n/)
  const system = lines.indexOf(SYSTEM_MARKER)
  const user = lines.indexOf(USER_MARKER)
  if (system < 0 || user < system) {
    throw new UserError(
      `The prompt cannot be used: it needs a line ${SYSTEM_MARKER} and after it a line ${USER_MARKER}`,
      'compare it with data/prompts/name-topics.md, or take that one',
    )
  }
  const unused = new Set(Object.keys(values))
  // One pass, so that a placeholder inside a transcript stays what it is.
  const filled = (part: string) =>
    part.replace(/\{\{(\w+)\}\}/g, (placeholder, name: string) => {
      unused.delete(name)
      if (Object.hasOwn(values, name)) return values[name]
      throw new UserError(
        `The prompt asks for ${placeholder}; what can be filled in is ${Object.keys(values).join(', ')}`,
        'take the placeholder out of the prompt file',
      )
    })
  const prompt = {
    system: filled(lines.slice(system + 1, user).join('\n')).trim(),
    user: filled(lines.slice(user + 1).join('\n')).trim(),
  }
  if (unused.size === 0) return prompt
  throw new UserError(
    `The prompt leaves out {{${[...unused].join('}}, {{')}}}`,
    'put it into the user part of the prompt file',
  )
}

// Some 70 words. In MAEC 2016Q4 99.6 % of the sentences are shorter (half of them under 96); the cut is for transcripts
// whose sentences were never split, where one "sentence" would cost more tokens than all topics of the firm.
const LONGEST_SENTENCE = 400

/** Topics as the JSON that stands for {{topics}}. */
export function topicsAsData(topics: readonly TopicForNaming[]): string {
  return asData(topics.map(({ id, keywords, sentences }) => ({ id, keywords, sentences: sentences.map(cut) })))
}

/** Themes as the JSON that stands for {{themes}}. */
export function themesAsData(themes: readonly ThemeForNaming[]): string {
  return asData(
    themes.map(({ id, firms, keywords, topics }) => ({
      id,
      firms,
      keywords,
      topics: topics.map(({ name, summary }) => ({ name: cut(name), summary: cut(summary) })),
    })),
  )
}

/**
 * Any value as JSON in which nothing can close the block around it: no < or > of a tag, no backtick of a fence, no
 * invisible or direction-changing character that hides what is said. A firm's name goes in this way too.
 */
export function asData(value: unknown): string {
  return JSON.stringify(value).replace(/[<>`]|[\p{Cc}\p{Cf}\u2028\u2029]/gu, character =>
    Array.from({ length: character.length }, (_, i) => unicodeEscape(character.charCodeAt(i))).join(''),
  )
}

function unicodeEscape(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`
}

/** At most 400 characters, ended at a word. */
function cut(sentence: string): string {
  if (sentence.length <= LONGEST_SENTENCE) return sentence
  const head = sentence.slice(0, LONGEST_SENTENCE - 1)
  // A single word of that length is cut where it is, but never between the two halves of a character.
  return `${/\s/.test(head) ? head.replace(/\s+\S*$/, '') : head.replace(/[\ud800-\udbff]$/, '')}…`
}

// Names fit a column and a heading; the prompts ask for six words, which is half of this.
const LONGEST_NAME = 80
// The prompts ask for one sentence of thirty words, some 200 characters; beyond twice that it is not a summary.
const LONGEST_SUMMARY = 500

const NAME_OF_ID = {
  type: 'object',
  properties: {
    id: { type: 'integer' },
    name: { type: 'string' },
    summary: { type: 'string' },
  },
  required: ['id', 'name', 'summary'],
  additionalProperties: false,
} as const

/** What the answer to name-topics.md must look like, as JSON Schema; lengths are checked here, not every server does. */
export const NAMES_SCHEMA = {
  type: 'object',
  properties: { topics: { type: 'array', items: NAME_OF_ID } },
  required: ['topics'],
  additionalProperties: false,
} as const

/** The same for name-themes.md. */
export const THEME_NAMES_SCHEMA = {
  type: 'object',
  properties: { themes: { type: 'array', items: NAME_OF_ID } },
  required: ['themes'],
  additionalProperties: false,
} as const

export type Naming = { name: string; summary: string }
export type ParsedNames = { good: Map<string, Naming>; bad: { id: string; reason: string }[] }

/**
 * Names out of an answer, by id, and what is wrong with the others: an id missing or twice, a name that cannot be
 * printed, names that read alike (all of them are bad, so that they go back together). Ids nobody asked for are dropped.
 */
export function parseNames(answer: unknown, ids: readonly string[]): ParsedNames {
  const entries = entriesOf(answer)
  const good = new Map<string, Naming>()
  const bad: ParsedNames['bad'] = []
  for (const id of ids) {
    const own = entries.filter(entry => String(entry.id) === id)
    const naming = own.length === 1 ? readNaming(own[0]) : own.length === 0 ? 'not in the answer' : 'named twice'
    if (typeof naming === 'string') bad.push({ id, reason: naming })
    else good.set(id, naming)
  }
  const idsOfName = new Map<string, string[]>()
  for (const [id, { name }] of good) {
    const alike = readAlike(name)
    idsOfName.set(alike, [...(idsOfName.get(alike) ?? []), id])
  }
  for (const alike of idsOfName.values()) {
    if (alike.length < 2) continue
    for (const id of alike) {
      const others = alike.filter(other => other !== id).join(', ')
      bad.push({ id, reason: `same name as ${others}: ${good.get(id)?.name}` })
    }
    for (const id of alike) good.delete(id)
  }
  return { good, bad }
}

function entriesOf(answer: unknown): Record<string, unknown>[] {
  const parsed = typeof answer === 'string' ? jsonOrNothing(answer) : answer
  if (!isRecord(parsed)) return []
  const list = Array.isArray(parsed.topics) ? parsed.topics : parsed.themes
  return Array.isArray(list) ? list.filter(isRecord) : []
}

function jsonOrNothing(text: string): unknown {
  try {
    // Servers that know no schema put a fence around it.
    return JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1))
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The name and summary of an entry, or why they cannot be used. */
function readNaming({ name, summary }: Record<string, unknown>): Naming | string {
  if (typeof name !== 'string') return 'the name is not text'
  const trimmed = name.trim()
  // Line breaks, and whatever else does not print.
  if (/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(trimmed)) return 'the name has a line break or a control character'
  if (readAlike(trimmed) === '') return 'the name is empty'
  if (trimmed.length > LONGEST_NAME)
    return `the name has ${trimmed.length} characters, at most ${LONGEST_NAME} are wanted`
  if (typeof summary !== 'string') return 'the summary is not text'
  const sentence = summary.replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim()
  if (readAlike(sentence) === '') return 'the summary is empty'
  if (sentence.length > LONGEST_SUMMARY) {
    return `the summary has ${sentence.length} characters, at most ${LONGEST_SUMMARY} are wanted`
  }
  return { name: trimmed, summary: sentence }
}
