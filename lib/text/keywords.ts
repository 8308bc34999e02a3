// What the sentences of a topic say and those of the other topics do not: class-based TF-IDF over words and short phrases.
// A topic is named by these words when no language model is asked, and the model is shown them when one is.
// Choosing one or two of them for a name is names.ts; reading texts into words and phrases is terms.ts.

import { type Background, endsPhrase, isFirstName, LEAST_TEXTS, readTerms, type Term } from './terms.ts'

export type Keyword = { term: string; weight: number }

export type TopicTexts = Background & {
  sentences: readonly string[]
  /** Topic of each sentence, from 0; -1 for those in none, which still count as background. */
  topicOfSentence: Int32Array
  topicCount: number
  howMany: number
}

export type WeightedTexts = Background & {
  texts: readonly string[]
  /** Group of each text, from 0; -1 for those in none. */
  groupOfText: Int32Array
  groupCount: number
  weightOfText: Float64Array
  howMany: number
  /** Terms of fewer texts of a group do not name it: what one firm says is no theme. 1 unless given. */
  leastTexts?: number
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

// Said in one text, a term counts a tenth of a text, in two 1.1: absolute discounting (Ney, Essen, Kneser 1994), for what
// is said once is mostly chance. The tenth only keeps the order among such words.
const DISCOUNT = 0.9
// What another group says a third as often again is that group's word, and as a keyword of both would tell neither apart;
// unless half of the group's texts have it: without it a reader would not know the topic.
const OWN = 3 / 4
const STRONG = 1 / 2
// Keywords describe one thing where they are said together. The first five may each open a side of the topic (with three,
// the side stories of mixed topics were lost, and with them a tenth of what the themes of 2024Q3 should find); from then
// on a term must stand in some text with half of those before it, and so must a word that the group says once.
const OPENING = 5
const COMPANY = 1 / 2
// With two thirds, and two at least, where a word stands in no other text at all: it is as often a turn of speech (bells
// and whistles, off the table).
const COMPANY_OF_ONLY_TEXT = 2 / 3
// And not beyond eight keywords: ten of them are then the words of one long sentence, and a topic of generative AI goes
// to the theme of margins by the last of them (the invented quarter 2024Q3).
const ENOUGH_FOR_ONE_TEXT = 8
// Where all this gives fewer, words said once come in that meet one of the others, and vague words that the group
// repeats: a summary needs five.
const ENOUGH = 5
// And where even those are missing, words without company: a name needs two.
const ENOUGH_FOR_A_NAME = 2
const VAGUE = 0.1
// A phrase says more than a word and is said less often: with half as much again, of 3,816 topics of two quarters 708 have
// another name, mostly a better one (capacity and yield improvement, not capacity and yield). With twice as much, themes of
// many firms are called after a phrase of few of them.
const PHRASE = 1.5
// A phrase takes the place of its parts where more than half of what the group says with them is inside such phrases.
const CARRIED = 0.5
// Carbonell and Goldstein's lambda: what a keyword says against how much it repeats those before it. Read on 20 themes
// of 2016Q4: at .9 "accounts, checking accounts, new accounts" stand together, at .5 gross margin, R&D and revenue give
// way to rarer words. The small topics of one firm hardly change from .5 to .9.
const RELEVANCE = 0.7
// Beyond the fifty strongest of a kind none is chosen: the keywords of 1,802 topics are the same with a thousand.
const CANDIDATES = 50

/**
 * Keywords of each group of texts, best first: c-TF-IDF (Grootendorst 2022) with texts counted instead of words, since
 * a speaker who says a word three times in one sentence says it once; then maximal marginal relevance (Carbonell and
 * Goldstein 1998), so that they do not repeat one another, among terms that are said together. For themes a text is
 * what the topics of one firm in the theme say, so that a term is as strong as the firms that use it.
 */
export function groupKeywords(question: WeightedTexts): Keyword[][] {
  const { groupOfText, groupCount, weightOfText, howMany } = question
  if (groupCount === 0) return []
  const uses: Use[][] = Array.from({ length: groupCount }, () => [])
  const sizeOfGroup = new Float64Array(groupCount)
  for (const [text, weight] of weightOfText.entries())
    if (groupOfText[text] >= 0) sizeOfGroup[groupOfText[text]] += weight

  let total = 0
  for (const term of readTerms(question.texts, question)) {
    const ofGroup = new Map<number, Use>()
    let everywhere = 0
    for (const text of term.texts) {
      everywhere += weightOfText[text]
      const group = groupOfText[text]
      if (group < 0) continue
      let use = ofGroup.get(group)
      if (use === undefined) {
        use = { term, texts: [], frequency: 0, everywhere: 0, isOwn: true }
        ofGroup.set(group, use)
        uses[group].push(use)
      }
      use.texts.push(text)
      use.frequency += weightOfText[text]
    }
    total += everywhere
    let highestShare = 0
    let mostTexts = 0
    for (const [group, { frequency, texts }] of ofGroup) {
      highestShare = Math.max(highestShare, frequency / sizeOfGroup[group])
      mostTexts = Math.max(mostTexts, texts.length)
    }
    for (const [group, use] of ofGroup) {
      use.everywhere = everywhere
      const isRepeated = use.texts.length >= LEAST_TEXTS
      const share = use.frequency / sizeOfGroup[group]
      use.isOwn = isRepeated ? share >= Math.min(STRONG, OWN * highestShare) : mostTexts < LEAST_TEXTS
    }
  }
  // The texts in no group are one group more, as BERTopic counts them.
  const average = total / Math.max(1, groupCount + (groupOfText.some(group => group < 0) ? 1 : 0))
  const textsOfGroup = new Uint32Array(groupCount)
  for (const group of groupOfText) if (group >= 0) textsOfGroup[group]++
  return uses.map((ofGroup, group) => {
    const least = Math.min(question.leastTexts ?? 1, textsOfGroup[group])
    return chooseKeywords(
      ofGroup.filter(use => use.texts.length >= least),
      average,
      howMany,
    )
  })
}

/** A term in one group. */
type Use = {
  term: Term
  /** Texts of the group that have it, ascending. */
  texts: number[]
  /** Their weight. */
  frequency: number
  /** Weight of all texts that have it. */
  everywhere: number
  /** No other group says it much more often. */
  isOwn: boolean
}

type Candidate = Keyword & {
  words: readonly string[]
  /** Texts of any group that have it, ascending. */
  everywhere: readonly number[]
  isVague: boolean
  isOwn: boolean
  isRepeated: boolean
  /** Said by more texts than one, wherever, or a name. */
  isKnown: boolean
}

function chooseKeywords(uses: readonly Use[], average: number, howMany: number): Keyword[] {
  const carried = carriedByPhrases(uses)
  const candidates: Candidate[] = []
  for (const { term, texts, frequency, everywhere, isOwn } of uses) {
    const isRepeated = texts.length >= LEAST_TEXTS
    const isPhrase = term.words.length > 1
    const isChance = isPhrase && !isRepeated && !term.isName
    if (isChance || term.tells <= 0 || carried.has(term)) continue
    const counted = frequency * (1 - DISCOUNT / texts.length)
    candidates.push({
      term: term.shown,
      weight:
        counted * Math.log1p(average / everywhere) * term.tells * (term.isVague ? VAGUE : 1) * (isPhrase ? PHRASE : 1),
      words: term.words,
      everywhere: term.texts,
      isVague: term.isVague,
      isOwn,
      isRepeated,
      isKnown: term.isName || term.texts.length >= LEAST_TEXTS,
    })
  }
  candidates.sort(strongestFirst)
  const taken: Candidate[] = []
  const fillUp = (limit: number, wanted: (one: Candidate) => boolean, joins: (company: number) => boolean) => {
    if (taken.length < limit) addDiverse(taken, candidates.filter(wanted), Math.min(limit, howMany), joins)
  }
  const isNoun = ({ isVague, words, term }: Candidate) =>
    !isVague || (endsPhrase(words[words.length - 1]) && !isFirstName(term))
  const repeated = (one: Candidate) => one.isOwn && one.isRepeated && !one.isVague
  const vague = (one: Candidate) => one.isOwn && one.isRepeated && one.isVague && isNoun(one)
  const known = (one: Candidate) => one.isOwn && !one.isRepeated && !one.isVague && one.isKnown
  const unknown = (one: Candidate) => one.isOwn && !one.isRepeated && !one.isVague && !one.isKnown
  const withShare = (share: number) => (company: number) => company > 0 && company >= share * taken.length
  const always = () => true

  fillUp(howMany, repeated, company => taken.length < OPENING || company >= COMPANY * taken.length)
  fillUp(ENOUGH_FOR_A_NAME, one => one.isRepeated && !one.isVague, always)
  fillUp(ENOUGH_FOR_ONE_TEXT, known, withShare(COMPANY))
  fillUp(ENOUGH, known, withShare(0))
  fillUp(ENOUGH_FOR_ONE_TEXT, unknown, company => company >= Math.max(2, COMPANY_OF_ONLY_TEXT * taken.length))
  fillUp(ENOUGH, vague, withShare(COMPANY))
  fillUp(ENOUGH_FOR_A_NAME, one => one.isOwn && (one.isRepeated || one.isKnown) && isNoun(one), always)
  fillUp(1, always, always)
  return taken.sort(strongestFirst).map(({ term, weight }) => ({ term, weight }))
}

function strongestFirst(a: Keyword, b: Keyword): number {
  return b.weight - a.weight || (a.term < b.term ? -1 : a.term > b.term ? 1 : 0)
}

/** The parts of a group's phrases that hardly occur outside them: memory and pricing, where it says memory pricing. */
function carriedByPhrases(uses: readonly Use[]): Set<Term> {
  const inside = new Map<Term, Set<number>>()
  for (const { term, texts } of uses) {
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
  for (const { term, texts } of uses) if ((inside.get(term)?.size ?? 0) > CARRIED * texts.length) carried.add(term)
  return carried
}

/**
 * Maximal marginal relevance: at each step, of the terms that may join, the one that is strong, said together with many
 * of those taken, and least like them. For the first ones, all other candidates stand in for those taken.
 */
function addDiverse(
  taken: Candidate[],
  wanted: readonly Candidate[],
  limit: number,
  joins: (company: number) => boolean,
): void {
  const candidates = wanted.slice(0, CANDIDATES)
  const strongest = candidates[0]?.weight ?? 1
  // A term whose words have all been said adds nothing.
  const isNew = ({ words }: Candidate) =>
    !words.every(word => taken.some(other => other.words.some(said => sameStem(word, said))))
  const meet = (one: Waiting, other: Candidate) => {
    if (haveCommon(one.candidate.everywhere, other.everywhere)) one.company++
    one.likeTaken = Math.max(one.likeTaken, likeness(one.candidate, other))
  }
  const score = ({ candidate, company, likeTaken, centrality }: Waiting) => {
    const together = taken.length < OPENING ? centrality : company / taken.length
    return RELEVANCE * (candidate.weight / strongest) * together - (1 - RELEVANCE) * likeTaken
  }
  let waiting: Waiting[] = candidates.filter(isNew).map(candidate => ({
    candidate,
    company: 0,
    likeTaken: 0,
    centrality: taken.length < OPENING ? centralityOf(candidate, candidates) : 0,
  }))
  for (const one of waiting) for (const other of taken) meet(one, other)
  while (taken.length < limit) {
    const able = waiting.filter(({ company }) => joins(company))
    if (able.length === 0) return
    const next = able.reduce((best, other) => (score(other) > score(best) ? other : best)).candidate
    taken.push(next)
    waiting = waiting.filter(({ candidate }) => isNew(candidate))
    for (const one of waiting) meet(one, next)
  }
}

type Waiting = {
  candidate: Candidate
  /** How many of those taken it is said together with. */
  company: number
  likeTaken: number
  centrality: number
}

/** Share of the other candidates, by weight, that a term is said together with. */
function centralityOf(one: Candidate, candidates: readonly Candidate[]): number {
  let met = 0
  let all = 0
  for (const other of candidates) {
    if (other === one) continue
    all += other.weight
    if (haveCommon(one.everywhere, other.everywhere)) met += other.weight
  }
  return all === 0 ? 1 : met / all
}

/** 1 where one term holds the other, 0 for terms with no word in common. */
function likeness(a: Candidate, b: Candidate): number {
  const shared = a.words.filter(word => b.words.some(other => sameStem(word, other))).length
  return shared / Math.min(a.words.length, b.words.length)
}

/** Of two ascending lists. */
function haveCommon(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) return true
    if (a[i] < b[j]) i++
    else j++
  }
  return false
}

/** price and pricing, grow and growth, market and marketing: a reader sees the same word twice. */
export function sameStem(a: string, b: string): boolean {
  if (a === b) return true
  let common = 0
  while (common < a.length && a[common] === b[common]) common++
  // Four letters keep car and card apart, 55 % of the longer word keeps contract and contribution apart.
  return common >= 4 && common >= 0.55 * Math.max(a.length, b.length)
}
