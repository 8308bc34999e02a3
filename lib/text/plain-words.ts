// Whether topics and themes are talk: by the plain words that set them apart, and a list of words of discourse.
// Here because keywords cannot tell: they leave discourse out by construction, whatever the topic is.
// The measure only. What is kept out of the clustering is talk.ts, what is kept out of the keywords words.ts.

import { STOP_WORDS, words } from './words.ts'

// Greeting, thanking and praising one another, running the call, saying who is on it and what the lawyers want said,
// agreeing, hedging, and speaking of one's own thinking and speaking. A list of its own: DISCOURSE_WORDS is wider, for
// a word may be useless as a keyword (quarter, million, company, first, growing) and yet be what is said. Verbs that any
// sentence needs (get, take, make, come) are not here: with them twice as many topics of 2016Q3 counted (107 for 57, by the
// rules of talk of that day), but with talk left in hardly more of those that ingest calls talk (65 % for 60). Nor are
// words that are more often something else on a call: well (as well), back, point, line. docs/method.md states the list; a
// test compares them.
const DISCOURSE = `
  good morning afternoon evening night day hello hi hey welcome ladies gentlemen folks guys guy bye bye-bye goodbye
  thank thanks thanking thankful appreciate appreciated appreciation congratulations congrats kudos please pleasure
  glad happy pleased excited sorry excuse apologize wish great nice fantastic excellent wonderful helpful
  operator question questions answer answers answered answering ask asks asked asking queue q&a session instructions
  call calls caller callers conference webcast replay recording transcript dial dialing listen listening hear heard
  join joining joined participate participating participation attending attendance analyst analysts turn
  follow-up follow-ups followup reminder remind today's remarks prepared comment comments slide slides presentation
  conclude concludes concluded concluding
  chief officer president ceo cfo
  forward-looking statement statements cautionary disclaimer differ materially uncertainties filings 10-q 10-k sec
  press release releases website gaap non-gaap measures reconciliation reconciliations
  yes yeah yep yup nope okay ok alright sure right correct exactly absolutely definitely certainly obviously clearly
  course indeed fair agree agreed true
  probably possibly hopefully guess suppose kind kinds kinda sort sorts bit little lot lots like really actually
  basically pretty fairly generally frankly honestly literally essentially oh ah uh um hmm
  think thinking thinks thought thoughts know known knows mean means say says saying said see look looks looking looked
  talk talks talked talking tell tells telling told mention mentioned mentioning speak speaks speaking spoke discuss
  discussed discussing discussion understand believe feel feeling remember recall wonder wondering curious imagine
  assume clarify clarification explain describe note noted refer color colour clarity detail details sense perspective
  standpoint
  go goes going gone gonna
`

/** Words of discourse: a topic that is set apart by such words is talk. */
export const TALK_WORDS: ReadonlySet<string> = new Set(DISCOURSE.trim().split(/\s+/))

// As many as BERTopic gives a topic.
const PLAIN_WORDS = 10
// With four of ten, 6 % of the topics of 2016Q3 would be talk instead of 2, most of them content in spoken English.
const HALF = PLAIN_WORDS / 2

/** How often each word stands in some sentences. */
export type WordTally = Map<string, number>

/** Counts the words of a sentence in; grammar, and single letters, which BERTopic's tokenizer passes over, are none. */
export function addWords(tally: WordTally, sentence: string): void {
  for (const word of words(sentence))
    if (word.length > 1 && !STOP_WORDS.has(word)) tally.set(word, (tally.get(word) ?? 0) + 1)
}

export function addTally(to: WordTally, tally: WordTally): void {
  for (const [word, times] of tally) to.set(word, (to.get(word) ?? 0) + times)
}

/**
 * The ten words of each group that set it apart most, best first, by class-based TF-IDF as BERTopic has it (Grootendorst
 * 2022): single words, counted as often as they are said, nothing out but grammar. `rest` is what is in no group: one
 * class more, as BERTopic counts its outliers.
 */
export function plainWords(groups: readonly WordTally[], rest: WordTally): string[][] {
  const classes = rest.size === 0 ? groups : [...groups, rest]
  const everywhere: WordTally = new Map()
  for (const tally of classes) addTally(everywhere, tally)
  let all = 0
  for (const times of everywhere.values()) all += times
  const average = all / classes.length
  return groups.map(tally =>
    Array.from(tally, ([word, times]) => ({
      word,
      weight: times * Math.log1p(average / (everywhere.get(word) ?? times)),
    }))
      .sort((a, b) => b.weight - a.weight || (a.word < b.word ? -1 : 1))
      .slice(0, PLAIN_WORDS)
      .map(({ word }) => word),
  )
}

/** Of these plain words at least half are discourse. What is missing to ten counts so too: nothing more was said. */
export function isTalk(plain: readonly string[]): boolean {
  return plain.filter(word => !TALK_WORDS.has(word)).length <= HALF
}
