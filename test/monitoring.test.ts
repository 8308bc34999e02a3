// docs/monitoring: alerts that fire when they should, a dashboard that Grafana can draw, and no figure that is not written.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { embedMetrics } from '../lib/model/embed-metrics.ts'
import { LIMITS } from '../lib/model/thresholds.ts'
import { fullRun, namesIn, STATE } from './model/full-run.ts'
import { hasPromtool, promtool } from './promtool.ts'
import { root } from './run.ts'

const folder = join(root, 'docs/monitoring')
const rules = readFileSync(join(folder, 'prometheus-alerts.yml'), 'utf8')
const readme = readFileSync(join(folder, 'README.md'), 'utf8')

type Panel = {
  id: number
  type: string
  title: string
  datasource?: { type: string; uid: string }
  gridPos: { x: number; y: number; w: number; h: number }
  fieldConfig?: { defaults: { unit?: string } }
  targets?: { refId: string; expr: string; legendFormat: string; datasource: { uid: string } }[]
}
type Variable = { name: string; type: string; query: string | { query: string } }
const dashboard = JSON.parse(readFileSync(join(folder, 'grafana-dashboard.json'), 'utf8')) as {
  title: string
  uid: string
  schemaVersion: number
  templating: { list: Variable[] }
  panels: Panel[]
}
const drawn = dashboard.panels.filter(panel => panel.type !== 'row')
const expressions = drawn.flatMap(panel => (panel.targets ?? []).map(target => target.expr))

/** What a program can ask for: the parts of a summary have names of their own. */
const written = namesIn(embedMetrics(fullRun().figures(60_000), STATE, {})).flatMap(name =>
  name === 'quarterdeck_embed_batch_seconds' ? [name, `${name}_sum`, `${name}_count`] : [name],
)

/** Names of our figures in PromQL: outside of quotes and of the braces of selectors. */
function namesAskedFor(promql: string): string[] {
  return promql.replace(/\{[^}]*\}|"[^"]*"/g, '').match(/\bquarterdeck_embed[\w:]*/g) ?? []
}

describe('the alerts', () => {
  // Each expression is on the lines from `expr:` to the next key.
  const asked = [...rules.matchAll(/^ +expr: ([\s\S]*?)(?=^ +(?:for|labels|- alert|- record|#)|(?![\s\S]))/gm)]
  const recorded = [...rules.matchAll(/- record: (\S+)/g)].map(match => match[1])

  it('ask only for figures that are written', () => {
    expect(asked).toHaveLength((rules.match(/- (alert|record):/g) ?? []).length)
    const names = asked.flatMap(match => namesAskedFor(match[1]))
    expect(names.length).toBeGreaterThan(asked.length)
    expect(names.filter(name => !written.includes(name) && !recorded.includes(name))).toEqual([])
  })

  it('have the limits at which the program warns', () => {
    const of = (alert: string) => rules.slice(rules.indexOf(`- alert: QuarterdeckEmbed${alert}\n`)).split('- alert:')[1]
    const { cardFull, cardStarved, cardMemory, slowBatches } = LIMITS
    expect(of('CardFull')).toContain(`[${cardFull.seconds / 60}m]) > ${cardFull.utilization}\n`)
    expect(of('CardFull')).toContain(`elapsed_seconds >= ${cardFull.seconds}\n`)
    expect(of('CardStarved')).toContain(`[${cardStarved.seconds / 60}m]) < ${cardStarved.utilization}\n`)
    expect(of('CardStarved')).toContain(`elapsed_seconds >= ${cardStarved.seconds}\n`)
    expect(of('CardMemoryHigh')).toContain(`> ${cardMemory.share}\n`)
    expect(of('CardMemoryHigh')).toContain(`for: ${cardMemory.seconds / 60}m\n`)
    expect(of('BatchesSlow')).toContain(`> ${slowBatches.seconds}\n`)
    expect(of('BatchesSlow')).toContain(`_count >= ${slowBatches.batches}\n`)
  })

  it('are all in the README', () => {
    const alerts = [...rules.matchAll(/- alert: QuarterdeckEmbed(\S+)/g)].map(match => match[1])
    expect([...readme.matchAll(/^\| ([A-Z]\w+)(?: \(info\))? \|/gm)].map(match => match[1])).toEqual(alerts)
  })

  it.skipIf(!hasPromtool)('are right by promtool, and fire in its tests when they should and only then', () => {
    const file = (name: string) => join(folder, name)
    expect(promtool(['check', 'rules', file('prometheus-alerts.yml')]).said).toContain('SUCCESS')
    expect(promtool(['test', 'rules', file('prometheus-alerts.test.yml')])).toMatchObject({ code: 0 })
  })
})

describe('the dashboard', () => {
  it('asks only for figures that are written, and for every one of them', () => {
    expect([...new Set(expressions.flatMap(namesAskedFor))].sort()).toEqual([...written].sort())
  })

  it.skipIf(!hasPromtool)('asks in PromQL', () => {
    expect(expressions.length).toBeGreaterThan(25)
    const asked = expressions.map((expr, i) => ({ record: `answer${i}`, expr }))
    // JSON is YAML, and a rules file is what promtool reads expressions from.
    const scratch = mkdtempSync(join(tmpdir(), 'quarterdeck-test-'))
    writeFileSync(join(scratch, 'rules.yml'), JSON.stringify({ groups: [{ name: 'dashboard', rules: asked }] }))
    const { code, said } = promtool(['check', 'rules', join(scratch, 'rules.yml')])
    rmSync(scratch, { recursive: true })
    expect([code, said]).toEqual([0, expect.stringContaining(`SUCCESS: ${asked.length} rules`)])
  })

  it('takes everything from the data source and the run that are chosen at its top', () => {
    const variables = dashboard.templating.list
    expect(variables.map(({ name, type }) => `${name}: ${type}`)).toEqual([
      'datasource: datasource',
      'instance: query',
      'quarter: query',
      'model: query',
    ])
    for (const { query } of variables.slice(1))
      expect(written).toContain(/^label_values\((\w+)/.exec(typeof query === 'string' ? query : query.query)?.[1])
    for (const panel of drawn) {
      const sources = [panel.datasource, ...(panel.targets ?? []).map(target => target.datasource)]
      for (const source of sources) expect(source).toEqual({ type: 'prometheus', uid: '$' + '{datasource}' })
    }
    for (const expression of expressions) {
      const selectors = expression.match(/quarterdeck_embed\w+(\{[^}]*\})?/g) ?? []
      for (const one of selectors)
        for (const name of ['instance', 'quarter', 'model']) expect(one).toContain(`${name}=~"$${name}"`)
    }
  })

  it('gives every panel a number of its own, a title, a unit and a legend', () => {
    expect(new Set(dashboard.panels.map(panel => panel.id)).size).toBe(dashboard.panels.length)
    for (const panel of drawn) {
      expect(panel.title).not.toBe('')
      expect(panel.fieldConfig?.defaults.unit, panel.title).toMatch(
        /^(none|short|s|percentunit|decbytes|celsius|watt|joule|currencyUSD|suffix:\/s)$/,
      )
      for (const target of panel.targets ?? []) expect(target.legendFormat).not.toBe('')
    }
  })

  it('has the unit of each figure that has one in its name', () => {
    const units = {
      seconds: 's',
      ratio: 'percentunit',
      bytes: 'decbytes',
      celsius: 'celsius',
      watts: 'watt',
      joules: 'joule',
      dollars: 'currencyUSD',
    }
    for (const panel of drawn) {
      for (const target of panel.targets ?? []) {
        const bare = /^quarterdeck_embed\w*_(seconds|ratio|bytes|celsius|watts|joules|dollars)\{[^}]*\}$/.exec(
          target.expr,
        )
        if (bare) expect(panel.fieldConfig?.defaults.unit, panel.title).toBe(units[bare[1] as keyof typeof units])
      }
    }
  })

  it("lays its panels side by side within Grafana's 24 columns, none over another", () => {
    const taken = new Set<string>()
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x} ${y}`), title).toBe(false)
          taken.add(`${x} ${y}`)
        }
    }
  })
})
