// What the sentences of a topic say and those of the other topics do not: class-based TF-IDF over words and short phrases.
// A topic is named by these words when no language model is asked, and the model is shown them when one is.
// Choosing two or three of them for a name is names.ts; which words say nothing at all is words.ts and vague-words.ts.

import { VAGUE_WORDS } from './vague-words.ts'
import { DISCOURSE_WORDS, STOP_WORDS } from './words.ts'

export type Keyword = { term: string; weight: number }

/** What is known about the words of the whole quarter, and of the firm itself. */
type Background = {
  /** Firms that use a word, for the words that more than half of them use; empty in a quarter too small to tell. */
  firmsUsingWord: ReadonlyMap<string, number>
  firmCount: number
  /** The firm's own name and ticker: they stand in every topic of it and tell none apart. */
  ownWords?: readonly string[]
  howMany: number
}

export type TopicTexts = Background & {
  sentences: readonly string[]
  /** Topic of each sentence, from 0; -1 for those in none, which still count as background. */
  topicOfSentence: Int32Array
  topicCount: number
}

export type WeightedTexts = Background & {
  texts: readonly string[]
  /** Group of each text, from 0; -1 for those in none. */
  groupOfText: Int32Array
  groupCount: number
  weightOfText: Float64Array
}

/** Keywords of each topic of a firm, best first. */
export function topicKeywords({ sentences, topicOfSentence, topicCount, ...background }: TopicTexts): Keyword[][] {
  return groupKeywords({
    ...background,
    texts: sentences,
    groupOfText: topicOfSentence,
    groupCount: topicCount,
    weightOfText: new Float64Array(sentences.length).fill(1),
  })
}

// What only one text of a group says is chance.
const LEAST_TEXTS = 2
// Where the group repeats less than this, words of one text come in, if others say them too: a summary needs five.
const ENOUGH = 5
// And where even those are missing, vague words (better environment), far behind: a name needs two.
const ENOUGH_FOR_A_NAME = 2
const VAGUE = 0.1
// A phrase takes the place of its parts where more than half of what the group says with them is inside such phrases.
const CARRIED = 0.5
// A fixed expression (real estate, raw material): three quarters of what all texts say with the word are the phrase.
const FIXED = 0.75
// "strong demand" says hardly more than "demand", "cash flow" more than "cash": in between, the counts decide.
const WITH_VAGUE_WORD = 0.7
// What stands in capitals inside a sentence is a name already: at a tie it goes first (FCC before regulation).
const NAME = 1.2
// Carbonell and Goldstein's lambda: what a keyword says against how much it repeats those before it. Read on 20 themes
// of 2016Q4: at .9 "accounts, checking accounts, new accounts" stand together, at .5 gross margin, R&D and revenue give
// way to rarer words. The small topics of one firm hardly change from .5 to .9.
const RELEVANCE = 0.7
// Beyond the fifty strongest terms a group's candidates are words that one text says once.
const CANDIDATES = 50

/**
 * Keywords of each group of texts, best first: c-TF-IDF (Grootendorst 2022) with texts counted instead of words, since
 * a speaker who says a word three times in one sentence says it once; then maximal marginal relevance (Carbonell and
 * Goldstein 1998), so that they do not repeat one another. For themes a text is what the topics of one firm in the theme
 * say, so that a term is as strong as the firms that use it.
 */
export function groupKeywords(question: WeightedTexts): Keyword[][] {
  const { groupOfText, groupCount, weightOfText, howMany } = question
  const terms = readTerms(question)
  const textsInGroup: Map<Term, number[]>[] = Array.from({ length: groupCount }, () => new Map())
  const weightOfTerm = new Map<Term, number>()
  let total = 0
  for (const term of terms) {
    let weight = 0
    for (const text of term.texts) {
      weight += weightOfText[text]
      const group = groupOfText[text]
      if (group < 0) continue
      const found = textsInGroup[group].get(term)
      if (found === undefined) textsInGroup[group].set(term, [text])
      else found.push(text)
    }
    weightOfTerm.set(term, weight)
    total += weight
  }
  // The texts in no group are one group more, as BERTopic counts them.
  const average = total / Math.max(1, groupCount + (groupOfText.some(group => group < 0) ? 1 : 0))

  return textsInGroup.map(textsOf => {
    const carried = carriedByPhrases(textsOf)
    const candidates: Candidate[] = []
    for (const [term, texts] of textsOf) {
      const chance = term.words.length > 1 && texts.length < LEAST_TEXTS && !term.isName
      if (chance || carried.has(term)) continue
      let frequency = 0
      for (const text of texts) frequency += weightOfText[text]
      const weight = frequency * Math.log1p(average / (weightOfTerm.get(term) ?? 1)) * Math.max(term.tells, VAGUE)
      const known = term.isName || term.texts.length >= LEAST_TEXTS
      candidates.push({ term: term.shown, weight, texts, words: term.words, tells: term.tells > 0, known })
    }
    candidates.sort(strongestFirst)
    const keywords: Candidate[] = []
    const fillUp = (limit: number, wanted: (candidate: Candidate) => boolean) => {
      addDiverse(keywords, candidates.filter(wanted).slice(0, CANDIDATES), Math.min(limit, howMany))
    }
    const repeated = ({ texts }: Candidate) => texts.length >= LEAST_TEXTS
    fillUp(howMany, candidate => candidate.tells && repeated(candidate))
    fillUp(ENOUGH, candidate => candidate.tells && !repeated(candidate) && candidate.known)
    fillUp(ENOUGH_FOR_A_NAME, candidate => !candidate.tells && repeated(candidate))
    if (keywords.length === 0) fillUp(1, () => true)
    return keywords.sort(strongestFirst).map(({ term, weight }) => ({ term, weight }))
  })
}

type Candidate = Keyword & {
  texts: readonly number[]
  words: readonly string[]
  tells: boolean
  /** Said by more texts than one, wherever, or a name. */
  known: boolean
}

function strongestFirst(a: Keyword, b: Keyword): number {
  return b.weight - a.weight || (a.term < b.term ? -1 : a.term > b.term ? 1 : 0)
}

/** The parts of a group's phrases that hardly occur outside them: memory and pricing, where it says memory pricing. */
function carriedByPhrases(textsOf: ReadonlyMap<Term, readonly number[]>): Set<Term> {
  const inside = new Map<Term, Set<number>>()
  for (const [term, texts] of textsOf) {
    const repeated = texts.length >= LEAST_TEXTS
    for (const part of term.parts) {
      // A vague word in it, and the phrase gives way to its parts, but "positive operating" always to the longer one.
      if (!term.isName && !(repeated && (term.isFixed || part.words.length > 1))) continue
      const found = inside.get(part) ?? new Set()
      for (const text of texts) found.add(text)
      inside.set(part, found)
    }
  }
  const carried = new Set<Term>()
  for (const [part, texts] of inside) if (texts.size > CARRIED * (textsOf.get(part)?.length ?? 0)) carried.add(part)
  return carried
}

/** Maximal marginal relevance: at each step the term that is strong and least like those already taken. */
function addDiverse(taken: Candidate[], candidates: readonly Candidate[], limit: number): void {
  const strongest = candidates[0]?.weight ?? 1
  const score = ({ candidate, likeTaken }: { candidate: Candidate; likeTaken: number }) =>
    RELEVANCE * (candidate.weight / strongest) - (1 - RELEVANCE) * likeTaken
  // A term whose words have all been said adds nothing.
  const isNew = ({ words }: Candidate) =>
    !words.every(word => taken.some(other => other.words.some(said => sameStem(word, said))))
  let left = candidates.filter(isNew).map(candidate => ({
    candidate,
    likeTaken: Math.max(0, ...taken.map(other => likeness(other, candidate))),
  }))
  while (taken.length < limit && left.length > 0) {
    const next = left.reduce((best, other) => (score(other) > score(best) ? other : best)).candidate
    taken.push(next)
    left = left.filter(({ candidate }) => isNew(candidate))
    for (const other of left) other.likeTaken = Math.max(other.likeTaken, likeness(next, other.candidate))
  }
}

/** 1 for terms of the same sentences or where one holds the other, 0 for terms with nothing in common. */
function likeness(a: Candidate, b: Candidate): number {
  const shared = a.words.filter(word => b.words.some(other => sameStem(word, other))).length
  const both = countCommon(a.texts, b.texts)
  return Math.max(shared / Math.min(a.words.length, b.words.length), both / (a.texts.length + b.texts.length - both))
}

/** Of two ascending lists. */
function countCommon(a: readonly number[], b: readonly number[]): number {
  let common = 0
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) common++
    if (a[i] <= b[j]) i++
    else j++
  }
  return common
}

/** price and pricing, grow and growth, market and marketing: a reader sees the same word twice. */
export function sameStem(a: string, b: string): boolean {
  if (a === b) return true
  let common = 0
  while (common < a.length && a[common] === b[common]) common++
  // Four letters keep car and card apart, 55 % of the longer word keeps contract and contribution apart.
  return common >= 4 && common >= 0.55 * Math.max(a.length, b.length)
}

/** A word, or a phrase of up to three, with its plurals and all ways of writing it. */
type Term = {
  /** Without the linking word of "cost of capital". */
  words: readonly string[]
  shown: string
  /** Texts that contain it, each once, ascending. */
  texts: readonly number[]
  /** Its words, and the shorter phrase inside a longer one. */
  parts: readonly Term[]
  /** All of its words are mostly written with a capital inside sentences. */
  isName: boolean
  /** No vague word in it, or one that these texts hardly use otherwise: real estate. */
  isFixed: boolean
  /** How much it tells: 1 for most words, 0 for what every firm says or what names nothing. */
  tells: number
}

/** A term while the texts are read: how often it is written how, and the keys of its parts. */
type Draft = { forms: Map<string, number>; texts: number[]; parts: Set<string> }

/** Reads all texts into terms. Plurals go under one key with their singular. */
function readTerms({ texts, firmsUsingWord, firmCount, ownWords = [] }: WeightedTexts): Term[] {
  const own = new Set(ownWords.flatMap(tokensOf).map(token => token.word))
  const tokensOfText = texts.map(tokensOf)
  const writings = new Map<string, Map<string, number>>() // word → its ways of writing → times
  for (const tokens of tokensOfText) {
    for (const token of tokens) {
      const ways = writings.get(token.word) ?? new Map<string, number>()
      writings.set(token.word, ways)
      if (!isCapitalOfSentence(token)) count(ways, token.surface)
    }
  }
  const keyOfWord = new Map<string, string>()
  const shownWord = new Map<string, string>()
  const naming = new Set<string>()
  for (const [word, ways] of writings) {
    const key = singularOf(word, writings)
    const shown = mostFrequent(ways) ?? word
    keyOfWord.set(word, key)
    shownWord.set(word, shown)
    if (!own.has(word) && !own.has(key) && mayName(word, key, shown)) naming.add(word)
  }
  const keyOf = (word: string) => keyOfWord.get(word) ?? word
  const surfaceOf = (token: Token) =>
    isCapitalOfSentence(token) ? (shownWord.get(token.word) ?? token.word) : token.surface

  // Most neighbours stand together once. Only those that do again, or are a name, are worth making phrases of.
  const firstText = new Map<string, number>()
  const repeated = new Set<string>()
  tokensOfText.forEach((tokens, text) => {
    for (let i = 1; i < tokens.length; i++) {
      if (!tokens[i].adjacent || !naming.has(tokens[i].word) || !naming.has(tokens[i - 1].word)) continue
      const pair = `${keyOf(tokens[i - 1].word)} ${keyOf(tokens[i].word)}`
      const first = firstText.get(pair)
      if (first === undefined) firstText.set(pair, text)
      else if (first !== text) repeated.add(pair)
    }
  })
  const belong = (a: Token, b: Token) =>
    repeated.has(`${keyOf(a.word)} ${keyOf(b.word)}`) || (isCapital(surfaceOf(a)) && isCapital(surfaceOf(b)))

  const drafts = new Map<string, Draft>()
  const add = (words: readonly Token[], text: number, parts: readonly string[]): string => {
    const key = words.map(({ word }) => keyOf(word)).join(' ')
    const draft: Draft = drafts.get(key) ?? { forms: new Map(), texts: [], parts: new Set() }
    drafts.set(key, draft)
    count(draft.forms, words.map(surfaceOf).join(' '))
    if (draft.texts.at(-1) !== text) draft.texts.push(text)
    for (const part of parts) draft.parts.add(part)
    return key
  }
  tokensOfText.forEach((tokens, text) => {
    let before: { one: string; two: string | undefined } | undefined // the word before, the phrase it ends, if adjacent
    for (const [i, token] of tokens.entries()) {
      const last = token.adjacent ? before : undefined
      before = undefined
      if (naming.has(token.word)) {
        const one = add([token], text, [])
        const two =
          last && belong(tokens[i - 1], token) ? add([tokens[i - 1], token], text, [last.one, one]) : undefined
        before = { one, two }
        // Phrases end at three words (net interest margin): the fourth is a sentence.
        if (!last?.two || !two) continue
        const three = tokens.slice(i - 2, i + 1)
        add(three, text, [last.two, two, ...three.map(({ word }) => keyOf(word))])
      } else if (last && LINKS.has(token.word) && tokens[i + 1]?.adjacent) {
        const ends = [tokens[i - 1], tokens[i + 1]]
        if (!naming.has(ends[1].word) || ends.some(({ word }) => isVague(word))) continue
        add(
          [ends[0], token, ends[1]],
          text,
          ends.map(({ word }) => keyOf(word)),
        )
      }
    }
  })

  const tellsOfWord = (word: string): number => {
    const firms = Math.max(firmsUsingWord.get(word) ?? 0, firmsUsingWord.get(keyOf(word)) ?? 0)
    // Bits of information, at most one: 1 for what half of the firms say, .42 for three quarters, 0 for all.
    return firms === 0 || firmCount === 0 ? 1 : Math.max(0, Math.min(1, -Math.log2(firms / firmCount)))
  }
  const terms = new Map<string, Term>()
  // Words before phrases, so that a phrase finds its parts.
  for (const [key, draft] of [...drafts].sort(([, a], [, b]) => a.parts.size - b.parts.size)) {
    const shown = mostFrequent(draft.forms) ?? key
    const surfaces = shown.split(' ').filter(surface => !LINKS.has(surface.toLowerCase()))
    const words = surfaces.map(surface => surface.toLowerCase())
    const parts = [...draft.parts].flatMap(part => terms.get(part) ?? [])
    const isName = surfaces.every(isCapital) && (words.length > 1 || isOwnName(words[0]))
    const telling = words.filter(word => isName || !(isVague(word) || saysNothing(word)))
    const bound = telling.every(word => {
      const alone = terms.get(keyOf(word))
      return (
        alone !== undefined && draft.texts.length >= LEAST_TEXTS && draft.texts.length >= FIXED * alone.texts.length
      )
    })
    const isFixed = telling.length === words.length || bound
    const mean = telling.reduce((sum, word) => sum + tellsOfWord(word), 0) / Math.max(1, telling.length)
    const tells = mean * (isFixed ? 1 : WITH_VAGUE_WORD) * (isName ? NAME : 1)
    terms.set(key, { words, shown, texts: draft.texts, parts, isName, isFixed, tells })
  }
  return [...terms.values()]
}

/** A capital at the start of a sentence says nothing about the word; NAND and iPhone are what they are anywhere. */
function isCapitalOfSentence({ word, surface, opens }: Token): boolean {
  return opens && surface.slice(1) === word.slice(1)
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}

function mostFrequent(counts: ReadonlyMap<string, number>): string | undefined {
  let best: string | undefined
  let most = 0
  for (const [what, times] of counts) {
    if (times < most || (times === most && best !== undefined && what > best)) continue
    best = what
    most = times
  }
  return best
}

/** The singular of a plural, if it is among the words at hand: so `series` and `news` stay what they are. */
function singularOf(word: string, known: ReadonlyMap<string, unknown>): string {
  // Under four letters an s is rarely a plural (gas, its); -ss, -us and -is never are.
  if (word.length < 4 || !word.endsWith('s') || /(ss|us|is)$/.test(word)) return word
  const singulars = [word.replace(/ies$/, 'y'), word.slice(0, -1), word.replace(/(s|x|z|ch|sh)es$/, '$1')]
  return singulars.find(singular => singular !== word && known.has(singular) && !STOP_WORDS.has(singular)) ?? word
}

type Token = {
  /** Lower case, without a possessive 's. */
  word: string
  surface: string
  /** First word of a sentence. */
  opens: boolean
  /** Only a space between this word and the one before. */
  adjacent: boolean
}

// Letters and figures, held together inside a word by & (R&D), hyphen (e-commerce) and apostrophe (O'Reilly), and by the
// full stops of an abbreviation (U.S.) or a decimal.
const WORD =
  /(?:\p{L}\.){2,}|\p{N}+(?:[.,]\p{N}+)+|[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:[&'-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*/gu

function tokensOf(text: string): Token[] {
  // Names of people are <UNK> in MAEC, with what is left of them hanging on: <UNK>e.
  const plain = text
    .replace(/<unk>[\p{L}\p{N}]*/giu, '|')
    .replaceAll('’', "'")
    .replaceAll('\u2011', '-')
  const tokens: Token[] = []
  let end = 0
  for (const match of plain.matchAll(WORD)) {
    const surface = match[0].replace(/'s$/i, '')
    const gap = plain.slice(end, match.index)
    const opens = tokens.length === 0 || /[.?!:]/.test(gap)
    tokens.push({ word: surface.toLowerCase(), surface, opens, adjacent: tokens.length > 0 && /^\s+$/.test(gap) })
    end = match.index + match[0].length
  }
  return tokens
}

// Words that join two others into one term: cost of capital, return on equity, oil and gas.
const LINKS: ReadonlySet<string> = new Set(['of', 'on', 'and'])
const CONTRACTION = /'(t|ve|re|ll|d|m|s)$/
// Q3, 4Q16, FY17, 20th, 10x, 20-nanometer: when and how much, not what. 3D, 5G and 737s are things.
const PERIOD_OR_AMOUNT =
  /^(f?q[1-4]|[1-4]q|[1-4]h|h[12]|c?fy)(\d\d|\d{4})?$|^\d+(st|nd|rd|th|x|k|m|b|bn|mm|pm|am)?$|^\d+-/

/** Whether a word may be a keyword or part of one. */
function mayName(word: string, key: string, shown: string): boolean {
  if (word.length < 2 || !/\p{L}/u.test(word) || CONTRACTION.test(word) || PERIOD_OR_AMOUNT.test(word)) return false
  if (saysNothing(word)) return VAGUE_WORDS.has(word) || isCapital(shown)
  if (saysNothing(key)) return VAGUE_WORDS.has(key)
  // year-over-year, three-quarter: made of nothing but such words.
  return !word.includes('-') || word.split('-').some(part => part.length > 1 && !saysNothing(part) && !isVague(part))
}

/** Whether a word of a sentence says what it is about: not grammar, talk, a figure or a vague word. */
export function isTelling(word: string): boolean {
  return !isVague(word) && mayName(word, word, word)
}

/** Grammar, or a manner of speaking. */
function saysNothing(word: string): boolean {
  return STOP_WORDS.has(word) || DISCOURSE_WORDS.has(word)
}

// Adverbs, participles and adjectives by their endings; the nouns that end so too.
const VAGUE_ENDING = /(ly|[^e]ed|ful|ous)$/
const NOUNS: ReadonlySet<string> = new Set(
  'supply family multifamily assembly july italy anomaly monopoly oversupply fed bed led shed seabed'.split(' '),
)

function isVague(word: string): boolean {
  return VAGUE_WORDS.has(word) || (VAGUE_ENDING.test(word) && !NOUNS.has(word))
}

/** Whether a word in capitals is a name by itself: Climate is, the Firm and December are not. */
function isOwnName(word: string): boolean {
  return !saysNothing(word) && !CAPITAL_BY_HABIT.has(word) && !VAGUE_ENDING.test(word)
}

const CAPITAL_BY_HABIT: ReadonlySet<string> = new Set(
  'january february march april june july august september october november december firm board street fund bank'.split(
    ' ',
  ),
)

function isCapital(shown: string): boolean {
  return /^\p{Lu}/u.test(shown)
}
