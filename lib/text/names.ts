// Makes names out of keywords, as a person would write them: "Memory pricing and inventory", not pricing_memory_inventory.
// Used where no language model is asked, and where its names clash. Finding the keywords is keywords.ts.

import { sameStem } from './keywords.ts'
import { isPlainPhrase, LINKS, namesAlone } from './terms.ts'

// One phrase or two terms: of three, the last was noise in most of the topics read, and three are a list, not a name.
const MOST_TERMS = 2
// Sixty characters fit a column of a table.
const MOST_CHARACTERS = 60
// How many places later in the list a term may stand and still go first: a phrase tells more than a word (interest expense
// before rates) unless a word of it is vague (new restaurants), and a word that any firm may say of anything tells least.
// Read on 400 names of three quarters.
const WORD_WAITS = 2
const GENERAL_WORD_WAITS = 5
// The keywords that may each open a side of the topic (keywords.ts); those after them fill in.
const OPENING = 5

/**
 * A name for a topic or theme from its keywords, best first: a phrase, or two terms that do not repeat one another.
 * Where they all name nothing by themselves (higher, range, Dave), it says so: "Range and half" would be a riddle.
 */
export function keywordName(keywords: readonly string[]): string {
  const ranked = keywords
    .filter(namesAlone)
    .map((term, place) => ({ term, place, turn: place + waits(term) }))
    .sort((a, b) => a.turn - b.turn)
  const terms: string[] = []
  for (const { term, place } of ranked) {
    if (terms.length === MOST_TERMS) break
    // A phrase stands well alone: what follows it has to add something.
    if (terms.some(isPhrase) && (isGeneral(term) || place >= OPENING)) continue
    if (overlaps(term, terms) || listed([...terms, term]).length > MOST_CHARACTERS) continue
    terms.push(term)
  }
  if (terms.length > 0) return sentenceCase(listed(terms))
  return ranked.length === 0 ? 'Various remarks' : sentenceCase(cut(ranked[0].term))
}

function waits(term: string): number {
  if (isPlainPhrase(term)) return 0
  return isGeneral(term) ? GENERAL_WORD_WAITS : WORD_WAITS
}

function isPhrase(term: string): boolean {
  return term.includes(' ')
}

function isGeneral(term: string): boolean {
  return GENERAL.has(term.toLowerCase())
}

// What every firm sells, earns and pays. Alone they do not tell one topic from another; inside a phrase they do.
const GENERAL: ReadonlySet<string> = new Set(
  `market markets marketplace sales revenue revenues margin margins cost costs product products customer customers client
  clients consumer consumers demand growth value program programs project projects system systems service services industry
  industries segment segments rate rates share shares return returns management operations investment investments income
  earnings profit profits profitability assets asset expense expenses volume volumes money category categories platform
  platforms technology technologies solutions solution leadership region regions country countries capabilities capability
  resources unit units story outlook portfolio account accounts mix pressure reduction balance quality employees
  investor investors shareholder shareholders relationship relationships guidance trade group financials
  supply offerings partners competitors competitor competition location locations equipment center centers city cities`.split(
    /\s+/,
  ),
)

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

/** The words of a term; where a term means the same as another way of saying it, the words of both. */
function wordsIn(term: string): string[] {
  const words = readAlike(term).split(' ')
  const same = SAME_THING.filter(ways => ways.some(way => ` ${words.join(' ')} `.includes(` ${way} `)))
  return [...words.filter(word => !LINKS.has(word)), ...same.flat()]
}

// Ways of saying one thing that share no word: "share repurchases and buyback" says it twice.
const SAME_THING: readonly (readonly string[])[] = [
  ['buyback', 'buybacks', 'repurchase', 'repurchases'],
  ['currency', 'currencies', 'fx', 'exchange'],
  ['acquisition', 'acquisitions', 'm a'],
  ['eps', 'earnings'],
  ['ceo', 'executive'],
  ['capex', 'capital'],
  ['opex', 'expense', 'expenses', 'sg a'],
]

/** A and b; with a comma before the "and" where a term has one itself: corn and soybeans, and currency. */
function listed(terms: readonly string[]): string {
  return terms.join(terms.some(term => term.includes(' and ')) ? ', and ' : ' and ')
}

/** A capital at the front, unless the first word has its own way: eBay, iPhone, go90. */
function sentenceCase(text: string): string {
  const first = text.split(/[ ,]/, 1)[0]
  return /\p{Lu}|\p{N}/u.test(first) ? text : text.charAt(0).toUpperCase() + text.slice(1)
}

function cut(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1).trimEnd()}…`
}
