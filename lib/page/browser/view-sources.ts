// Sources: where every number of the report comes from, so that somebody else can make them again.

import { element } from './dom.ts'
import { thousands } from './format.ts'
import { facts, section, table, type View } from './pieces.ts'
import type { Report } from './report.ts'

export function sourcesView(report: Report): View {
  const { provenance, quarter, earlierQuarter, counts } = report
  const seeds = [...new Set(provenance.runs.flatMap(run => run.seed ?? []))]
  return {
    title: 'Sources',
    nodes: [
      element('h1', {}, 'Where the numbers come from'),
      facts([
        ['Quarter', quarter],
        ['Compared with', earlierQuarter ?? 'no earlier quarter in the database'],
        ['Embedding model', provenance.embeddingModel],
        ['Seed', seeds.join(', ')],
        ['Code version', provenance.codeVersion],
        ['Page made', moment(provenance.made)],
      ]),
      section(
        'Runs',
        element('p', {}, 'The last run of each step, in order.'),
        // Not a table: options and counts are lists of their own, which no column of a telephone holds.
        provenance.runs.map(run =>
          element(
            'section',
            {},
            element('h3', {}, run.command),
            facts(
              [
                ['Finished', run.finished === null ? 'not finished' : moment(run.finished)],
                ['Model', run.model],
                ['Seed', run.seed],
                ['Code', run.codeVersion],
                ['Options', pairs(run.options)],
                ['Counts', pairs(run.counts)],
              ],
              'glossary',
            ),
          ),
        ),
      ),
      section(
        'Calls',
        table(
          `${thousands(counts.calls)} calls, by the format they were read from`,
          [
            { title: 'Format', head: true, cell: source => source.format },
            { title: 'Calls', number: true, cell: source => thousands(source.calls) },
            { title: 'Such as', cell: source => element('span', { class: 'path' }, source.example) },
          ],
          provenance.sources,
          'source',
        ),
      ),
      section(
        'What the words mean',
        facts(
          [
            [
              'Talk',
              'Sentences that say nothing about the firm: greetings, the operator, procedure, what three firms or more say word for word. They are kept in the database and left out of the clustering.',
            ],
            [
              'Topic',
              'A cluster of one firm’s sentences in one quarter, by UMAP and HDBSCAN or by communities of the graph of neighbours: the options of cluster-firm say which. The page shows the sentences nearest its middle; the database has all.',
            ],
            ['Theme', 'A cluster of topics across firms in one quarter. A topic may be in none.'],
            ['Share of firms', 'Firms with a topic in the theme, of all firms of the quarter.'],
            ['Share of a call', 'Sentences of the firm’s topics in the theme, of its sentences that are no talk.'],
            [
              'Membership',
              'HDBSCAN’s strength of membership of a topic in its theme, or with communities the share of its ties that lie inside; for a topic that was given to the nearest theme the cosine to its centroid.',
            ],
            ['Similarity', 'Cosine of two embeddings: 1 is the same direction.'],
            [
              'Novelty',
              '1 minus the similarity of a sentence to the nearest sentence of the same firm’s earlier call, averaged; talk is left out, and firms without an earlier call. The earlier call is the firm’s latest before the quarter in the database, be it two quarters ago.',
            ],
            [
              'Repeated',
              'Sentences so near to one of the earlier call that the firm says the same again, be it with other figures; talk is left out.',
            ],
            ['New to the firm', 'The firm had no such topic in its earlier call.'],
            [
              'Lineage',
              'The identity of a theme across quarters, named after the theme it began with. Continued: from one theme of the quarter before, which went nowhere else. Split: a part of one that became several. Merged: out of several. Returned: from a theme of an earlier quarter that had been gone. New: none of these.',
            ],
            [
              'Map',
              'A projection of the topics to two dimensions (UMAP): near is alike, but distances between far groups and the axes mean nothing.',
            ],
          ],
          'glossary',
        ),
      ),
      element(
        'p',
        { class: 'aside' },
        'The page loads nothing from anywhere. Charts: Observable Plot and d3; their licences are in the file.',
      ),
    ],
  }
}

function moment(iso: string): string {
  return iso.replace('T', ' ').replace(/(:\d\d)(\.\d+)?Z$/, '$1 UTC')
}

function pairs(values: Record<string, unknown>): string {
  return Object.entries(values)
    .filter(([, value]) => value !== null) // not asked for
    .map(
      ([name, value]) =>
        `${name} ${typeof value === 'number' ? thousands(value) : typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    .join(', ')
}
