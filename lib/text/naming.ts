// Names for the topics of a firm, or for the themes of a quarter, from a language model: what is asked, what of the
// answers is believed, and what goes back once more. Names that fail twice are for the caller to replace by keywords.
// Knows no API: it is given a function that asks (lib/model/ask-once), and the prompt's text (data/prompts).

import { shareIn, tooAlike } from './alike.ts'
import {
  asData,
  fillPrompt,
  NAMES_SCHEMA,
  type Naming,
  parseNames,
  type Refused,
  THEME_NAMES_SCHEMA,
  type ThemeForNaming,
  type TopicForNaming,
  themesAsData,
  topicsAsData,
} from './prompt.ts'

export type NamingQuestion = {
  system: string
  user: string
  schema: typeof NAMES_SCHEMA | typeof THEME_NAMES_SCHEMA
  schemaName: string
  /** What the answer is expected to take. */
  answerTokens: number
}

/** What came of asking: an answer true to the schema, none that can be used (paid for or not), or no asking for want of money. */
export type NamingAnswer =
  | { answer: unknown; model: string; hash: string }
  | { unusable: string; paid: boolean }
  | { overLimit: true }

export type Ask = (question: NamingQuestion) => Promise<NamingAnswer>

/** What is to be named: how it is shown to the model, and the texts that its name must have to do with. */
export type Subject<Shown> = { shown: Shown; evidence: readonly string[] }

/** A prompt and how it is filled; the subjects of one question are numbered from 1. */
export type NamingTask<Shown> = {
  subjects: readonly Subject<Shown>[]
  question(
    subjects: readonly (Shown & { id: number; refused?: Refused | undefined })[],
    taken: string[],
  ): NamingQuestion
}

export type ModelName = Naming & { model: string; promptHash: string }

export type NamesFound = {
  /** By place among the subjects; undefined where no name could be had. */
  names: (ModelName | undefined)[]
  /** Why the names of some were of no use in the end, by place. */
  refused: Map<number, Refused>
  /** Set where a question had no usable answer. */
  unusable: string | undefined
  /** Something was not asked, or refused: another day it may be answered, and has not been paid for yet. */
  askAgain: boolean
  /** Set where the spending limit forbade questions. */
  overLimit: boolean
}

// A name and a summary of thirty words with their JSON: 60 tokens, and some for a model that is long-winded.
const TOKENS_A_NAME = 80
// Two thousand tokens of answer and five thousand of evidence: models answer that whole, and no call of MAEC needs more
// than one question (the most topics of a firm in 2016Q3 are 19).
const MOST_SUBJECTS = 25

// A name of a firm out of a file that says more than a name.
const LONGEST_FIRM = 100

/** The question about topics of one firm. */
export function topicQuestions(template: string, firm: string, quarter: string): NamingTask<TopicShown>['question'] {
  return (topics, taken) => ({
    ...fillPrompt(template, {
      firm: asData(firm.slice(0, LONGEST_FIRM)),
      quarter,
      taken: asData(taken),
      topics: topicsAsData(topics),
    }),
    schema: NAMES_SCHEMA,
    schemaName: 'topic_names',
    answerTokens: topics.length * TOKENS_A_NAME,
  })
}
export type TopicShown = Omit<TopicForNaming, 'id' | 'refused'>

/** The question about themes of a quarter. */
export function themeQuestions(template: string, quarter: string): NamingTask<ThemeShown>['question'] {
  return (themes, taken) => ({
    ...fillPrompt(template, { quarter, taken: asData(taken), themes: themesAsData(themes) }),
    schema: THEME_NAMES_SCHEMA,
    schemaName: 'theme_names',
    answerTokens: themes.length * TOKENS_A_NAME,
  })
}
export type ThemeShown = Omit<ThemeForNaming, 'id' | 'refused'>

/** The questions that a first round asks: one, or several of even size where there is much to name. */
export function firstQuestions<Shown>({ subjects, question }: NamingTask<Shown>): NamingQuestion[] {
  return parts(subjects.map((_, place) => place)).map(places => question(numbered(subjects, places, new Map()), []))
}

/**
 * Asks for all names, looks at them together, and sends those that cannot be used back as one group, with the reason:
 * of names that read alike all go, so that the model sees them side by side. Where they still do, the one stays that has
 * most to do with what it names.
 */
export async function askForNames<Shown>(task: NamingTask<Shown>, ask: Ask): Promise<NamesFound> {
  const all = task.subjects.map((_, place) => place)
  const found: NamesFound = {
    names: all.map(() => undefined),
    refused: new Map(),
    unusable: undefined,
    askAgain: false,
    overLimit: false,
  }
  await askRound(task, ask, found, all, [])
  refuseElsewhere(task, found)
  const first = [...found.names]
  for (const place of all) {
    const other = all.find(other => other !== place && clash(first[place], first[other]))
    if (other !== undefined) refuse(found, place, `it reads like the name of another: ${first[other]?.name}`)
  }
  const again = [...found.refused.keys()].sort((a, b) => a - b)
  if (again.length === 0) return found
  const taken = found.names.flatMap(name => name?.name ?? [])
  await askRound(task, ask, found, again, taken)
  refuseElsewhere(task, found)
  const second = [...found.names]
  const isBetter = (place: number, other: number) => {
    const [mine, theirs] = [place, other].map(one => (again.includes(one) ? shareOf(task, second, one) : Infinity))
    return mine > theirs || (mine === theirs && place < other)
  }
  for (const place of again)
    if (all.some(other => clash(second[place], second[other]) && !isBetter(place, other)))
      refuse(found, place, 'it still reads like the name of another')
  return found
}

/** One question, or several at once where there is much to name; fills in what can be used, and why the rest cannot. */
async function askRound<Shown>(
  { subjects, question }: NamingTask<Shown>,
  ask: Ask,
  found: NamesFound,
  places: readonly number[],
  taken: string[],
): Promise<void> {
  const refusedBefore = new Map(found.refused)
  // All of them to their end, or an answer that is under way when another fails would be paid for and lost.
  const asked = await Promise.allSettled(
    parts(places).map(async part => {
      const answered = await ask(question(numbered(subjects, part, refusedBefore), taken))
      if ('overLimit' in answered) {
        found.overLimit = true
        found.askAgain = true
      } else if ('unusable' in answered) {
        found.unusable = answered.unusable
        found.askAgain ||= !answered.paid
      } else {
        const { good, bad } = parseNames(
          answered.answer,
          part.map((_, i) => String(i + 1)),
        )
        for (const [id, naming] of good) {
          found.names[part[Number(id) - 1]] = { ...naming, model: answered.model, promptHash: answered.hash }
          found.refused.delete(part[Number(id) - 1])
        }
        for (const { id, name, reason } of bad) found.refused.set(part[Number(id) - 1], { name, reason })
      }
    }),
  )
  const failed = asked.find(one => one.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

function numbered<Shown>(
  subjects: readonly Subject<Shown>[],
  places: readonly number[],
  refused: ReadonlyMap<number, Refused>,
): (Shown & { id: number; refused?: Refused | undefined })[] {
  return places.map((place, i) => ({ ...subjects[place].shown, id: i + 1, refused: refused.get(place) }))
}

// "Strong growth at Acme", dictated by a sentence of one topic, shares a word with a third of the others and half of its
// words with one in 25. Of 2,673 names that a language model wrote (2016Q3), 37 fall under half and are asked for once
// more; of its summaries, which say in other words what was said, 4 fall under a quarter.
const SHARE_OF_NAME = 1 / 2
const SHARE_OF_SUMMARY = 1 / 4

/** A name or summary that has too little of its own topic in it was dictated by another one, or made up. */
function refuseElsewhere<Shown>(task: NamingTask<Shown>, found: NamesFound): void {
  for (const [place, name] of found.names.entries()) {
    if (name === undefined) continue
    const { evidence } = task.subjects[place]
    if (shareOf(task, found.names, place) < SHARE_OF_NAME)
      refuse(found, place, 'too few of its words are in what it names')
    else if (shareIn(name.summary, evidence) < SHARE_OF_SUMMARY)
      refuse(found, place, 'the summary is about something else')
  }
}

function shareOf<Shown>({ subjects }: NamingTask<Shown>, names: NamesFound['names'], place: number): number {
  return shareIn(names[place]?.name ?? '', subjects[place].evidence)
}

function refuse(found: NamesFound, place: number, reason: string): void {
  const name = found.names[place]
  if (name === undefined) return
  found.refused.set(place, { name: name.name, reason })
  found.names[place] = undefined
}

function clash(one: ModelName | undefined, other: ModelName | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other && tooAlike(one.name, other.name)
}

function parts(places: readonly number[]): number[][] {
  const howMany = Math.ceil(places.length / MOST_SUBJECTS)
  const size = Math.ceil(places.length / howMany)
  return Array.from({ length: howMany }, (_, part) => places.slice(part * size, (part + 1) * size))
}
