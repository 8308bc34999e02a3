// Fills the questions of data/prompts with the topics of a firm, and reads the names out of the answer.
// Transcript text is data that anybody may have spoken: it goes in as JSON that cannot end the block it stands in.
// What is asked, and how often, is naming.ts; asking is lib/model.

import { UserError } from '../errors.ts'
import { readAlike } from './names.ts'

export type Prompt = { system: string; user: string }
/** A name that was given and cannot be used, and why. */
export type Refused = { name: string; reason: string }
export type TopicForNaming = {
  id: number
  keywords: readonly string[]
  sentences: readonly string[]
  refused?: Refused | undefined
}
export type ThemeForNaming = {
  id: number
  firms: number
  keywords: readonly string[]
  topics: readonly { firm: string; name: string; summary: string }[]
  refused?: Refused | undefined
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
  return asData(
    topics.map(({ id, keywords, sentences, refused }) => ({ id, keywords, sentences: sentences.map(cut), refused })),
  )
}

/** Themes as the JSON that stands for {{themes}}. */
export function themesAsData(themes: readonly ThemeForNaming[]): string {
  return asData(
    themes.map(({ id, firms, keywords, topics, refused }) => ({
      id,
      firms,
      keywords,
      topics: topics.map(({ firm, name, summary }) => ({ firm, name: cut(name), summary: cut(summary) })),
      refused,
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
export type ParsedNames = { good: Map<string, Naming>; bad: ({ id: string } & Refused)[] }

/**
 * Names out of an answer, by id, and what is wrong with the others: an id missing or twice, a name that cannot be
 * printed. Ids nobody asked for are dropped. Whether names are distinct is for the caller to see, who knows them all.
 */
export function parseNames(answer: unknown, ids: readonly string[]): ParsedNames {
  const entries = entriesOf(answer)
  const good = new Map<string, Naming>()
  const bad: ParsedNames['bad'] = []
  for (const id of ids) {
    const own = entries.filter(entry => String(entry.id) === id)
    const naming = own.length === 1 ? readNaming(own[0]) : own.length === 0 ? 'not in the answer' : 'named twice'
    if (typeof naming !== 'string') good.set(id, naming)
    else
      bad.push({ id, name: typeof own[0]?.name === 'string' ? own[0].name.slice(0, LONGEST_NAME) : '', reason: naming })
  }
  return { good, bad }
}

function entriesOf(answer: unknown): Record<string, unknown>[] {
  if (!isRecord(answer)) return []
  const list = Array.isArray(answer.topics) ? answer.topics : answer.themes
  return Array.isArray(list) ? list.filter(isRecord) : []
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The name and summary of an entry, or why they cannot be used. */
function readNaming({ name, summary }: Record<string, unknown>): Naming | string {
  if (typeof name !== 'string') return 'the name is not text'
  if (typeof summary !== 'string') return 'the summary is not text'
  // Full-width and other twins of a letter are that letter; quotation marks around it and a full stop are not wanted.
  const plain = name
    .normalize('NFKC')
    .trim()
    .replace(/^["'“‘«](.*)["'”’»]$/u, '$1')
    .replace(/(?<=\p{Ll}{2})\.$/u, '') // but not that of "U.S."
  const sentence = summary
    .normalize('NFKC')
    .replace(/[\s\p{C}\p{Default_Ignorable_Code_Point}]+/gu, ' ')
    .trim()
  return (
    faultOf('name', plain, LONGEST_NAME) ??
    faultOf('summary', sentence, LONGEST_SUMMARY) ?? { name: plain, summary: sentence }
  )
}

/** Why a text does not belong into a table, a terminal or a spreadsheet; undefined where it does. */
function faultOf(what: string, text: string, longest: number): string | undefined {
  if (readAlike(text) === '') return `the ${what} is empty`
  if (text.length > longest) return `the ${what} has ${text.length} characters, at most ${longest} are wanted`
  // Line breaks, and whatever else does not print.
  if (/[\p{C}\p{Default_Ignorable_Code_Point}\u2028\u2029]/u.test(text))
    return `the ${what} has a line break or an invisible character`
  // A spreadsheet takes what begins with one of =+-@ for a formula.
  if (!/^["'“‘]?[\p{L}\p{N}$€£]/u.test(text)) return `the ${what} does not begin with a letter or a figure`
  if (/:\/\/|[[\]{}<>|`]/.test(text)) return `the ${what} has an address or marks in it`
  return undefined
}
