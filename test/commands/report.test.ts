// The report of the sample quarter by the commands a person types, on both databases: its numbers are those of the tables, it lies
// where it was wished, nothing else is lost for it, and where it cannot be made one is told why.

import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { gatherReport } from '../../commands/report.ts'
import { withDatabase } from '../../lib/db/open.ts'
import { STAGES } from '../../lib/db/work.ts'
import { commandsOfFirm, sentencesOfFirm, sentencesOfTheme } from '../../lib/page/browser/commands.ts'
import { unpacked } from '../../lib/page/pack.ts'
import type { ReportData } from '../../lib/page/report-data.ts'
import { readSettings, type Settings } from '../../lib/settings.ts'
import { onBothServers, optionsFor } from '../db/both-databases.ts'
import { bringQuarter, QUARTER } from '../ready-quarter.ts'
import { type Options, quarterdeck, root, sample, succeed } from '../run.ts'

const MADE = new Date('2026-01-02T03:04:05Z')

onBothServers('the report of the sample quarter', (start, name) => {
  let options: Options & { env: Record<string, string> }
  let settings: Settings
  let folder: string
  let data: ReportData

  const rows = (statement: string) =>
    withDatabase(settings, sql => sql.unsafe<Record<string, unknown>[]>(statement).then(found => [...found]))
  const gather = (sentences?: number) =>
    withDatabase(settings, sql => gatherReport(sql, { quarter: QUARTER, made: MADE, ...(sentences && { sentences }) }))
  const report = (...more: string[]) =>
    quarterdeck(['report', '--quarter', QUARTER, ...more], { ...options, cwd: folder })

  async function refused(words: string[], ...says: RegExp[]): Promise<void> {
    const outcome = await quarterdeck(words, { ...options, cwd: folder })
    for (const word of says) expect(outcome.stderr).toMatch(word)
    expect(outcome.stderr).not.toContain('should not have happened')
    expect(outcome.stdout).toBe('')
    expect(outcome.code).toBe(1)
  }

  beforeAll(async () => {
    const server = await start()
    options = optionsFor(server)
    settings = { ...readSettings({}), ...server.settings }
    folder = mkdtempSync(join(settings.home, 'report-'))
    // An earlier quarter that is half done: nothing of it may stand in the way of this one.
    await succeed(['ingest', join(sample('2016Q4'), '20161004_MU'), '--quarter', '2016Q4'], options)
    await withDatabase(settings, bringQuarter)
    // As the steps would have said; a restore knows nothing of them.
    for (const verb of STAGES)
      await rows(`insert into runs (command, quarter, options, code_version, worker, started_at, finished_at, outcome, counts)
        values ('${verb}', '${QUARTER}', '{}', '0', 'w', now(), now(), 'done', '{}')`)
    data = await gather()
  }, 100_000)

  it('counts what the tables hold', async () => {
    const [counts] = await rows(`
      select (select count(distinct firm_id)::int from calls where quarter = '${QUARTER}') as firms,
        (select count(*)::int from calls where quarter = '${QUARTER}') as calls,
        (select count(*)::int from sentences where quarter = '${QUARTER}') as sentences,
        (select count(*)::int from sentences where quarter = '${QUARTER}' and talk is not null) as talk,
        (select count(*)::int from topic_sentences where quarter = '${QUARTER}' and topic_id is not null) as "inTopics",
        (select count(*)::int from topics where quarter = '${QUARTER}') as topics,
        (select count(*)::int from theme_topics) as "topicsInThemes",
        (select count(*)::int from themes where quarter = '${QUARTER}') as themes`)
    expect(data.counts).toEqual(counts)
    expect(data.counts.themes).toBeGreaterThan(5)
  })

  it('has every theme, topic and firm of the quarter, each belonging where the tables say', async () => {
    const themes = await rows('select theme_id, name, firms, sentences, topics from themes')
    const found = data.themes.map(({ id, name, firms, sentences, topics }) => ({ id, name, firms, sentences, topics }))
    expect(found.map(one => ({ ...one, topics: one.topics.length })).sort((a, b) => (a.id < b.id ? -1 : 1))).toEqual(
      themes.map(({ theme_id: id, ...theme }) => ({ id, ...theme })),
    )
    const topics = await rows(
      'select topic_id, firm_id, theme_id, size, name from topics join topic_names using (topic_id) left join theme_topics using (topic_id) order by topic_id',
    )
    const sorted = [...data.topics].sort((a, b) => (a.id < b.id ? -1 : 1))
    expect(
      sorted.map(({ id, firm, theme, size, name: called }) => [id, data.firms[firm].id, theme, size, called]),
    ).toEqual(
      topics.map(row => {
        const theme = data.themes.findIndex(one => one.id === row.theme_id)
        return [row.topic_id, row.firm_id, theme < 0 ? null : theme, row.size, row.name]
      }),
    )
    expect(data.firms.map(firm => firm.id)).toEqual(
      (await rows(`select distinct firm_id from calls where quarter = '${QUARTER}' order by 1`)).map(
        row => row.firm_id,
      ),
    )
  })

  it('quotes sentences word for word, from the firm and topic that said them', async () => {
    const said = new Map(
      (
        await rows(
          'select s.sentence_id::text as id, s.firm_id, topic_id, position, speaker, role, section, text, call_date::text from sentences s join calls using (call_id) left join topic_sentences using (sentence_id)',
        )
      ).map(row => [row.id, row]),
    )
    expect(data.sentences.length).toBeGreaterThan(data.topics.length)
    for (const { id, firm, topic, date, ...sentence } of data.sentences)
      expect(said.get(id)).toMatchObject({
        ...{ firm_id: data.firms[firm].id, topic_id: topic === null ? null : data.topics[topic].id, call_date: date },
        ...{ text: sentence.text, speaker: sentence.speaker, role: sentence.role, section: sentence.section },
        position: sentence.position,
      })
    for (const [place, topic] of data.topics.entries())
      expect(topic.sentences.map(one => data.sentences[one].topic)).toEqual(topic.sentences.map(() => place))
    const [{ most }] = await rows('select max(cardinality(representative_sentences))::int as most from topics')
    const whole = await gather(5)
    expect(Math.max(...whole.topics.map(topic => topic.sentences.length))).toBe(most)
    expect(Math.max(...data.topics.map(topic => topic.sentences.length))).toBe(3)
  })

  it('shows commands that bring all sentences, for what an id may be called', async () => {
    for (const theme of data.themes.slice(0, 3))
      expect(await rows(sentencesOfTheme(theme.id))).toHaveLength(theme.sentences)
    const firm = data.firms[0]
    expect(await rows(sentencesOfFirm(QUARTER, firm.id))).toHaveLength(firm.sentences - firm.talk)
    expect(await rows(sentencesOfFirm(QUARTER, "O'Reilly"))).toEqual([])
  })

  it('has shares that add up: the topics of a firm and what is in none are its whole call', async () => {
    for (const [place, firm] of data.firms.entries()) {
      const topics = data.topics.filter(topic => topic.firm === place)
      const whole = topics.reduce((sum, topic) => sum + topic.shareOfCall, firm.shareInNoTopic)
      expect(whole).toBeCloseTo(1, 2) // each is rounded to four digits
    }
    const content = data.counts.sentences - data.counts.talk
    for (const theme of data.themes) {
      expect(theme.shareOfFirms).toBeCloseTo(theme.firms / data.counts.firms, 4)
      expect(theme.shareOfSentences).toBeCloseTo(theme.sentences / content, 4)
      expect(theme.representatives.length).toBeGreaterThan(0)
      expect(theme.representatives.every(one => data.topics[data.sentences[one].topic ?? -1].theme !== null)).toBe(true)
    }
  })

  it('has every topic somewhere on the map, those of a theme nearer to one another than to the rest', () => {
    const inside = (value: number) => value >= 0 && value <= 1
    expect(data.topics.every(topic => inside(topic.x) && inside(topic.y))).toBe(true)
    const mean = (pairs: number[]) => pairs.reduce((sum, one) => sum + one, 0) / pairs.length
    const distances = (same: boolean) =>
      data.topics.flatMap((a, i) =>
        data.topics
          .slice(i + 1)
          .filter(b => a.theme !== null && b.theme !== null && (a.theme === b.theme) === same)
          .map(b => Math.hypot(a.x - b.x, a.y - b.y)),
      )
    expect(mean(distances(true))).toBeLessThan(0.5 * mean(distances(false)))
  })

  it('says where every number comes from, step by step and the map last', () => {
    expect(data.provenance.runs.map(run => run.command)).toEqual([...STAGES, 'report'])
    expect(data.provenance.embeddingModel).toMatch(/^earnings-static-256 /)
    expect(data.provenance.runs.at(-1)).toMatchObject({
      finished: MADE.toISOString(),
      seed: 42,
      options: { epochs: 500 },
    })
  })

  it('is the same whenever it is made', async () => {
    expect(await gather()).toEqual(data)
  })

  it('writes one file in reports/ and prints its path alone; again in its place, and leaves no trace in the database', async () => {
    const file = join(folder, 'reports', `${QUARTER}.html`)
    const [before] = await rows('select count(*)::int as runs from runs')
    for (const _ of ['first', 'again']) {
      const { code, stdout, stderr } = await report()
      expect(`${code} ${stdout}`).toBe(`0 ${file}\n`)
      expect(stderr).toMatch(/report 2024Q3: \d+ themes, \d+ topics and 14 firms on a page of [\d.]+ MB/)
      expect(readdirSync(join(folder, 'reports'))).toEqual([`${QUARTER}.html`])
    }
    expect(await rows('select count(*)::int as runs from runs')).toEqual([before])
    const page = readFileSync(file, 'utf8')
    expect(page).toMatch(/^<!doctype html>/)
    expect(page.trimEnd()).toMatch(/<\/html>$/)
    expect(page).not.toContain(settings.home)
  })

  it('refuses a quarter that is half done, and one that is not there, with what to type next', async () => {
    await refused(
      ['report', '--quarter', '2016Q4'],
      /needs embed first: 1 of 1 left/,
      /→ quarterdeck embed --quarter 2016Q4/,
    )
    await refused(
      ['report', '--quarter', '1999Q1'],
      /no calls of 1999Q1; it has 2016Q4, 2024Q3/,
      /→ quarterdeck ingest/,
    )
    expect(existsSync(join(folder, 'reports', '2016Q4.html'))).toBe(false)
  })

  // What follows asks nothing of the database that one of them could answer otherwise.
  // The database has no part in it, so once is enough.
  const once = name === 'the embedded database' ? describe : () => {}
  once('where it goes', () => {
    const words = (...more: string[]) => ['report', '--quarter', QUARTER, ...more]

    it('goes where --output says, and knows which earlier reports lie there', async () => {
      await rows("update work set state = 'done' where stage = 'lineage' and quarter = '2016Q4'")
      writeFileSync(join(folder, '2016Q4.html'), '<!doctype html><p>mine</p>')
      const beside = async () => {
        const { stdout } = await report('--output', 'my page.html', '--sentences', '1', '--json')
        expect(JSON.parse(stdout)).toMatchObject({ file: join(folder, 'my page.html'), quarter: QUARTER, firms: 14 })
        const [, letters] = readFileSync(join(folder, 'my page.html'), 'utf8').split(/id="data">|<\/script>/)
        return unpacked(gunzipSync(Buffer.from(letters, 'base64')).toString()).beside
      }
      expect(await beside()).toEqual([])
      writeFileSync(join(folder, '2016Q4.html'), '<!doctype html><meta name="generator" content="quarterdeck">')
      expect(await beside()).toEqual(['2016Q4'])
    })

    it('shows commands that a shell takes as they are, whatever a firm is called', async () => {
      const [{ typed }] = commandsOfFirm(QUARTER, 'O\'Reilly "$(touch made)" `touch made` \\')
      const env = { ...process.env, ...options.env, QUARTERDECK_HOME: options.home }
      const { stdout, stderr } = spawnSync('bash', ['-c', typed], { cwd: root, env, encoding: 'utf8' })
      expect(stderr).toBe('')
      expect(stdout).toMatch(/^firm_id,.*nearest_earlier,topic_id\r?\n?$/)
      expect(existsSync(join(root, 'made'))).toBe(false)
    })

    it('overwrites no file that is something else', async () => {
      writeFileSync(join(folder, 'notes.html'), '<!doctype html><p>mine</p>')
      await refused(words('--output', 'notes.html'), /notes\.html is there and no report/, /→ \S/)
      expect(readFileSync(join(folder, 'notes.html'), 'utf8')).toBe('<!doctype html><p>mine</p>')
      writeFileSync(join(folder, 'empty'), '')
      await refused(words('--output', 'empty'), /empty is there and no report/, /→ \S/)
    })

    it('replaces no pipe, no device and no link', async () => {
      execFileSync('mkfifo', [join(folder, 'pipe')])
      symlinkSync(join(folder, 'elsewhere.html'), join(folder, 'link.html'))
      for (const file of ['pipe', 'link.html']) {
        await refused(words('--output', file), /it is no ordinary file/, /→ give another name to --output/)
        expect(lstatSync(join(folder, file)).isFile()).toBe(false)
      }
    })

    it('refuses a folder, a folder that is not there, and one that cannot be written', async () => {
      await refused(words('--output', folder), /it is a folder/, /→ --output/)
      await refused(words('--output', join(folder, 'no/where.html')), /there is no folder/, /→ make it: mkdir -p/)
    })

    it('opens in the browser of the system, whatever the file is called, without a shell', async () => {
      const programs = join(folder, 'programs')
      mkdirSync(programs)
      const called = join(folder, 'called')
      writeFileSync(join(programs, 'xdg-open'), `#!/bin/sh\nprintf '%s|' "$#" "$1" >${called}\n`)
      chmodSync(join(programs, 'xdg-open'), 0o755)
      const env = { ...options.env, PATH: programs }
      const odd = "it's; $(touch x) & report.html"
      const { code, stderr } = await quarterdeck(words('--open', '--output', odd), { ...options, env, cwd: folder })
      expect(code).toBe(0)
      expect(stderr).not.toContain('no browser')
      expect(readFileSync(called, 'utf8')).toBe(`1|${join(folder, odd)}|`)
    })
  })
})

describe('make quarter', () => {
  it('does the steps in their order, then shows the themes, and ends with the path of the report', () => {
    // Inside `make test` it would say which folder it enters.
    const words = ['--no-print-directory', '-n', 'quarter', `Q=${QUARTER}`]
    const { stdout } = spawnSync('make', words, { cwd: root, encoding: 'utf8' })
    const verbs = [...stdout.matchAll(/(?:quarterdeck\.mjs|side-by-side\.ts|--) ([a-z-]+) --quarter "2024Q3"/g)]
    expect(verbs.map(([, verb]) => verb)).toEqual([...STAGES, 'themes', 'report'])
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(`node bin/quarterdeck.mjs report --quarter "${QUARTER}"`)
  })
})
