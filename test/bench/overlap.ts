// What running embed, cluster-firm and name-topics side by side is worth: the three steps one after the other against all at
// once, with a chat API of our own that takes its time; and whether it holds up the embedding, which may be what costs.
// Runs the real commands in scratch homes. Which data is bench.ts's.

import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { loadavg } from 'node:os'
import { basename, join } from 'node:path'
import { stopDatabase } from '../../lib/db/embedded/start.ts'
import { count, say, thousands } from '../../lib/log.ts'
import { readSettings, SHIPPED_MODEL } from '../../lib/settings.ts'
import { after, startChatServer, subjects } from '../chat-server.ts'
import { succeed } from '../run.ts'
import { sharedFolder } from '../shared.ts'
import { sideBySide, stepsSideBySide } from '../side-by-side.ts'
import { describeMachine, seconds, table } from './markdown.ts'
import type { Data } from './quarter.ts'

// A quick model's answer with names for the eight topics of a firm takes about that long.
const ANSWER_SECONDS = 2

const STEPS = ['embed', 'cluster-firm', 'name-topics'] as const

export type OverlapReport = {
  source: string
  model: string
  firms: number
  sentences: number
  topics: number
  /** What the slow API takes for an answer, and how many of them the command has in hand at most. */
  answerSeconds: number
  concurrency: number
  /** One after the other. */
  alone: { verb: string; seconds: number }[]
  embedAloneSeconds: number
  /** All three at once: the whole, and the seconds of `embed` within. */
  slow: { seconds: number; embedSeconds: number }
  fast: { seconds: number; embedSeconds: number }
  loadAtStart: number
  loadAtEnd: number
}

/** Three times the same steps on the same calls: in turn and side by side with a slow API, side by side with a quick one. */
export async function measureOverlap({ quarter, transcripts, source }: Data, scratch: string): Promise<OverlapReport> {
  const [loadAtStart] = loadavg()
  const loaded = join(scratch, 'overlap')
  mkdirSync(loaded)
  await succeed(['ingest', transcripts, '--quarter', quarter], { home: loaded })
  await stopDatabase(loaded)
  // One that takes a while: the shipped model is done before the other two have well begun.
  const model = sharedFolder('model', 'all-MiniLM-L6-v2') ?? SHIPPED_MODEL

  /** A copy of the quarter with nothing done, its database warm, and an API that answers after so many seconds. */
  async function onCopy<Result>(
    answerSeconds: number,
    use: (home: string, env: Record<string, string>) => Promise<Result>,
  ) {
    const home = join(scratch, 'overlap-copy')
    cpSync(loaded, home, { recursive: true })
    const server = await startChatServer(() => after(1000 * answerSeconds, subjects))
    try {
      await succeed(['db-start'], { home })
      return await use(home, { XAI_API_KEY: 'none', QUARTERDECK_CHAT_URL: server.url, QUARTERDECK_MODEL: model })
    } finally {
      await server.close()
      await stopDatabase(home)
      rmSync(home, { recursive: true, force: true })
    }
  }

  const measureSideBySide = (answerSeconds: number) =>
    onCopy(answerSeconds, async (home, env) => {
      const start = performance.now()
      const { code, stderr } = await sideBySide(stepsSideBySide(quarter), { home, env }).ended
      if (code !== 0) throw new Error(`side by side ended with ${code}:\n${stderr}`)
      const took = (performance.now() - start) / 1000
      say(`bench: side by side, an answer in ${answerSeconds} s: ${took.toFixed(1)} s`)
      return { seconds: took, embedSeconds: await secondsOfEmbed(home) }
    })

  const inTurn = await onCopy(ANSWER_SECONDS, async (home, env) => {
    const alone: OverlapReport['alone'] = []
    for (const verb of STEPS) {
      const start = performance.now()
      await succeed([verb, '--quarter', quarter], { home, env })
      alone.push({ verb, seconds: (performance.now() - start) / 1000 })
      say(`bench: ${verb}, alone: ${alone[alone.length - 1].seconds.toFixed(1)} s`)
    }
    return { alone, embedAloneSeconds: await secondsOfEmbed(home), ...(await countsOf(home)) }
  })
  const slow = await measureSideBySide(ANSWER_SECONDS)
  const fast = await measureSideBySide(0)
  rmSync(loaded, { recursive: true, force: true })
  return {
    source,
    model: basename(model),
    answerSeconds: ANSWER_SECONDS,
    concurrency: readSettings({}).chatConcurrency,
    ...inTurn,
    slow,
    fast,
    loadAtStart,
    loadAtEnd: loadavg()[0],
  }
}

async function ask<Row>(home: string, statement: string): Promise<Row> {
  const [row] = JSON.parse(await succeed(['sql', statement, '--json'], { home }))
  return row
}

async function countsOf(home: string): Promise<Pick<OverlapReport, 'firms' | 'sentences' | 'topics'>> {
  return await ask(
    home,
    `select (select count(distinct firm_id)::int from calls) as firms, (select count(*)::int from sentences) as sentences,
      (select count(*)::int from topics) as topics`,
  )
}

/** By the record of the run: from its beginning to its end, without the start of the process. */
async function secondsOfEmbed(home: string): Promise<number> {
  const { seconds } = await ask<{ seconds: number }>(
    home,
    `select extract(epoch from finished_at - started_at)::float8 as seconds from runs where command = 'embed'`,
  )
  return seconds
}

export function reportOverlap(report: OverlapReport): string {
  const { source, model, firms, sentences, topics, answerSeconds, concurrency, alone, slow, fast } = report
  const sum = alone.reduce((total, step) => total + step.seconds, 0)
  const share = ((100 * slow.seconds) / sum).toFixed(0)
  return [
    `- Data: ${source}; ${count(firms, 'firm')}, ${count(sentences, 'sentence')}, ${count(topics, 'topic')}; model ${model}.`,
    `- A chat API on the same machine that takes ${answerSeconds} s for an answer; \`name-topics\` has up to ` +
      `${thousands(concurrency)} questions in hand, as it does unless told otherwise.`,
    describeMachine(report.loadAtStart, report.loadAtEnd),
    '',
    table(
      ['embed, cluster-firm, name-topics', 'seconds'],
      [
        ...alone.map(step => [`\`${step.verb}\` alone`, seconds(step.seconds)]),
        ['one after the other, the sum', seconds(sum)],
        [`side by side, as \`make quarter\` runs them (${share} % of the sum)`, seconds(slow.seconds)],
      ],
    ),
    '',
    table(
      ['`embed` itself', 'seconds'],
      [
        ['alone', seconds(report.embedAloneSeconds)],
        [`beside the others, an answer takes ${answerSeconds} s`, seconds(slow.embedSeconds)],
        ['beside the others, an answer takes no time', seconds(fast.embedSeconds)],
      ],
    ),
  ].join('\n')
}
