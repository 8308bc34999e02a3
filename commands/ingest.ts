// ingest: transcripts in, sentences out. Reads files, folders and standard input, keeps the calls of one quarter, cuts
// them into sentences, and marks talk (greetings, operator, safe harbour …) with its reason, so that later steps can
// leave it out. How a vendor's file is read is lib/text/formats; what counts as talk is lib/text/talk.ts.

import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import {
  callIdOf,
  knownCalls,
  MOST_SENTENCES_OF_A_CALL,
  type StoredCall,
  sentencesByFirm,
  setCommonWords,
  setTalk,
  sizeOfQuarter,
  talkOfQuarter,
  writeCall,
} from '../lib/db/calls.ts'
import type { Database } from '../lib/db/connect.ts'
import { withDatabase } from '../lib/db/open.ts'
import { analyzeQuarter, ensureQuarter } from '../lib/db/quarters.ts'
import { recorded } from '../lib/db/runs.ts'
import { placeOf } from '../lib/db/throughputs.ts'
import { ALL_FIRMS, finishWork, openWork, talkChanged, workOnQuarter } from '../lib/db/work.ts'
import { DatabaseLost, UsageError, UserError } from '../lib/errors.ts'
import { openTexts } from '../lib/files.ts'
import { FIRM, FORCE, JSON_OUTPUT, QUARTER, quarterFlag, switchFlag, textFlag } from '../lib/flags.ts'
import { finishedBeforeLeaving, Stopped, stopIfLeaving } from '../lib/leaving.ts'
import { count, duration, progress, say, thousands, warn } from '../lib/log.ts'
import { formatNames, formatOf } from '../lib/text/formats/all.ts'
import { cleanText } from '../lib/text/sentences.ts'
import { createQuarterCounts, localReason } from '../lib/text/talk.ts'
import { contentHash, quarterOf, sentencesOf, type Transcript } from '../lib/text/transcript.ts'

export const command: Command = {
  verb: 'ingest',
  summary: 'Read the earnings calls of a quarter from files, folders or standard input',
  about:
    'Reads transcripts, takes those of the quarter and passes over the others. A call that is in the database already ' +
    'is left alone, a changed one is replaced, and what later steps made of it becomes stale. Without PATH it only ' +
    'completes an ingest that was cut off.',
  words: 'PATH',
  flags: [
    QUARTER,
    { name: 'firm', value: 'FIRM', summary: 'Only this firm; names the firm of a text that does not say' },
    { name: 'format', value: 'FORMAT', summary: `Do not guess the format: ${formatNames.join(', ')}` },
    { name: 'skip-bad', summary: 'Go on without files that cannot be read, instead of ending with an error' },
    { ...FORCE, summary: 'Load calls again that are in the database already' },
    JSON_OUTPUT,
  ],
  examples: [
    'ingest data/samples/2024Q3 --quarter 2024Q3',
    'ingest wrds.csv.gz --quarter 2024Q3 --format capital-iq',
    'ingest - --quarter 2024Q3 --firm ACME < call.txt',
  ],
  async run({ words, flags, settings, print }) {
    const options = {
      paths: words,
      quarter: quarterFlag(flags),
      firm: textFlag(flags, FIRM.name),
      format: textFlag(flags, 'format'),
      force: switchFlag(flags, 'force'),
    }
    const { done } = await withDatabase(settings, sql =>
      recorded(
        sql,
        {
          command: 'ingest',
          quarter: options.quarter,
          options: {
            paths: words.join(' '),
            firm: options.firm ?? null,
            format: options.format ?? null,
            ...placeOf(settings),
          },
          codeVersion: codeVersion(),
        },
        async () => {
          const done = await ingest(sql, options)
          return { done, counts: { loaded: done.loaded, unchanged: done.unchanged, sentences: done.sentences } }
        },
      ),
    )
    if (switchFlag(flags, 'json')) print(JSON.stringify(done))
    if (done.refused.length > 0 && !switchFlag(flags, 'skip-bad')) {
      throw new UserError(
        `${count(done.refused.length, 'file')} could not be read, named above; the others are in the database`,
        'mend or remove them, or go on without them: --skip-bad',
      )
    }
  },
}

export type IngestOptions = {
  paths: readonly string[]
  quarter: string
  firm?: string | undefined
  format?: string | undefined
  force?: boolean
}

export type IngestResult = {
  quarter: string
  loaded: number
  unchanged: number
  /** Calls of other quarters or firms. */
  passedOver: number
  /** Files that could not be read; the others were. */
  refused: { file: string; reason: string }[]
  /** Of the whole quarter, after this run. */
  firms: number
  calls: number
  sentences: number
  talk: number
}

/** Loads the calls of a quarter from the paths and marks talk over the whole quarter. */
export async function ingest(sql: Database, options: IngestOptions): Promise<IngestResult> {
  const { quarter, paths } = options
  await ensureQuarter(sql, quarter)
  if (paths.length === 0 && (await sizeOfQuarter(sql, quarter)).calls === 0)
    throw new UsageError(
      `no transcripts given, and the database has none of ${quarter}`,
      `quarterdeck ingest PATH --quarter ${quarter}, or make quarter Q=${quarter} TRANSCRIPTS=PATH`,
    )
  const tally = await finishedBeforeLeaving(() => loadCalls(sql, options))
  const talk = await markTalk(sql, quarter)
  if (tally.loaded > 0) await analyzeQuarter(sql, quarter)
  const size = await sizeOfQuarter(sql, quarter)
  if (paths.length > 0 && tally.loaded + tally.unchanged === 0) refuseEmptyHanded(tally, options)
  const share = size.sentences === 0 ? 0 : (100 * talk) / size.sentences
  say(
    `ingest ${quarter}: ${count(tally.loaded, 'call')} loaded, ${thousands(tally.unchanged)} unchanged, ` +
      `${thousands(tally.passedOver)} passed over; the quarter has ${count(size.firms, 'firm')}, ` +
      `${count(size.calls, 'call')}, ${count(size.sentences, 'sentence')}, ${share.toFixed(0)} % talk`,
  )
  return {
    quarter,
    loaded: tally.loaded,
    unchanged: tally.unchanged,
    passedOver: tally.passedOver,
    refused: tally.refused,
    ...size,
    talk,
  }
}

type Tally = {
  loaded: number
  unchanged: number
  passedOver: number
  /** Of those, calls of the quarter without a single sentence. */
  empty: number
  refused: { file: string; reason: string }[]
  /** Calls seen, by their own quarter: says what else there is when the wanted quarter is not. */
  quarters: Map<string, number>
}

async function loadCalls(sql: Database, options: IngestOptions): Promise<Tally> {
  const { quarter, firm } = options
  const known = await knownCalls(sql, quarter)
  const sourceOfCall = new Map<string, string>()
  const tally: Tally = { loaded: 0, unchanged: 0, passedOver: 0, empty: 0, refused: [], quarters: new Map() }
  const start = Date.now()
  let said = start

  for await (const file of openTexts(options.paths)) {
    try {
      const format = await formatOf(file, options.format)
      for await (const transcript of format.read(file, { firm, quarter })) {
        const itsQuarter = quarterOf(transcript)
        tally.quarters.set(itsQuarter, (tally.quarters.get(itsQuarter) ?? 0) + 1)
        if (itsQuarter !== quarter || (firm !== undefined && !isFirm(transcript, firm))) {
          tally.passedOver++
          continue
        }
        const call = storedCall(transcript, quarter, format.name)
        if (call.sentences.length === 0) {
          warn(`${call.source} has no text; passed over`)
          tally.empty++
          tally.passedOver++
          continue
        }
        const id = call.callId.toString()
        const earlier = sourceOfCall.get(id)
        if (earlier !== undefined) {
          warn(`${call.source} is the same call as ${earlier}; the first one counts`)
          continue
        }
        sourceOfCall.set(id, call.source)
        if (known.get(id) === call.contentHash && !options.force) {
          tally.unchanged++
          continue
        }
        await writeCall(sql, call)
        tally.loaded++
        stopIfLeaving()
        // How many files a folder or a stream still holds is not known, so there is no time left to tell.
        if (Date.now() - said > 2000) {
          said = Date.now()
          say(`ingest ${quarter}: ${count(tally.loaded, 'call')} in ${duration((said - start) / 1000)}`)
        }
      }
    } catch (error) {
      // Only what is wrong with the file itself is the file's fault: a lost database is not, nor that we were told to leave.
      const isNotItsFault = [UsageError, DatabaseLost, Stopped].some(kind => error instanceof kind)
      if (!(error instanceof UserError) || isNotItsFault) throw error
      warn(error.message)
      if (error.hint) say(`  → ${error.hint}`)
      tally.refused.push({ file: file.name, reason: error.message })
    }
  }
  return tally
}

/** By id, ticker or name, in any case: as the later steps understand --firm. */
function isFirm({ firmKey, ticker, name }: Transcript, wanted: string): boolean {
  return [firmKey, ticker, name].some(one => one?.toUpperCase() === wanted.trim().toUpperCase())
}

function storedCall(transcript: Transcript, quarter: string, format: string): StoredCall {
  const sentences = [...sentencesOf(transcript)].map(({ text, turn }) => ({
    speaker: cleaned(turn.speaker),
    // One spelling for the operator, whatever the vendor calls her: markTalk reads it again.
    role: turn.operator ? OPERATOR : cleaned(turn.role),
    section: turn.section,
    text,
    talk: localReason(text, turn.operator),
  }))
  if (sentences.length > MOST_SENTENCES_OF_A_CALL)
    throw new UserError(
      `${transcript.sourceName} has ${thousands(sentences.length)} sentences; a call has at most ${thousands(MOST_SENTENCES_OF_A_CALL)}`,
      'check that the file holds one call, not many',
    )
  return {
    callId: callIdOf(transcript.key),
    firmId: cleanText(transcript.firmKey),
    ticker: cleaned(transcript.ticker),
    name: cleaned(transcript.name),
    identifiers: Object.fromEntries(
      Object.entries(transcript.identifiers).map(([key, value]) => [key, cleanText(value)]),
    ),
    quarter,
    calendarQuarter: transcript.callDate === null ? null : quarterOf({ ...transcript, fiscalQuarter: null }),
    fiscalQuarter: transcript.fiscalQuarter,
    callDate: transcript.callDate,
    source: transcript.sourceName,
    format,
    contentHash: contentHash(transcript),
    sentences,
  }
}

const OPERATOR = 'Operator'

/** As the sentences are cleaned: control characters out (Postgres takes no NUL), white space to one blank. */
function cleaned(text: string | null): string | null {
  return text === null ? null : cleanText(text) || null
}

/** Its number is raised whenever a change of the code changes what is marked as talk. */
const TALK_RECIPE = JSON.stringify({ talk: 2 })

/**
 * Marks talk over the whole quarter, where calls were loaded since the last time or other rules had marked it: which
 * phrases many firms share can only be known when all firms are there. Firms whose marks change are clustered again.
 * Returns the sentences marked.
 */
async function markTalk(sql: Database, quarter: string): Promise<number> {
  await openWork(sql, 'ingest', { quarter, firmId: ALL_FIRMS }, TALK_RECIPE, false)
  await workOnQuarter(sql, 'ingest', quarter, async claim => {
    const { firms } = await sizeOfQuarter(sql, quarter)
    const bar = progress(`ingest ${quarter}: marking talk`, 2 * firms, 'firms')
    const counts = createQuarterCounts()
    for await (const { firmId, sentences } of sentencesByFirm(sql, quarter)) {
      for (const { text } of sentences) counts.count(firmId, text)
      bar.step()
    }
    const changed = new Map<string, [bigint, string | null][]>()
    for await (const { firmId, sentences } of sentencesByFirm(sql, quarter)) {
      const marks = sentences.flatMap(({ sentenceId, text, role, talk }): [bigint, string | null][] => {
        const reason = counts.reason(text, role === OPERATOR)
        return reason === talk ? [] : [[sentenceId, reason]]
      })
      if (marks.length > 0) changed.set(firmId, marks)
      bar.step()
    }
    bar.end()
    // In the one transaction that is fenced: another process may have loaded calls meanwhile, and counted them.
    return await finishWork(sql, claim, TALK_RECIPE, async tx => {
      for (const marks of changed.values()) await setTalk(tx, quarter, marks)
      if (changed.size > 0) await talkChanged(tx, quarter, [...changed.keys()])
      // Every firm's keywords are weighed by these words: the same calls have to give the same keywords, loaded at once
      // or one by one.
      if (await setCommonWords(tx, quarter, counts.commonWords())) await talkChanged(tx, quarter)
    })
  })
  return await talkOfQuarter(sql, quarter)
}

function refuseEmptyHanded(tally: Tally, { quarter, firm, paths }: IngestOptions): never {
  if (tally.refused.length > 0)
    throw new UserError(
      `nothing of ${paths.join(' ')} could be read: ${tally.refused[0].reason}`,
      'see the lines above',
    )
  if (tally.empty > 0)
    throw new UserError(
      `${paths.join(' ')} has ${count(tally.empty, 'call')} of ${quarter}, and none with any text`,
      'fetch the transcripts again',
    )
  const found = [...tally.quarters].sort().map(([name, calls]) => `${name} (${count(calls, 'call')})`)
  if (found.length === 0)
    throw new UserError(`${paths.join(' ')} holds no earnings call`, 'quarterdeck ingest --help lists what can be read')
  const others = [...tally.quarters.keys()].filter(name => name !== quarter).sort()
  throw new UserError(
    `no call of ${quarter}${firm ? ` by ${firm}` : ''} in ${paths.join(' ')}; found ${found.join(', ')}`,
    others.length > 0 ? `--quarter ${others[0]}` : 'check --firm',
  )
}
