// Makes names out of keywords, as a person would write them: "Memory pricing and inventory", not pricing_memory_inventory.
// Used where no language model is asked, and where its names clash. Finding the keywords is keywords.ts.

import { sameStem } from './keywords.ts'

// Three terms: two are often one thing said twice, four are a list. Sixty characters fit a column of a table.
const MOST_TERMS = 3
const MOST_CHARACTERS = 60

/** A name for a topic or theme from its keywords, best first: two or three of them that do not repeat one another. */
export function keywordName(keywords: readonly string[]): string {
  const terms: string[] = []
  for (const keyword of keywords) {
    if (terms.length === MOST_TERMS) break
    if (overlaps(keyword, terms) || listed([...terms, keyword]).length > MOST_CHARACTERS) continue
    terms.push(keyword)
  }
  if (terms.length > 0) return sentenceCase(listed(terms))
  return keywords.length === 0 ? 'Various remarks' : sentenceCase(cut(keywords[0]))
}

/**
 * The same names, made distinct: of two that read alike, the later one takes its next keyword in parentheses.
 * A number comes last, where the keywords are used up: two topics of the very same words.
 */
export function uniqueNames(topics: readonly { name: string; keywords: readonly string[] }[]): string[] {
  // Names that stay as they are go first, so that none of them is taken by a name that has to change.
  const taken = new Set(topics.map(({ name }) => readAlike(name)))
  const seen = new Set<string>()
  return topics.map(({ name, keywords }) => {
    if (!seen.has(readAlike(name))) {
      seen.add(readAlike(name))
      return name
    }
    const longer = keywords.filter(keyword => !overlaps(keyword, [name])).map(keyword => `${name} (${keyword})`)
    for (let number = 2; number <= topics.length + 1; number++) longer.push(`${name} (${number})`)
    const free = longer.find(candidate => !taken.has(readAlike(candidate))) ?? name
    taken.add(readAlike(free))
    return free
  })
}

/** What two names have in common when a reader takes them for the same: letters and figures, whatever their case. */
export function readAlike(name: string): string {
  return (
    name
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu)
      ?.join(' ') ?? ''
  )
}

/**
 * The text that stands for a topic named by its keywords when themes are looked for: the bare list. On 1,068 topics of
 * 2016Q4 it neither collapses (17 to 20 themes, the largest 6 to 9 %) nor does a frame help: with "This topic is about"
 * before it, 43 to 56 % of the topics are in no theme instead of 39 to 51 %. The name alone leaves out least (33 to 45 %).
 */
export function keywordSummary(keywords: readonly string[]): string {
  return keywords.length === 0 ? '' : `${sentenceCase(keywords.join(', '))}.`
}

function overlaps(keyword: string, terms: readonly string[]): boolean {
  const words = wordsIn(keyword)
  return terms.flatMap(wordsIn).some(taken => words.some(word => sameStem(word, taken)))
}

function wordsIn(term: string): string[] {
  return readAlike(term)
    .split(' ')
    .filter(word => word !== 'of' && word !== 'on' && word !== 'and')
}

/** A, b and c; with a comma before the "and" where a term has one itself: corn and soybeans, and currency. */
function listed(terms: readonly string[]): string {
  if (terms.length < 2) return terms.join('')
  const last = terms[terms.length - 1]
  const before = terms.slice(0, -1)
  const comma = before.length > 1 && terms.some(term => term.includes(' and ')) ? ',' : ''
  return `${before.join(', ')}${comma} and ${last}`
}

/** A capital at the front, unless the first word has its own way: eBay, iPhone, go90. */
function sentenceCase(text: string): string {
  const first = text.split(/[ ,]/, 1)[0]
  return /\p{Lu}|\p{N}/u.test(first) ? text : text.charAt(0).toUpperCase() + text.slice(1)
}

function cut(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1).trimEnd()}…`
}
