// What the report's page is made of, as plain data: `report` gathers it from the database, the page draws it.
// Things refer to one another by their place in these lists. Shares are 0 to 1. Null: the database does not say.

export type ReportData = {
  quarter: string
  /** The quarter that novelty and flow look back to; null where the database has no earlier one. */
  earlierQuarter: string | null
  /** Quarters whose report lies beside this one, as QUARTER.html. */
  beside: string[]
  provenance: Provenance
  counts: Counts
  /** Most firms first. */
  themes: ReportTheme[]
  topics: ReportTopic[]
  /** By firm_id. */
  firms: ReportFirm[]
  sentences: ReportSentence[]
  /** Themes of the quarter before that nothing here carries on, largest first. */
  gone: GoneTheme[]
  flow: Flow
}

export type Counts = {
  firms: number
  calls: number
  sentences: number
  /** Greetings, operators, procedure: left out of the clustering. */
  talk: number
  /** Sentences of some topic. */
  inTopics: number
  topics: number
  topicsInThemes: number
  themes: number
}

export type ReportTheme = {
  /** theme_id, such as 2016Q4/07. */
  id: string
  /** Null before `lineage` has run. */
  lineageId: string | null
  event: 'first' | 'new' | 'continued' | 'split' | 'merged' | 'returned' | null
  /** What it came from, in words ready to show: `2016Q3 Oil prices (similarity .93, 21 firms in common)`. */
  cameFrom: string[]
  name: string
  summary: string
  /** Best first. */
  keywords: string[]
  /** Places in `topics`, largest topic first. */
  topics: number[]
  firms: number
  /** Of the quarter's firms. */
  shareOfFirms: number
  sentences: number
  /** Of the sentences that are no talk. */
  shareOfSentences: number
  /** What makes it doubtful; empty when nothing. */
  flags: string[]
  /** Mean of 1 - similarity over its sentences that were compared with the firm's quarter before. */
  novelty: number | null
  /** Of its topics that were compared, how many are new to their firm. */
  newTopics: number | null
  /** Places in `sentences`: those that stand for it, of different firms, best first. */
  representatives: number[]
}

export type ReportTopic = {
  /** topic_id, such as 2016Q4/MU/03. */
  id: string
  firm: number
  /** Place in `themes`; null for a topic in none. */
  theme: number | null
  name: string
  summary: string
  keywords: string[]
  size: number
  /** Of the firm's sentences that are no talk. */
  shareOfCall: number
  /** Strength of membership in its theme; null for a topic in none. */
  probability: number | null
  givenToNearest: boolean
  isNew: boolean | null
  /** Cosine to the firm's nearest topic of its quarter before. */
  similarity: number | null
  /** Name of that topic. */
  earlier: string | null
  /** On the map of topics, 0 to 1 in both directions. */
  x: number
  y: number
  /** Places in `sentences`, those that stand for it, best first. */
  sentences: number[]
}

export type ReportFirm = {
  id: string
  ticker: string | null
  name: string | null
  identifiers: Record<string, string>
  /** ISO days. */
  callDates: string[]
  sentences: number
  talk: number
  /** Of the sentences that are no talk, those in no topic. */
  shareInNoTopic: number
  /** Its quarter before, which novelty was measured against. */
  earlierQuarter: string | null
  /** Mean of 1 - similarity over its sentences that are no talk. */
  novelty: number | null
  /** Share of its sentences that are near-boilerplate, talk left out. */
  repeated: number | null
}

export type ReportSentence = {
  /** sentence_id in decimal. */
  id: string
  firm: number
  topic: number | null
  date: string | null
  position: number
  speaker: string | null
  role: string | null
  section: 'prepared' | 'question' | 'answer' | null
  text: string
  /** Cosine to the nearest sentence of the firm's quarter before. */
  similarity: number | null
  repeated: boolean | null
}

export type GoneTheme = {
  id: string
  name: string
  firms: number
  sentences: number
  /** The nearest theme of this quarter, as a place in `themes`, which was not near enough. */
  nearest: number | null
  /** Share of topics of the one that would be in the other, whichever way is more; more than half would be a link. */
  topicsLinked: number | null
}

/** Themes of up to the last eight quarters and how they follow from one another. */
export type Flow = {
  /** Oldest first; the report's quarter is the last. */
  quarters: string[]
  nodes: { id: string; quarter: string; lineageId: string; name: string; firms: number; shareOfFirms: number }[]
  /** Places in `nodes`. */
  links: {
    source: number
    target: number
    event: 'continued' | 'split' | 'merged' | 'returned'
    similarity: number
    firmsInCommon: number
    firmsByChance: number
    topicsForward: number
    topicsBack: number
  }[]
}

/** Where every number comes from. */
export type Provenance = {
  /** When the page was made, ISO. */
  made: string
  codeVersion: string
  embeddingModel: string
  /** The last run of each step of this quarter, in pipeline order. */
  runs: {
    command: string
    finished: string | null
    codeVersion: string
    model: string | null
    seed: number | null
    options: Record<string, unknown>
    counts: Record<string, unknown>
  }[]
  /** Sources of the calls, shortened to what they have in common, and their formats. */
  sources: { format: string; calls: number; example: string }[]
}
