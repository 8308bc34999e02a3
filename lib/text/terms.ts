// The words and phrases of some texts: how they are written, which texts have them, and how much they tell.
// Here because the topics of a firm and themes are named by the same kind of terms, and sentences are chosen by them.
// Leaves to keywords.ts which terms a topic is named by; the lists of words are words.ts and vague-words.ts.

import { ADJECTIVES, FIRST_NAMES, mayEndPhrase, VAGUE_WORDS, VERBS } from './vague-words.ts'
import { DISCOURSE_WORDS, STOP_WORDS } from './words.ts'

/** What is known about the words of the whole quarter, and of the firm itself. */
export type Background = {
  /** Firms that use a word, for the words that more than half of them use; empty in a quarter too small to tell. */
  firmsUsingWord: ReadonlyMap<string, number>
  firmCount: number
  /** The firm's own name and ticker: they stand in every topic of it and tell none apart. */
  ownWords?: readonly string[]
}

/** A word, or a phrase of up to three, with its plurals and all ways of writing it. */
export type Term = {
  /** Without the linking word of "cost of capital". */
  words: readonly string[]
  shown: string
  /** Texts that contain it, each once, ascending. */
  texts: readonly number[]
  /** Its words, and the shorter phrases inside a longer one. */
  parts: readonly Term[]
  /** All of its words are mostly written with a capital inside sentences. */
  isName: boolean
  /** No vague word in it, or one that these texts hardly use otherwise: real estate. */
  isFixed: boolean
  /** Made of words only that name nothing: better, better environment. */
  isVague: boolean
  /** How much it tells in this quarter: 1 for what half of the firms say or fewer, 0 for what every firm says. */
  tells: number
}

// What only one text says is chance.
export const LEAST_TEXTS = 2
// A fixed expression (real estate, raw material): three quarters of what all texts say with the word are the phrase.
const FIXED = 0.75
// "strong demand" says hardly more than "demand", "cash flow" more than "cash": in between, the counts decide.
const WITH_VAGUE_WORD = 0.7
// What stands in capitals inside a sentence is a name already: at a tie it goes first (FCC before regulation).
const NAME = 1.2

/** A word, once for all its places in the texts: what it is has to be found out once. */
type Word = {
  /** Lower case, without a possessive 's. */
  text: string
  /** Its ways of writing where a capital means something, with their counts. */
  ways: Forms
  /** The commonest of them. */
  shown: string
  /** Its singular, if that is among the words at hand, too. */
  key: string
  /** May be a keyword or part of one. */
  names: boolean
}

type Token = {
  word: Word
  surface: string
  /** A capital at the start of a sentence says nothing about the word; NAND and iPhone are what they are anywhere. */
  hasCapitalOfSentence: boolean
  /** Only a space between this word and the one before. */
  adjacent: boolean
}

/** A term while the texts are read: how often it is written how, and the keys of its parts. */
type Draft = { forms: Forms; texts: number[]; parts: readonly string[] }

/** Ways of writing with their counts. Nearly every term has one way only, and a map for each would cost more than all else. */
type Forms = { first: string; times: number; others: Map<string, number> | undefined }

/** Reads all texts into terms. Plurals go under one key with their singular. */
export function readTerms(texts: readonly string[], background: Background): Term[] {
  const { tokensOfText, words } = readWords(texts, background.ownWords ?? [])
  const repeated = repeatedPairs(tokensOfText)
  const belong = (a: Token, b: Token) =>
    repeated.has(`${a.word.key} ${b.word.key}`) || (isCapital(writtenAs(a)) && isCapital(writtenAs(b)))

  const drafts = { words: new Map<string, Draft>(), phrases: new Map<string, Draft>() }
  const add = (to: Map<string, Draft>, key: string, form: string, text: number, parts: readonly string[]) => {
    let draft = to.get(key)
    if (draft === undefined) {
      draft = { forms: { first: form, times: 0, others: undefined }, texts: [], parts }
      to.set(key, draft)
    }
    count(draft.forms, form)
    if (draft.texts.at(-1) !== text) draft.texts.push(text)
  }
  const addPhrase = (tokens: readonly Token[], text: number, parts: readonly string[]): string => {
    const key = tokens.map(({ word }) => word.key).join(' ')
    add(drafts.phrases, key, tokens.map(writtenAs).join(' '), text, parts)
    return key
  }
  for (const [text, tokens] of tokensOfText.entries()) {
    let pairBefore: string | undefined // the phrase that ends with the word before, if it is adjacent
    for (const [i, token] of tokens.entries()) {
      const last = token.adjacent && tokens[i - 1].word.names ? tokens[i - 1] : undefined
      const before = last && pairBefore
      pairBefore = undefined
      if (token.word.names) {
        add(drafts.words, token.word.key, token.word.shown, text, [])
        if (last === undefined || !belong(last, token)) continue
        const pair = addPhrase([last, token], text, [last.word.key, token.word.key])
        pairBefore = pair
        // Phrases end at three words (net interest margin): the fourth is a sentence.
        if (before === undefined) continue
        const three = tokens.slice(i - 2, i + 1)
        addPhrase(three, text, [before, pair, ...three.map(({ word }) => word.key)])
      } else if (last !== undefined && LINKS.has(token.word.text) && tokens[i + 1]?.adjacent) {
        const next = tokens[i + 1]
        if (![last, next].every(({ word }) => word.names && mayEndPhrase(word.text) && !isVague(word.text))) continue
        if (isCutName(tokens, i)) continue
        addPhrase([last, token, next], text, [last.word.key, next.word.key])
      }
    }
  }
  return describe(drafts.words, drafts.phrases, words, background)
}

/** Most neighbours stand together in one text. Only those of two texts, or of a name, are worth making phrases of. */
function repeatedPairs(tokensOfText: readonly Token[][]): Set<string> {
  const firstText = new Map<string, number>()
  const repeated = new Set<string>()
  for (const [text, tokens] of tokensOfText.entries()) {
    for (let i = 1; i < tokens.length; i++) {
      if (!tokens[i].adjacent || !tokens[i].word.names || !tokens[i - 1].word.names) continue
      const pair = `${tokens[i - 1].word.key} ${tokens[i].word.key}`
      const first = firstText.get(pair)
      if (first === undefined) firstText.set(pair, text)
      else if (first !== text) repeated.add(pair)
    }
  }
  return repeated
}

/** The drafts as terms: those of one word first, so that a phrase finds its parts. */
function describe(
  ofWords: ReadonlyMap<string, Draft>,
  ofPhrases: ReadonlyMap<string, Draft>,
  words: ReadonlyMap<string, Word>,
  { firmsUsingWord, firmCount }: Background,
): Term[] {
  const keyOf = (word: string) => words.get(word)?.key ?? word
  const tellsOfWord = (word: string): number => {
    const firms = Math.max(firmsUsingWord.get(word) ?? 0, firmsUsingWord.get(keyOf(word)) ?? 0)
    // Bits of information, at most one: 1 for what half of the firms say, .42 for three quarters, 0 for all.
    return firms === 0 || firmCount === 0 ? 1 : Math.max(0, Math.min(1, -Math.log2(firms / firmCount)))
  }
  const terms = new Map<string, Term>()
  for (const [key, { texts, forms }] of ofWords) {
    const shown = mostFrequent(forms) ?? key
    const word = shown.toLowerCase()
    const isName = isCapital(shown) && isOwnName(word)
    const namesNothing = !isName && (isVague(word) || saysNothing(word) || ADJECTIVES.has(word) || isFirstName(shown))
    const tells = tellsOfWord(word) * (isName ? NAME : 1)
    terms.set(key, {
      words: [word],
      shown,
      texts,
      parts: [],
      isName,
      isFixed: !namesNothing,
      isVague: namesNothing,
      tells,
    })
  }
  for (const [key, { texts, forms, parts }] of ofPhrases) {
    const shown = mostFrequent(forms) ?? key
    const surfaces = shown.split(' ').filter(surface => !LINKS.has(surface.toLowerCase()))
    const wordsOfPhrase = surfaces.map(surface => surface.toLowerCase())
    const isName = surfaces.every(isCapital)
    if (!isName && !endsPhrase(wordsOfPhrase[wordsOfPhrase.length - 1])) continue
    const telling = isName ? wordsOfPhrase : wordsOfPhrase.filter(word => !(isVague(word) || saysNothing(word)))
    const isBound = (word: string) =>
      texts.length >= LEAST_TEXTS && texts.length >= FIXED * (terms.get(keyOf(word))?.texts.length ?? Infinity)
    const isFixed = telling.length === wordsOfPhrase.length || telling.every(isBound)
    const counted = telling.length === 0 ? wordsOfPhrase : telling
    const mean = counted.reduce((sum, word) => sum + tellsOfWord(word), 0) / counted.length
    terms.set(key, {
      words: wordsOfPhrase,
      shown,
      texts,
      parts: [...new Set(parts)].flatMap(part => terms.get(part) ?? []),
      isName,
      isFixed,
      isVague: telling.length === 0,
      tells: mean * (isFixed ? 1 : WITH_VAGUE_WORD) * (isName ? NAME : 1),
    })
  }
  return [...terms.values()]
}

/** "Austin and San", of Austin and San Antonio: the word beside the link is a piece of a name that goes on. */
function isCutName(tokens: readonly Token[], link: number): boolean {
  const both = (a: Token | undefined, b: Token | undefined) =>
    a !== undefined && b?.adjacent === true && isCapital(writtenAs(a)) && isCapital(writtenAs(b))
  return both(tokens[link - 2], tokens[link - 1]) || both(tokens[link + 1], tokens[link + 2])
}

function writtenAs({ word, surface, hasCapitalOfSentence }: Token): string {
  return hasCapitalOfSentence ? word.shown : surface
}

function count(forms: Forms, form: string): void {
  if (forms.times === 0) forms.first = form
  if (form === forms.first) forms.times++
  else {
    forms.others ??= new Map()
    forms.others.set(form, (forms.others.get(form) ?? 0) + 1)
  }
}

/** The commonest form, of equals the first by its letters; undefined where none was counted. */
function mostFrequent({ first, times, others }: Forms): string | undefined {
  if (times === 0) return undefined
  let best = first
  let most = times
  for (const [other, otherTimes] of others ?? []) {
    if (otherTimes < most || (otherTimes === most && other > best)) continue
    best = other
    most = otherTimes
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

/** Cuts the texts into words and finds out what each word is, once for all its places. */
function readWords(texts: readonly string[], ownWords: readonly string[]) {
  const words = new Map<string, Word>()
  const tokensOfText = texts.map(text => tokensOf(text, words))
  const own = new Set(ownWords.flatMap(word => tokensOf(word, new Map()).map(token => token.word.text)))
  countWays(tokensOfText)
  for (const word of words.values()) {
    word.key = singularOf(word.text, words)
    word.shown = mostFrequent(word.ways) ?? word.text
    word.names = !own.has(word.text) && !own.has(word.key) && mayName(word.text, word.key, word.shown)
  }
  return { tokensOfText, words }
}

/** Inside a longer name a word has the name's capital: New York City tells how city is written only where nothing else does. */
function countWays(tokensOfText: readonly Token[][]): void {
  const isCapitalOfName = (token: Token | undefined) =>
    token !== undefined && isCapital(token.surface) && !saysNothing(token.word.text)
  const inside: Token[] = []
  for (const tokens of tokensOfText)
    for (const [i, token] of tokens.entries()) {
      if (token.hasCapitalOfSentence) continue
      const next = tokens[i + 1]
      const joins = (token.adjacent && isCapitalOfName(tokens[i - 1])) || (next?.adjacent && isCapitalOfName(next))
      if (joins && isCapital(token.surface)) inside.push(token)
      else count(token.word.ways, token.surface)
    }
  const unseen = new Set(inside.filter(({ word }) => word.ways.times === 0).map(({ word }) => word))
  for (const { word, surface } of inside) if (unseen.has(word)) count(word.ways, surface)
}

// Letters and figures, held together inside a word by & (R&D), hyphen (e-commerce) and apostrophe (O'Reilly), and by the
// full stops of an abbreviation (U.S.) or a decimal.
const WORD =
  /(?:\p{L}\.){2,}|\p{N}+(?:[.,]\p{N}+)+|[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:[&'-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*/gu
// Names of people are <UNK> in MAEC, with what is left of them hanging on: <UNK>e.
const NAME_TAKEN_OUT = /<unk>[\p{L}\p{N}]*/giu

function tokensOf(text: string, words: Map<string, Word>): Token[] {
  const plain = (text.includes('<') ? text.replace(NAME_TAKEN_OUT, '|') : text)
    .replaceAll('’', "'")
    .replaceAll('\u2011', '-')
  const tokens: Token[] = []
  let end = 0
  for (const match of plain.matchAll(WORD)) {
    const surface = match[0].endsWith("'s") || match[0].endsWith("'S") ? match[0].slice(0, -2) : match[0]
    const gap = plain.slice(end, match.index)
    const isSpace = gap === ' ' // nearly always, and then the two patterns below need not be asked
    const opens = tokens.length === 0 || (!isSpace && /[.?!:]/.test(gap))
    const lower = surface.toLowerCase()
    let word = words.get(lower)
    if (word === undefined) {
      const ways = { first: lower, times: 0, others: undefined }
      word = { text: lower, ways, shown: lower, key: lower, names: false }
      words.set(lower, word)
    }
    tokens.push({
      word,
      surface,
      hasCapitalOfSentence: opens && surface.slice(1) === lower.slice(1),
      adjacent: tokens.length > 0 && (isSpace || /^\s+$/.test(gap)),
    })
    end = match.index + match[0].length
  }
  return tokens
}

/** Words that join two others into one term: cost of capital, return on equity, oil and gas, earnings per share. */
export const LINKS: ReadonlySet<string> = new Set(['of', 'on', 'and', 'per'])
const CONTRACTION = /'(t|ve|re|ll|d|m|s)$/
// Q3, 4Q16, FY17, 20th, 10x, 20-nanometer: when and how much, not what. 3D, 5G and 737s are things.
const PERIOD_OR_AMOUNT =
  /^(f?q[1-4]|[1-4]q|[1-4]h|h[12]|c?fy)(\d\d|\d{4})?$|^\d+(st|nd|rd|th|x|k|m|b|bn|mm|pm|am)?$|^\d+-/

/** Whether a word may be a keyword or part of one. */
function mayName(word: string, key: string, shown: string): boolean {
  if (word.length < 2 || !/\p{L}/u.test(word) || CONTRACTION.test(word) || PERIOD_OR_AMOUNT.test(word)) return false
  if (breaksPhrase(word) && !isCapital(shown)) return false
  if (saysNothing(word)) return VAGUE_WORDS.has(word) || isCapital(shown)
  if (saysNothing(key)) return VAGUE_WORDS.has(key)
  // year-over-year, three-quarter: made of nothing but such words.
  return !word.includes('-') || word.split('-').some(part => part.length > 1 && !saysNothing(part) && !isVague(part))
}

/** Verbs, and how much: "strong volume" and "higher volume" tell no more than volume, which the phrase would hide. */
function breaksPhrase(word: string): boolean {
  if (VERBS.has(word) || DEGREES.has(word)) return true
  return /(er|est|ing)$/.test(word) && VAGUE_WORDS.has(word) && !mayEndPhrase(word)
}

const DEGREES: ReadonlySet<string> = new Set(
  `strong weak good bad great nice fair solid robust healthy certain various different major entire whole additional
  significant substantial meaningful sizable huge massive tremendous important similar specific main key further`.split(
    /\s+/,
  ),
)

/** Whether a word of a sentence says what it is about: not grammar, talk, a figure or a vague word. */
export function isTelling(word: string): boolean {
  return !isVague(word) && mayName(word, word, word)
}

/** Whether a term is a name by itself: commercial, higher and Dave are not, commercial loans are. */
export function namesAlone(term: string): boolean {
  const word = term.toLowerCase()
  if (term.includes(' ')) return true
  return mayName(word, word, term) && endsPhrase(word) && !isVague(word) && !saysNothing(word) && !isFirstName(term)
}

/** Whether a phrase has no vague word in it: operating margin has none, new restaurants has one. */
export function isPlainPhrase(term: string): boolean {
  const words = term.toLowerCase().split(' ')
  return words.length > 1 && !words.some(word => VAGUE_WORDS.has(word))
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
  return !saysNothing(word) && !CAPITAL_BY_HABIT.has(word) && endsPhrase(word) && !FIRST_NAMES.has(word)
}

/** Dave, but not a utility's bill. */
export function isFirstName(shown: string): boolean {
  return isCapital(shown) && FIRST_NAMES.has(shown.toLowerCase())
}

/** Whether a phrase may end with the word: one that ends with how, when or a verb is cut off in the middle. */
export function endsPhrase(word: string): boolean {
  return mayEndPhrase(word) && (!VAGUE_ENDING.test(word) || NOUNS.has(word))
}

const CAPITAL_BY_HABIT: ReadonlySet<string> = new Set(
  'january february march april june july august september october november december firm board street fund bank'.split(
    ' ',
  ),
)

function isCapital(shown: string): boolean {
  const first = shown.charCodeAt(0)
  return first < 128 ? first >= 65 && first <= 90 : /^\p{Lu}/u.test(shown)
}
