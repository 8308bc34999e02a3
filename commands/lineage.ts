// lineage: gives the themes of all quarters identities that last, and says of each where it came from and what became of it.
// Goes from the oldest quarter to the newest and looks back only, so a quarter that is added changes nothing before it.
// How two quarters are compared is lib/math/lineage.ts.

import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { codeVersion } from '../lib/code-version.ts'
import type { Command } from '../lib/command.ts'
import { requireQuarter } from '../lib/db/calls.ts'
import type { Database, Queries } from '../lib/db/connect.ts'
import {
  eventsOf,
  lineageIdsOf,
  type QuarterOfThemes,
  quartersOfThemes,
  replaceLineage,
  type ShownLink,
  type StoredThemes,
  shownLinks,
  storedThemes,
  type ThemeIdentity,
  type ThemeLink,
} from '../lib/db/lineage.ts'
import { type BoundModel, boundModel } from '../lib/db/model-binding.ts'
import { withDatabase } from '../lib/db/open.ts'
import { recorded } from '../lib/db/runs.ts'
import { ALL_FIRMS, finishWork, openWork, recipesOf, requireEarlier, workOnQuarter } from '../lib/db/work.ts'
import { UserError } from '../lib/errors.ts'
import { FORCE, JSON_OUTPUT, optionalQuarterFlag, QUARTER, switchFlag } from '../lib/flags.ts'
import { count, say, thousands, warn } from '../lib/log.ts'
import {
  compareThemes,
  type Evidence,
  followThemes,
  returnedThemes,
  type ThemesOfQuarter,
} from '../lib/math/lineage.ts'
import { methodsOf } from '../lib/text/firm-topics.ts'
import { renderTable } from '../lib/text/table.ts'

/** Raised whenever a change of the code changes what follows from what: older answers then count as stale. */
const METHOD = 1

// A theme of the season is back after a year: so many quarters back it is looked for where it was not there just before.
const LOOK_BACK = 4

export const command: Command = {
  verb: 'lineage',
  summary: 'Follow themes from quarter to quarter: continued, new, split, merged, gone',
  about:
    'Compares the themes of each quarter in the database with those of the quarter before, by where their topics would ' +
    'belong, and gives each an identity that lasts. A quarter that is added changes nothing that was said about earlier ' +
    'ones. Does nothing where no themes have changed.',
  flags: [
    { ...QUARTER, summary: 'The quarter that has to be there, and whose links --links prints; all are followed' },
    { name: 'links', summary: 'Print how each theme follows from those before, with the evidence' },
    FORCE,
    JSON_OUTPUT,
  ],
  examples: ['lineage', 'lineage --quarter 2016Q4 --links'],
  async run({ flags, settings, print, columns }) {
    const quarter = optionalQuarterFlag(flags)
    const links = switchFlag(flags, 'links')
    await withDatabase(settings, async sql => {
      if (quarter !== undefined) {
        await requireQuarter(sql, quarter)
        await requireEarlier(sql, 'lineage', { quarter })
      }
      const force = switchFlag(flags, 'force')
      const { done } = await recorded(
        sql,
        { command: 'lineage', quarter, options: { force }, codeVersion: codeVersion() },
        async () => {
          const done = await followLineage(sql, { force })
          const written = done.filter(one => one.isWritten)
          return { done, counts: { quarters: written.length, themes: sum(written.map(one => one.themes)) } }
        },
      )
      const shown = done.filter(one => quarter === undefined || one.quarter === quarter)
      if (switchFlag(flags, 'json')) {
        const withLinks = []
        for (const one of shown) withLinks.push({ ...one, links: await shownLinks(sql, one.quarter) })
        print(JSON.stringify(withLinks))
      } else if (links) for (const one of shown) print(describe(one, await shownLinks(sql, one.quarter), columns))
    })
  },
}

type Event = ThemeLink['event']
export type QuarterFollowed = {
  quarter: string
  /** Null for the first quarter with themes. */
  earlierQuarter: string | null
  themes: number
  /** Themes by what happened to them; `gone` counts those of the quarter before. */
  events: Record<Event | 'first', number>
  /** False: it was said before, and nothing has changed. */
  isWritten: boolean
}

/** Follows the themes through all quarters whose themes are made, oldest first; writes those where anything has changed. */
export async function followLineage(
  sql: Database,
  { force = false }: { force?: boolean } = {},
): Promise<QuarterFollowed[]> {
  const bound = await boundModel(sql)
  const quarters = await quartersOfThemes(sql)
  for (const { quarter } of quarters.filter(one => !one.isDone))
    warn(`lineage: the themes of ${quarter} are not made, so it is left out (make quarter Q=${quarter})`)
  const withThemes = quarters.filter(one => one.isDone)
  const followed: QuarterFollowed[] = []
  let history = ''
  for (const [place, one] of withThemes.entries()) {
    // What stands for a quarter follows from its themes and those of all quarters before it, and from nothing else.
    history = createHash('sha256').update(`${history} ${one.quarter} ${one.contents}`).digest('hex')
    const recipe = JSON.stringify({ method: METHOD, history })
    const { todo } = await openWork(sql, 'lineage', { quarter: one.quarter, firmId: ALL_FIRMS }, recipe, force)
    const isWritten =
      todo > 0 &&
      (await workOnQuarter(sql, 'lineage', one.quarter, async claim => {
        const upToHere = withThemes.slice(0, place + 1)
        const { identities, links } = await followQuarter(sql, upToHere, bound)
        const write = (tx: Queries) => replaceLineage(tx, one.quarter, identities, links)
        const isOurs = await finishWork(sql, claim, recipe, write).catch(error => {
          throw isGone(error) ? changedMeanwhile(one.quarter, error) : error
        })
        if (isOurs) return true
        // To be tried again, but not with the recipe, and after quarters, of themes that are no more.
        const now = (await quartersOfThemes(sql)).filter(({ quarter, isDone }) => isDone && quarter <= one.quarter)
        if (!isDeepStrictEqual([...now], upToHere)) throw changedMeanwhile(one.quarter)
        return false
      }))
    const events = await eventsOf(sql, one.quarter)
    // A quarter without themes is nothing to compare with.
    const earlierQuarter = withThemes.slice(0, place).findLast(earlier => earlier.themes > 0)?.quarter ?? null
    followed.push({ quarter: one.quarter, earlierQuarter, themes: one.themes, events, isWritten })
    if (isWritten) {
      tell(followed[place])
      if (earlierQuarter !== null) await warnOfMethods(sql, one.quarter, earlierQuarter)
    }
  }
  if (!followed.some(one => one.isWritten)) say('lineage: nothing left to do')
  return followed
}

/** foreign_key_violation: an earlier theme that a link names is there no more. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23503'
}

function changedMeanwhile(quarter: string, cause?: unknown): UserError {
  return new UserError(
    `the themes of ${quarter}, or those before, were made anew while they were compared; nothing of ${quarter} was written`,
    'quarterdeck lineage, when the other command has ended',
    { cause },
  )
}

type Told = { identities: ThemeIdentity[]; links: ThemeLink[] }

/** The last of these quarters, against those before it that have themes. */
async function followQuarter(
  sql: Database,
  quarters: readonly QuarterOfThemes[],
  bound: BoundModel | undefined,
): Promise<Told> {
  const read = (quarter: string) => storedThemes(sql, quarter, bound?.dimension ?? 0)
  const withThemes = quarters.filter(one => one.themes > 0).map(one => one.quarter)
  const { quarter, themes } = quarters[quarters.length - 1]
  if (themes === 0) return { identities: [], links: [] }
  const here = await read(quarter)
  const earlier = withThemes.slice(0, -1).slice(-LOOK_BACK)
  const last = earlier.pop()
  if (last === undefined)
    return {
      identities: here.themeIds.map(themeId => ({ themeId, lineageId: themeId, event: 'first' })),
      links: [],
    }
  const before = await read(last)
  const { heirOf, links } = followThemes(compareThemes(comparable(before), comparable(here)), here.themeIds.length)
  const told = links.map(link => linkOf(link, link.event, before, here))
  const eventOf = new Map(told.filter(link => link.event !== 'gone').map(link => [link.themeId, link.event]))
  const idBefore = await lineageIdsOf(sql, last)
  const identities = here.themeIds.map((themeId, place): ThemeIdentity => {
    const heir = heirOf[place]
    const inherited = heir === undefined ? undefined : idBefore.get(before.themeIds[heir])
    const event = eventOf.get(themeId)
    // A theme without a link of its own has the row that shows the nearest there was; so every theme has an event.
    if (event === undefined || event === 'gone') throw new Error(`nothing is known of ${themeId}`)
    return { themeId, lineageId: inherited ?? themeId, event }
  })
  return await withReturned(sql, { identities, links: told }, here, earlier, new Set(idBefore.values()), read)
}

/** Looks for what is new among the themes that were last seen in an earlier quarter; the latest such quarter counts first. */
async function withReturned(
  sql: Database,
  { identities, links }: Told,
  here: StoredThemes,
  earlier: readonly string[],
  alive: Set<string>,
  read: (quarter: string) => Promise<StoredThemes>,
): Promise<Told> {
  const returned = new Map<string, { lineageId: string; link: ThemeLink }>()
  for (const quarter of earlier.toReversed()) {
    const isOpen = (one: ThemeIdentity) => one.event === 'new' && !returned.has(one.themeId)
    if (!identities.some(isOpen)) break
    const ids = await lineageIdsOf(sql, quarter)
    const isGone = ({ themeIds }: StoredThemes, place: number) => !alive.has(ids.get(themeIds[place]) ?? '')
    const then = await read(quarter)
    const pairs = compareThemes(comparable(then), comparable(here)).flat()
    const allowed = pairs.filter(pair => isGone(then, pair.earlier) && isOpen(identities[pair.later]))
    for (const pair of returnedThemes(allowed)) {
      const lineageId = ids.get(then.themeIds[pair.earlier])
      if (lineageId === undefined) continue
      const link = linkOf(pair, 'returned', then, here)
      returned.set(link.themeId, { lineageId, link })
    }
    for (const id of ids.values()) alive.add(id)
  }
  return {
    identities: identities.map(one => {
      const back = returned.get(one.themeId)
      return back === undefined ? one : { ...one, lineageId: back.lineageId, event: 'returned' as const }
    }),
    links: links.map(link => (link.event === 'new' ? (returned.get(link.themeId)?.link ?? link) : link)),
  }
}

function comparable({ themeIds, ...quarter }: StoredThemes): ThemesOfQuarter {
  return { ...quarter, themes: themeIds.length }
}

function linkOf({ earlier, later, ...evidence }: Evidence, event: Event, before: StoredThemes, here: StoredThemes) {
  return {
    earlierQuarter: before.quarter,
    earlierThemeId: before.themeIds[earlier],
    themeId: here.themeIds[later],
    ...evidence,
    event,
  }
}

/** Themes of two methods are of two sizes: some come or go by the method alone. */
async function warnOfMethods(sql: Database, quarter: string, earlier: string): Promise<void> {
  const of = async (one: string) => methodsOf(await recipesOf(sql, 'aggregate', one))[0]?.method
  const [here, before] = [await of(quarter), await of(earlier)]
  if (here !== undefined && before !== undefined && here !== before)
    warn(
      `the themes of ${quarter} are by ${here}, those of ${earlier} by ${before}: some of what is new or gone may be so by the ` +
        `method alone (make quarter Q=${earlier} METHOD=${here})`,
    )
}

function tell({ quarter, earlierQuarter, themes, events }: QuarterFollowed): void {
  const what =
    earlierQuarter === null
      ? `${count(themes, 'theme')}, with no earlier quarter to compare with`
      : `${count(themes, 'theme')} against ${earlierQuarter}: ${(
          ['continued', 'merged', 'split', 'returned', 'new'] as const
        )
          .map(event => `${thousands(events[event])} ${event}`)
          .join(', ')}; ${thousands(events.gone)} of ${earlierQuarter} gone`
  say(`lineage ${quarter}: ${what}`)
}

function describe(
  { quarter, earlierQuarter }: QuarterFollowed,
  links: readonly ShownLink[],
  columns: number | undefined,
) {
  if (earlierQuarter === null) return `The themes of ${quarter} are the first: there is no earlier quarter with themes.`
  const rows = links.map(link => [
    link.event,
    link.event === 'new' ? `(nearest: ${link.earlierName})` : link.earlierName,
    link.event === 'gone' ? `(nearest: ${link.name})` : link.name,
    link.similarity.toFixed(2),
    percent(link.topicsForward),
    percent(link.topicsBack),
    `${thousands(link.firmsInCommon)} (${link.firmsByChance.toFixed(0)})`,
  ])
  const titles = [
    { title: quarter },
    { title: 'from', wrap: true, max: 40 },
    { title: 'to', wrap: true, max: 40 },
    { title: 'cosine', align: 'right' as const },
    { title: 'forward', align: 'right' as const },
    { title: 'back', align: 'right' as const },
    { title: 'firms', align: 'right' as const },
  ]
  return [
    renderTable(titles, rows, columns),
    'forward: share of the earlier theme’s topics that would belong to the later one; back: the other way round. ' +
      'More than half, in either direction, is a link. firms: with a topic in both, and how many chance would bring.',
  ].join('\n\n')
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
