// Figures as text for Prometheus: pure, from names and numbers to lines. Which figures there are is lib/model.
// The text is OpenMetrics and Prometheus' older format at once, since node_exporter's textfile collector reads only that.
// So nothing here is a counter: a sample `x_total` is declared as `x` in the one format and as `x_total` in the other.

export type Labels = Readonly<Record<string, string>>

export type Sample = {
  /** What nobody knows is left out: a gap in a picture, not a zero. */
  value: number | null | undefined
  labels?: Labels
  /** Of a summary. */
  part?: '_sum' | '_count'
}

export type Metric = {
  /** In whole words, the unit last, as Prometheus' naming practice wants it. */
  name: string
  /** One line without quotes and backslashes, which the two formats escape differently. */
  help: string
  /** A gauge for all that a run counts, too: it begins at nothing with each run, and nobody takes rates across runs. */
  type: 'gauge' | 'summary'
  samples: readonly Sample[]
}

// OpenMetrics has the unit in a line of its own, and it must be the name's last word.
const UNITS = ['seconds', 'bytes', 'ratio', 'celsius', 'watts', 'joules', 'dollars']

/** `labels` go on every sample. */
export function openMetricsText(metrics: readonly Metric[], labels: Labels): string {
  const lines = metrics.flatMap(({ name, help, type, samples }) => {
    const known = samples.flatMap(({ value, labels: own, part = '' }) =>
      value != null && Number.isFinite(value) ? [`${name}${part}${labelsText({ ...labels, ...own })} ${value}`] : [],
    )
    if (known.length === 0) return []
    const unit = UNITS.find(word => name.endsWith(`_${word}`))
    const unitLine = unit === undefined ? [] : [`# UNIT ${name} ${unit}`]
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...unitLine, ...known]
  })
  return [...lines, '# EOF', ''].join('\n')
}

function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
