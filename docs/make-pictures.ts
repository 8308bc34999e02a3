// Draws docs/pictures/*.svg from the calls of data/samples/2016Q4, with the functions the product itself runs on.
// Here so that the pictures of how-clustering-works.md show what the code does: where a picture's topics are not those that
// the commands wrote, nothing is drawn. Prints the figures that method.md quotes. Run: npx tsx docs/make-pictures.ts

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { aggregate } from '../commands/aggregate.ts'
import { clusterFirms, STANDARD_RECIPE } from '../commands/cluster-firm.ts'
import { embed } from '../commands/embed.ts'
import { ingest } from '../commands/ingest.ts'
import { nameTopics } from '../commands/name-topics.ts'
import { query } from '../commands/sql.ts'
import type { Database } from '../lib/db/connect.ts'
import { stopDatabase } from '../lib/db/embedded/start.ts'
import { withDatabase } from '../lib/db/open.ts'
import { shownTopics } from '../lib/db/topics.ts'
import { thousands } from '../lib/log.ts'
import { adjustedRandIndex } from '../lib/math/agreement.ts'
import {
  type Clustering,
  type CondensedTree,
  condense,
  NOISE,
  selectClusters,
  singleLinkage,
} from '../lib/math/cluster-tree.ts'
import { dot } from '../lib/math/distance.ts'
import { engineOf, FIRM_RECIPE } from '../lib/math/engine.ts'
import { fuzzyGraph } from '../lib/math/fuzzy-graph.ts'
import { squaredCoreDistances } from '../lib/math/hdbscan.ts'
import { type Neighbors, nearestNeighbors } from '../lib/math/neighbors.ts'
import { createRandom, seedFrom } from '../lib/math/random.ts'
import { type SpanningTree, spanningTree } from '../lib/math/spanning-tree.ts'
import { clusterThemes, scaledRecipe, THEME_COMMUNITIES, THEME_RECIPE, type ThemeRecipe } from '../lib/math/themes.ts'
import { umap } from '../lib/math/umap.ts'
import { openEmbedder } from '../lib/model/embedder.ts'
import { readSettings, SHIPPED_MODEL } from '../lib/settings.ts'
import { COMMUNITIES_RECIPE, methodOf } from '../lib/text/firm-topics.ts'
import { drawResolution, drawSecondMethod, printSurroundings } from './community-pictures.ts'
import {
  COLOURS,
  circle,
  colourOf,
  cut,
  EMPHASIS,
  lines,
  MARGIN,
  mean,
  type Point,
  pictures,
  placeIn,
  save,
  segment,
  short,
  WIDTH,
  words,
  wrap,
} from './drawing.ts'
import { type Firm, HERNIA, layoutOf, QUARTER, readFirm, rowStarting } from './pictured-firm.ts'

// Intuitive Surgical: about a hundred sentences, topics that need no knowledge of finance (hernia operations, headcount, money).
const FIRM = 'ISRG'
// Wabtec: the one firm of the quarter that says a content sentence twice, word for word.
const REPEATING_FIRM = 'WAB'
const ALSO_HERNIA = 'Ventral hernia versus inguinal'
const MONEY = 'Beyond that, to the extent that we have the right opportunity'

function treeOf(layout: Float32Array, n: number, c: number): SpanningTree {
  const rows = Float64Array.from(layout)
  return spanningTree(rows, n, c, squaredCoreDistances(rows, n, c, FIRM_RECIPE.minSamples))
}

function select(condensed: CondensedTree, n: number, method: 'leaf' | 'eom'): Clustering {
  return selectClusters(condensed, n, { method, epsilon: 0, allowSingleCluster: false })
}

// --------------------------------------------------------------------------------------------------------------- pictures

async function drawSentences(firm: Firm): Promise<void> {
  const { vectors, d, texts } = firm
  const rows = [ALSO_HERNIA, HERNIA, MONEY].map(beginning => rowStarting(firm, beginning))
  const cell = (WIDTH - 2 * MARGIN) / d
  const largest = Math.max(...rows.flatMap(row => [...vectors.subarray(row * d, (row + 1) * d)].map(Math.abs)))
  const parts: string[] = []
  for (const [place, row] of rows.entries()) {
    const y = 26 + place * 92
    parts.push(
      words(MARGIN, y, 'ABC'[place], 'ink strong'),
      lines(MARGIN + 20, y, wrap(texts[row], 108).slice(0, 2)),
      // Two paths a strip and strength, not 256 rectangles: blue below zero, orange above, stronger when farther from it.
      ...[1, 2, 3, 4].flatMap(strength =>
        [COLOURS[0], COLOURS[1]].map((colour, sign) => {
          const path: string[] = []
          for (let t = 0; t < d; t++) {
            const value = vectors[row * d + t]
            if (Math.ceil((4 * Math.abs(value)) / largest) !== strength || value > 0 !== (sign === 1)) continue
            path.push(`M${short(MARGIN + t * cell)} ${y + 28}h${short(cell)}v24h-${short(cell)}z`)
          }
          return `<path d="${path.join('')}" fill="${colour}" opacity="${strength / 4}"/>`
        }),
      ),
    )
  }
  const cosine = (a: number, b: number) => dot(vectors, rows[a], vectors, rows[b], d).toFixed(2)
  parts.push(
    words(
      MARGIN,
      306,
      `Cosines: A with B ${cosine(0, 1)}, A with C ${cosine(0, 2)}, B with C ${cosine(1, 2)}.`,
      'ink strong',
    ),
    words(
      MARGIN,
      326,
      'Each strip is one sentence: 256 numbers, blue below zero, orange above, stronger farther away.',
      'quiet',
    ),
  )
  await save('1-sentences', 342, 'Three sentences and the numbers they become', parts)
}

async function drawNeighbours(firm: Firm, neighbours: Neighbors): Promise<void> {
  const { texts, n } = firm
  const row = rowStarting(firm, HERNIA)
  const graph = fuzzyGraph(neighbours, n)
  const strengthTo = (other: number) => {
    const edge = graph.from.findIndex(
      (from, e) => from === Math.min(row, other) && graph.to[e] === Math.max(row, other),
    )
    return graph.strength[edge]
  }
  const start = row * neighbours.k
  const farthest = neighbours.distances[start + neighbours.k - 1]
  const parts = [
    lines(MARGIN, 26, wrap(texts[row], 105), 'ink strong'),
    words(MARGIN, 84, 'its nearest sentences', 'quiet small'),
    words(540, 84, 'cosine distance', 'quiet small'),
    words(WIDTH - MARGIN, 84, 'edge strength', 'quiet small end'),
  ]
  for (let r = 0; r < neighbours.k; r++) {
    const other = neighbours.indices[start + r]
    const distance = neighbours.distances[start + r]
    const strength = strengthTo(other)
    const y = 106 + r * 22
    parts.push(
      words(MARGIN, y, `${r + 1}`, 'quiet small'),
      words(MARGIN + 24, y, cut(texts[other], 76), 'ink small'),
      `<rect x="540" y="${y - 10}" width="${short((80 * distance) / farthest)}" height="11" fill="${COLOURS[0]}"/>`,
      words(628, y, distance.toFixed(2), 'ink small'),
      `<rect x="700" y="${y - 10}" width="${short(50 * strength)}" height="11" fill="${EMPHASIS}"/>`,
      words(756, y, strength.toFixed(2), 'ink small'),
    )
  }
  await save('2-neighbours', 106 + neighbours.k * 22, 'A sentence, its nearest neighbours and the edges to them', parts)
}

async function drawLayout(firm: Firm, neighbours: Neighbors, end: Float32Array): Promise<void> {
  const { n } = firm
  const graph = fuzzyGraph(neighbours, n)
  const chosen = rowStarting(firm, HERNIA)
  const near = new Set(neighbours.indices.subarray(chosen * neighbours.k, (chosen + 1) * neighbours.k))
  const parts: string[] = []
  for (const [place, layout] of [layoutOf(firm, 2, 0), end].entries()) {
    const x = MARGIN + place * (WIDTH / 2)
    const { points } = placeIn(layout, n, { x, y: 40, width: WIDTH / 2 - 2 * MARGIN, height: 330 })
    parts.push(
      words(
        x,
        24,
        place === 0
          ? 'Start: the slow waves of the graph'
          : `After ${FIRM_RECIPE.epochs} rounds of pulling and pushing`,
        'ink strong',
      ),
    )
    // Edges in four strengths, one path each: a thousand elements would make the file five times as large.
    for (let quarter = 1; quarter <= 4; quarter++) {
      const path: string[] = []
      for (let e = 0; e < graph.from.length; e++) {
        if (Math.ceil(graph.strength[e] * 4) !== quarter) continue
        const [a, b] = [points[graph.from[e]], points[graph.to[e]]]
        path.push(`M${short(a.x)} ${short(a.y)}L${short(b.x)} ${short(b.y)}`)
      }
      parts.push(`<path d="${path.join('')}" class="line" stroke-width="0.7" opacity="${quarter * 0.15}"/>`)
    }
    for (const [i, point] of points.entries()) {
      if (i === chosen) continue
      parts.push(circle(point, 3, near.has(i) ? `fill="${EMPHASIS}"` : 'class="dot"'))
    }
    parts.push(
      circle(points[chosen], 6, `fill="${EMPHASIS}" stroke-width="2" class="inkline" style="fill:${EMPHASIS}"`),
    )
  }
  parts.push(
    words(
      MARGIN,
      398,
      `${n} sentences, ${graph.from.length} edges, stronger lines for stronger edges. Ringed: the sentence of the picture before; orange: its neighbours.`,
      'quiet small',
    ),
  )
  await save('3-layout', 412, 'The fuzzy graph before and after the layout', parts)
}

/** Two pairs in one part of the layout: for one its own distance counts, for the other a core distance. */
async function drawCoreDistances(firm: Firm, layout: Float32Array): Promise<void> {
  const { n } = firm
  const cores = squaredCoreDistances(layout, n, 2, FIRM_RECIPE.minSamples).map(Math.sqrt)
  const chosen = rowStarting(firm, HERNIA)
  const around = nearestNeighbors(layout, n, 2, 11, 'euclidean')
  const part = [chosen, ...around.indices.subarray(chosen * around.k, (chosen + 1) * around.k)]
  const box = { x: MARGIN + 50, y: 80, width: 400, height: 270 }
  const { points, scale } = placeIn(
    Float32Array.from(part.flatMap(row => [layout[2 * row], layout[2 * row + 1]])),
    part.length,
    box,
  )
  const pairs = part.flatMap((_, a) =>
    part.slice(a + 1).map((_, offset) => {
      const b = a + 1 + offset
      const own = Math.hypot(points[a].x - points[b].x, points[a].y - points[b].y) / scale
      return { a, b, own, core: Math.max(cores[part[a]], cores[part[b]]) }
    }),
  )
  // The pair whose own distance falls short of its core distances most, and the nearest pair of those that clearly exceed theirs.
  const dense = pairs.reduce((best, pair) => (pair.core - pair.own > best.core - best.own ? pair : best))
  const exceeding = pairs.filter(({ own, core }) => own > 1.5 * core)
  const sparse = exceeding.reduce((best, pair) => (pair.own < best.own ? pair : best))
  const frame = `x="${MARGIN}" y="40" width="500" height="350" rx="6"`
  const parts = [
    words(MARGIN, 24, 'A part of the layout: each circle reaches to the second nearest point', 'ink strong'),
    `<clipPath id="frame"><rect ${frame}/></clipPath>`,
    `<rect ${frame} class="line" opacity="0.4"/>`,
    '<g clip-path="url(#frame)">',
  ]
  // Points outside the part stand where they stand, so that a circle can be seen to end at one.
  for (let i = 0; i < n; i++) {
    const x = points[0].x + (layout[2 * i] - layout[2 * chosen]) * scale
    const y = points[0].y + (layout[2 * i + 1] - layout[2 * chosen + 1]) * scale
    if (!part.includes(i)) parts.push(circle({ x, y }, 4, 'class="dot"'))
  }
  const names = 'abcdefghijkl'
  const named = [dense.a, dense.b, sparse.a, sparse.b]
  for (const [i, point] of points.entries()) {
    const kind = named.includes(i) ? 'class="inkline"' : 'class="line" stroke-dasharray="2 3"'
    parts.push(circle(point, cores[part[i]] * scale, kind))
  }
  for (const [{ a, b }, colour] of [
    [dense, EMPHASIS],
    [sparse, COLOURS[0]],
  ] as const)
    parts.push(segment(points[a], points[b], `stroke="${colour}" stroke-width="3"`))
  for (const [i, point] of points.entries())
    parts.push(circle(point, 4, 'class="ink"'), words(point.x + 7, point.y - 6, names[i], 'ink strong'))
  const explain = ({ a, b, own, core }: { a: number; b: number; own: number; core: number }) => [
    `${names[a]} and ${names[b]}`,
    `distance ${own.toFixed(2)}`,
    `core distance of ${names[a]} ${cores[part[a]].toFixed(2)}`,
    `core distance of ${names[b]} ${cores[part[b]].toFixed(2)}`,
    `mutual reachability ${Math.max(own, core).toFixed(2)}`,
  ]
  parts.push(
    '</g>',
    `<rect x="545" y="74" width="14" height="4" fill="${EMPHASIS}"/>`,
    lines(566, 80, explain(dense)),
    words(566, 174, 'a core distance is the largest', 'quiet small'),
    `<rect x="545" y="224" width="14" height="4" fill="${COLOURS[0]}"/>`,
    lines(566, 230, explain(sparse)),
    words(566, 324, 'their own distance is the largest', 'quiet small'),
  )
  await save('4-core-distance', 406, 'Core distance and mutual reachability', parts)
}

async function drawSpanningTree(firm: Firm, layout: Float32Array): Promise<void> {
  const { n } = firm
  const tree = treeOf(layout, n, 2)
  const { points } = placeIn(layout, n, { x: MARGIN + 10, y: 40, width: 540, height: 400 })
  const order = [...tree.weight.keys()].sort((a, b) => tree.weight[b] - tree.weight[a])
  const longest = new Set(order.slice(0, 10))
  const parts = [words(MARGIN, 24, `The minimum spanning tree: ${n} points, ${n - 1} edges`, 'ink strong')]
  for (const e of order) {
    const rest = longest.has(e) ? `stroke="${COLOURS[3]}" stroke-width="2.5"` : 'class="line" stroke-width="1.5"'
    parts.push(segment(points[tree.from[e]], points[tree.to[e]], rest))
  }
  for (const point of points) parts.push(circle(point, 3, 'class="ink"'))
  parts.push(
    `<rect x="590" y="74" width="14" height="4" fill="${COLOURS[3]}"/>`,
    lines(612, 80, ['the ten longest edges:', 'they are cut first'], 'ink'),
    words(612, 128, `longest ${tree.weight[order[0]].toFixed(2)}`, 'quiet'),
    words(612, 146, `median ${tree.weight[order[Math.floor(order.length / 2)]].toFixed(2)}`, 'quiet'),
    words(612, 164, `shortest ${tree.weight[order[order.length - 1]].toFixed(2)}`, 'quiet'),
    lines(612, 200, ['(lengths are mutual', 'reachability distances)'], 'quiet small', 15),
  )
  await save('5-spanning-tree', 456, 'The minimum spanning tree', parts)
}

/** The clusters of a condensed tree that a choice took: those whose points, with all below, carry one label that the parent's do not. */
function chosenClusters(condensed: CondensedTree, labels: Int32Array): Set<number> {
  const labelsBelow: Set<number>[] = condensed.parent.map(() => new Set())
  for (const [i, label] of labels.entries()) {
    for (let cluster = condensed.clusterOfPoint[i]; ; cluster = condensed.parent[cluster]) {
      labelsBelow[cluster].add(label)
      if (cluster === 0) break
    }
  }
  const isOne = (cluster: number) => labelsBelow[cluster].size === 1 && !labelsBelow[cluster].has(NOISE)
  return new Set([...condensed.parent.keys()].filter(c => c > 0 && isOne(c) && !isOne(condensed.parent[c])))
}

async function drawCondensedTree(
  firm: Firm,
  condensed: CondensedTree,
  leaf: Clustering,
  eom: Clustering,
): Promise<void> {
  const { clusterOfPoint, lambdaOfPoint, parent, birth, size } = condensed
  const childrenOf = parent.map((_, c) => parent.flatMap((p, child) => (child > 0 && p === c ? [child] : [])))
  const leavingOf = parent.map((_, c) =>
    [...lambdaOfPoint].filter((_, i) => clusterOfPoint[i] === c).sort((a, b) => a - b),
  )
  const withAllBelow = (c: number): number[] => [c, ...childrenOf[c].flatMap(withAllBelow)]
  const fromRoot = withAllBelow(0)
  const leaves = fromRoot.filter(c => childrenOf[c].length === 0)
  const left = 70
  const slot = (WIDTH - left - MARGIN) / leaves.length
  const centre = parent.map(() => 0)
  for (const [place, c] of leaves.entries()) centre[c] = left + slot * (place + 0.5)
  for (const c of fromRoot.toReversed())
    if (childrenOf[c].length > 0) centre[c] = mean(childrenOf[c].map(child => centre[child]))
  const end = parent.map((_, c) => (childrenOf[c].length > 0 ? birth[childrenOf[c][0]] : Math.max(...leavingOf[c])))

  const [top, height] = [60, 340]
  const first = Math.min(...lambdaOfPoint, ...birth.slice(1))
  const last = Math.max(...lambdaOfPoint)
  const y = (lambda: number) => top + (height * Math.log(Math.max(lambda, first) / first)) / Math.log(last / first)
  // No leaf is drawn wider than its place, and no sentence wider than a pixel or so.
  const unit = Math.min(1.2, (0.86 * slot) / Math.max(...leaves.map(c => size[c])))

  const parts = [
    words(MARGIN, 24, `The condensed tree of ${firm.firmId}: ${firm.n} sentences in 10 dimensions`, 'ink strong'),
    words(MARGIN, 46, 'distance', 'quiet small'),
  ]
  for (let tenths = 1; tenths <= 20; tenths++) {
    const lambda = 10 / tenths
    if (lambda < first || lambda > last) continue
    parts.push(
      segment({ x: left - 8, y: y(lambda) }, { x: WIDTH - MARGIN, y: y(lambda) }, 'class="line" opacity="0.25"'),
      words(left - 12, y(lambda) + 4, (tenths / 10).toFixed(1), 'quiet small end'),
    )
  }
  const chosen = chosenClusters(condensed, leaf.labels)
  for (const c of fromRoot) {
    let members = size[c]
    const edge: Point[] = [{ x: (members * unit) / 2, y: y(birth[c]) }]
    for (const lambda of leavingOf[c]) {
      if (lambda >= end[c]) break
      edge.push({ x: (members * unit) / 2, y: y(lambda) }, { x: ((members - 1) * unit) / 2, y: y(lambda) })
      members--
    }
    edge.push({ x: (members * unit) / 2, y: y(end[c]) })
    const outline = [
      ...edge.map(point => ({ x: centre[c] + point.x, y: point.y })),
      ...edge.toReversed().map(point => ({ x: centre[c] - point.x, y: point.y })),
    ]
    const path = outline.map(point => `${short(point.x)} ${short(point.y)}`).join('L')
    const topic = chosen.has(c) ? firm.topics[clusterOfPoint.indexOf(c)] : NOISE
    const fill = topic === NOISE ? 'class="dot" opacity="0.55"' : `fill="${colourOf(topic)}"`
    parts.push(`<path d="M${path}Z" ${fill}/>`)
    if (topic !== NOISE) parts.push(words(centre[c], y(end[c]) + 16, String(topic), 'ink strong middle'))
    const xs = childrenOf[c].map(child => centre[child])
    if (xs.length > 0)
      parts.push(segment({ x: Math.min(...xs), y: y(end[c]) }, { x: Math.max(...xs), y: y(end[c]) }, 'class="line"'))
  }
  const chosenByMass = chosenClusters(condensed, eom.labels)
  for (const c of chosenByMass) {
    const inside = withAllBelow(c)
    const from = Math.min(...inside.map(below => centre[below] - (size[below] * unit) / 2)) - 6
    const to = Math.max(...inside.map(below => centre[below] + (size[below] * unit) / 2)) + 6
    const bottom = Math.max(...inside.map(below => y(end[below])))
    parts.push(
      `<rect x="${short(from)}" y="${short(y(birth[c]) - 3)}" width="${short(to - from)}" ` +
        `height="${short(bottom - y(birth[c]) + 7)}" rx="6" class="inkline" stroke-dasharray="4 4" opacity="0.8"/>`,
    )
  }
  const noise = ({ labels }: Clustering) => labels.filter(label => label === NOISE).length
  parts.push(
    lines(
      MARGIN,
      top + height + 40,
      [
        'Width: how many sentences are still together when only pairs under the distance at the left count as joined.',
        `Coloured: the leaves, ${chosen.size} topics, ${noise(leaf)} sentences noise. Dashed: what excess of mass would choose, ${chosenByMass.size} topics, ${noise(eom)} noise.`,
      ],
      'quiet small',
      16,
    ),
  )
  await save('6-condensed-tree', top + height + 70, 'The condensed tree and the leaves chosen from it', parts)
}

async function drawTopics(sql: Database, firm: Firm, layout: Float32Array): Promise<void> {
  const shown = await shownTopics(sql, QUARTER, firm.firmId)
  const { points } = placeIn(layout, firm.n, { x: MARGIN + 10, y: 44, width: 400, height: 420 })
  const parts = [words(MARGIN, 24, `The topics of ${firm.firmId} in ${QUARTER}`, 'ink strong')]
  for (const [i, point] of points.entries()) {
    const topic = firm.topics[i]
    if (topic === NOISE) parts.push(circle(point, 3.5, 'class="line"'))
    else
      parts.push(
        circle(point, 5, `fill="${colourOf(topic)}" opacity="${(0.3 + 0.7 * firm.probabilities[i]).toFixed(2)}"`),
      )
  }
  for (const [place, { size, keywords }] of shown.entries()) {
    const topic = place + 1
    const members = points.filter((_, i) => firm.topics[i] === topic)
    const centre = { x: mean(members.map(({ x }) => x)), y: mean(members.map(({ y }) => y)) }
    parts.push(
      circle(centre, 9, `class="paper" stroke="${colourOf(topic)}" stroke-width="1.5"`),
      words(centre.x, centre.y + 4.5, String(topic), 'ink strong small middle'),
    )
    const y = 54 + place * 46
    parts.push(
      circle({ x: 460, y: y - 4 }, 6, `fill="${colourOf(topic)}"`),
      words(474, y, `${topic}: ${size} sentences`, 'ink strong'),
      words(474, y + 17, cut(keywords.slice(0, 6).join(', '), 50), 'ink small'),
    )
  }
  const noise = firm.topics.filter(topic => topic === NOISE).length
  const y = 54 + shown.length * 46
  parts.push(circle({ x: 460, y: y - 4 }, 4, 'class="line"'), words(474, y, `noise: ${noise} sentences`, 'quiet'))
  await save('7-topics', Math.max(480, y + 20), 'The topics and their keywords', parts)
}

async function drawSmallFirms(sql: Database): Promise<void> {
  const rows = await query(
    sql,
    `select s.firm_id, count(distinct s.text) filter (where s.talk is null) as sentences,
       (select count(*) from topics t where t.quarter = s.quarter and t.firm_id = s.firm_id) as topics
     from sentences s where s.quarter = '${QUARTER}' group by s.quarter, s.firm_id order by 2, 3, 1`,
  )
  const most = 60
  const left = 60
  const bottom = 300
  const x = (sentences: number) => left + ((WIDTH - left - MARGIN - 10) * sentences) / most
  const y = (topics: number) => bottom - topics * 32
  const parts = [
    words(MARGIN, 24, `Every firm of ${QUARTER} with up to ${most} sentences: how many topics it has`, 'ink strong'),
    `<rect x="${short(x(0))}" y="50" width="${short(x(11.5) - x(0))}" height="${bottom - 40}" fill="${COLOURS[3]}" opacity="0.15"/>`,
    words(x(0.3), 66, 'under 12 sentences:', 'ink small'),
    words(x(0.3), 81, 'no topics', 'ink small'),
  ]
  for (let topics = 0; topics <= 7; topics++)
    parts.push(
      segment({ x: left, y: y(topics) }, { x: WIDTH - MARGIN, y: y(topics) }, 'class="line" opacity="0.25"'),
      words(left - 12, y(topics) + 4, String(topics), 'quiet small end'),
    )
  for (let sentences = 0; sentences <= most; sentences += 10)
    parts.push(words(x(sentences), bottom + 32, String(sentences), 'quiet small middle'))
  parts.push(
    words(WIDTH - MARGIN, bottom + 52, 'sentences left when talk is out', 'quiet small end'),
    words(MARGIN, 44, 'topics', 'quiet small'),
  )
  const stacked = new Map<string, number>()
  for (const row of rows) {
    const [sentences, topics] = [Number(row.sentences), Number(row.topics)]
    if (sentences > most) continue
    const key = `${sentences}/${topics}`
    const below = stacked.get(key) ?? 0
    stacked.set(key, below + 1)
    parts.push(circle({ x: x(sentences), y: y(topics) - below * 7 }, 3.5, `fill="${COLOURS[0]}"`))
  }
  await save('8-small-firms', bottom + 66, 'Small firms', parts)
}

async function drawRepeated(firm: Firm): Promise<void> {
  const text = firm.texts.find((one, i) => firm.texts.indexOf(one) !== i)
  if (text === undefined) throw new Error(`${firm.firmId} no longer repeats a sentence`)
  const cell = (WIDTH - 2 * MARGIN) / firm.n
  const parts = [
    words(
      MARGIN,
      24,
      `The call of ${firm.firmId}, sentence after sentence, coloured by topic; grey is noise`,
      'ink strong',
    ),
  ]
  for (const [i, topic] of firm.topics.entries()) {
    const fill = topic === NOISE ? 'class="dot" opacity="0.4"' : `fill="${colourOf(topic)}"`
    parts.push(`<rect x="${short(MARGIN + i * cell)}" y="44" width="${short(cell - 0.5)}" height="34" ${fill}/>`)
  }
  const copies = firm.texts.flatMap((one, i) => (one === text ? [i] : []))
  const places = copies.map(i => short(MARGIN + (i + 0.5) * cell))
  const outcome = (i: number) =>
    `${firm.topics[i] === NOISE ? 'noise' : `topic ${firm.topics[i]}`}, probability ${firm.probabilities[i].toFixed(2)}`
  parts.push(
    `<path d="M${places[0]} 82V106H${places[places.length - 1]}V82" class="inkline" stroke-width="1.5"/>`,
    words(MARGIN, 128, `“${text}”`),
    words(
      MARGIN,
      146,
      copies.map(i => `sentence ${firm.positions[i]} of the call: ${outcome(i)}`).join('; '),
      'quiet small',
    ),
  )
  await save('9-identical-sentences', 162, 'One sentence said twice', parts)
}

type TopicPoints = { n: number; d: number; vectors: Float32Array; themeIds: unknown[]; given: unknown[] }

async function readTopics(sql: Database): Promise<TopicPoints> {
  const rows = await query(
    sql,
    `select topic_id, v.embedding::text as embedding, tt.theme_id, tt.given_to_nearest as given
     from topic_vectors v left join theme_topics tt using (topic_id) where v.quarter = '${QUARTER}' order by topic_id`,
  )
  const vectors = rows.map(row => JSON.parse(String(row.embedding)) as number[])
  return {
    n: rows.length,
    d: vectors[0].length,
    vectors: Float32Array.from(vectors.flat()),
    themeIds: rows.map(row => row.theme_id),
    given: rows.map(row => row.given),
  }
}

async function drawThemes(sql: Database, { n, d, vectors, themeIds, given }: TopicPoints): Promise<void> {
  const { nNeighbors } = scaledRecipe(THEME_RECIPE, n)
  const seed = seedFrom(STANDARD_RECIPE.seed, 'themes', QUARTER)
  // Farther apart than the product lays them, for the eye.
  const layout = umap(vectors, n, d, {
    nNeighbors,
    nComponents: 2,
    minDist: 0.2,
    metric: 'cosine',
    epochs: 500,
    seed,
  })
  const { points } = placeIn(layout, n, { x: MARGIN, y: 44, width: 420, height: 420 })
  const themes = await query(
    sql,
    `select theme_id, name, firms, topics from themes where quarter = '${QUARTER}' order by theme_id`,
  )
  const coloured = themes.slice(0, COLOURS.length).map(theme => theme.theme_id)
  const parts = [
    words(MARGIN, 24, `${thousands(n)} topics of all firms, and the ${themes.length} themes they form`, 'ink strong'),
  ]
  for (const [i, themeId] of themeIds.entries()) {
    const place = coloured.indexOf(themeId)
    if (place < 0) parts.push(circle(points[i], themeId === null ? 1.5 : 2.5, 'class="dot" opacity="0.6"'))
    else if (given[i]) parts.push(circle(points[i], 3, `fill="none" stroke="${COLOURS[place]}"`))
    else parts.push(circle(points[i], 3, `fill="${COLOURS[place]}" opacity="0.85"`))
  }
  for (const [place, theme] of themes.slice(0, COLOURS.length).entries()) {
    const y = 54 + place * 36
    parts.push(
      circle({ x: 460, y: y - 4 }, 5, `fill="${COLOURS[place]}"`),
      words(472, y, cut(String(theme.name), 46), 'ink'),
      words(472, y + 15, `${theme.firms} firms, ${theme.topics} topics`, 'quiet small'),
    )
  }
  const y = 54 + COLOURS.length * 36
  parts.push(
    circle({ x: 460, y: y - 4 }, 3, `fill="none" stroke="${COLOURS[0]}"`),
    words(472, y, 'ring: given to the nearest theme', 'quiet small'),
    circle({ x: 460, y: y + 14 }, 2.5, 'class="dot"'),
    words(472, y + 18, 'grey: a smaller theme; smallest dots: in none', 'quiet small'),
  )
  await save('10-themes', 480, 'Topics of all firms and the themes they form', parts)
}

/** One theme read downward: some of its topics, of different firms, nearest to its centre first, and a sentence of each. */
async function drawOneTheme(sql: Database): Promise<void> {
  const [theme] = await query(
    sql,
    `select th.theme_id, th.name, th.firms, th.topics, th.sentences from themes th join theme_topics tt using (theme_id)
     where tt.topic_id like '${QUARTER}/${FIRM}/%' and not tt.given_to_nearest order by th.firms desc, th.theme_id limit 1`,
  )
  const nearest = await query(
    sql,
    `select * from (
       select distinct on (t.firm_id) t.firm_id, n.name, s.text, v.embedding <=> th.centroid as away
       from theme_topics tt join themes th using (theme_id) join topics t using (topic_id) join topic_names n using (topic_id)
         join topic_vectors v using (topic_id)
         join sentences s on s.quarter = t.quarter and s.sentence_id = t.representative_sentences[1]
       where tt.theme_id = '${theme.theme_id}' and not tt.given_to_nearest
       order by t.firm_id, away, t.topic_id
     ) one order by firm_id <> '${FIRM}', away, firm_id limit 7`,
  )
  const parts = [
    words(MARGIN, 26, String(theme.name), 'ink strong'),
    words(
      MARGIN,
      44,
      `${theme.theme_id}: ${theme.firms} firms, ${theme.topics} topics, ${thousands(Number(theme.sentences))} sentences. Topics of seven firms, and the first sentence that stands for each:`,
      'quiet small',
    ),
  ]
  for (const [place, topic] of nearest.entries()) {
    const y = 76 + place * 44
    parts.push(
      words(MARGIN, y, String(topic.firm_id), 'ink strong'),
      words(MARGIN + 60, y, String(topic.name), 'ink'),
      words(MARGIN + 60, y + 17, cut(String(topic.text), 118), 'quiet small'),
    )
  }
  await save('11-one-theme', 76 + nearest.length * 44, 'One theme across firms', parts)
}

// ---------------------------------------------------------------------------------------------------------------- figures

/** Every third firm with topics: a minute instead of three; the error of the mean is printed beside what is measured on them. */
async function firmsToMeasure(sql: Database): Promise<Firm[]> {
  const rows = await query(sql, `select distinct firm_id from topics where quarter = '${QUARTER}' order by 1`)
  const firms: Firm[] = []
  for (const [place, row] of rows.entries()) if (place % 3 === 0) firms.push(await readFirm(sql, String(row.firm_id)))
  return firms
}

/** How much of a firm's topics stays when only chance, only the order, or a tenth of the sentences changes: ARI over firms with topics. */
async function printStability(firms: readonly Firm[]): Promise<void> {
  for (const recipe of [STANDARD_RECIPE, COMMUNITIES_RECIPE]) {
    const engine = await engineOf(methodOf(recipe))
    const agreement = { seed: [] as number[], order: [] as number[], tenth: [] as number[] }
    for (const { firmId, vectors, n, d } of firms) {
      const cluster = (rows: readonly number[], seed: number) => {
        const own = new Float32Array(rows.length * d)
        for (const [i, row] of rows.entries()) own.set(vectors.subarray(row * d, (row + 1) * d), i * d)
        return engine(own, rows.length, d, seedFrom(seed, firmId, QUARTER)).labels
      }
      const all = Array.from({ length: n }, (_, i) => i)
      const usual = cluster(all, recipe.seed)
      const random = createRandom(1)
      const shuffled = all
        .map(row => ({ row, at: random.next() }))
        .sort((a, b) => a.at - b.at)
        .map(({ row }) => row)
      const kept = shuffled.slice(Math.ceil(n / 10)).sort((a, b) => a - b)
      const like = (labels: Int32Array, rows: readonly number[]) =>
        adjustedRandIndex(
          labels,
          rows.map(row => usual[row]),
        )
      agreement.seed.push(like(cluster(all, recipe.seed + 1), all))
      agreement.order.push(like(cluster(shuffled, recipe.seed), shuffled))
      agreement.tenth.push(like(cluster(kept, recipe.seed), kept))
    }
    for (const [what, values] of Object.entries(agreement)) {
      const middle = mean(values)
      const error = Math.sqrt(mean(values.map(value => (value - middle) ** 2)) / (values.length - 1))
      process.stdout.write(
        `${recipe.engine}, another ${what}: mean ARI ${middle.toFixed(2)} ± ${error.toFixed(2)}, ${values.length} firms\n`,
      )
    }
  }
}

/** The same for the themes, of which there is one set a quarter: three other seeds, both methods on the same topics. */
function printThemeStability({ n, d, vectors }: TopicPoints): void {
  const themesBy = (recipe: ThemeRecipe, seed: number) =>
    clusterThemes({ vectors, n, d, recipe, seed: seedFrom(seed, 'themes', QUARTER) })
  for (const [method, recipe] of [
    ['umap-hdbscan', THEME_RECIPE],
    ['communities', THEME_COMMUNITIES],
  ] as const) {
    const usual = themesBy(recipe, STANDARD_RECIPE.seed).labels
    for (const seed of [43, 44, 45]) {
      const { labels, count } = themesBy(recipe, seed)
      const noise = labels.filter(label => label === NOISE).length
      const agreement = adjustedRandIndex(labels, usual).toFixed(2)
      process.stdout.write(
        `themes by ${method}, seed ${seed}: ${count} themes, ${noise} topics in none, ARI ${agreement}\n`,
      )
    }
  }
}

/** Why names stand for topics: the themes of their embeddings and those of the topics' centroids, before any splitting or giving away. */
async function printWhatStandsForTopics(sql: Database, { n, d, vectors }: TopicPoints): Promise<void> {
  const rows = await query(sql, `select centroid::text from topics where quarter = '${QUARTER}' order by topic_id`)
  const centroids = Float32Array.from(rows.flatMap(row => JSON.parse(String(row.centroid)) as number[]))
  const recipe = { ...THEME_RECIPE, largestShare: 1, giveToNearest: false }
  const seed = seedFrom(STANDARD_RECIPE.seed, 'themes', QUARTER)
  for (const [what, table] of [
    ['names and summaries', vectors],
    ['centroids', centroids],
  ] as const) {
    const { labels, count } = clusterThemes({ vectors: table, n, d, recipe, seed })
    const sizes = Array.from({ length: count }, (_, theme) => labels.filter(label => label === theme).length)
    const percent = (topics: number) => `${((100 * topics) / n).toFixed(0)} %`
    const noise = labels.filter(label => label === NOISE).length
    process.stdout.write(
      `by ${what}: ${count} themes, the largest ${percent(Math.max(...sizes))}, in none ${percent(noise)}\n`,
    )
  }
}

async function makePictures(sql: Database, threads: number): Promise<void> {
  const openModel = () => openEmbedder({ model: SHIPPED_MODEL, threads })
  const samples = fileURLToPath(new URL(`../data/samples/${QUARTER}`, import.meta.url))
  await ingest(sql, { paths: [samples], quarter: QUARTER })
  await embed(sql, { quarter: QUARTER, openModel })
  await clusterFirms(sql, { quarter: QUARTER, threads })
  await nameTopics(sql, { quarter: QUARTER })
  await aggregate(sql, { quarter: QUARTER, openModel })

  const firm = await readFirm(sql, FIRM)
  const { n, d } = firm
  const { nComponents, minClusterSize } = FIRM_RECIPE
  const condensed = condense(singleLinkage(treeOf(layoutOf(firm, nComponents), n, nComponents), n), n, minClusterSize)
  const leaf = select(condensed, n, 'leaf')
  if (adjustedRandIndex(leaf.labels, firm.topics) !== 1)
    throw new Error(`the topics of ${FIRM} here are not those that cluster-firm wrote: the pictures would not be true`)
  const neighbours = nearestNeighbors(firm.vectors, n, d, FIRM_RECIPE.nNeighbors - 1, 'cosine')
  const flat = layoutOf(firm, 2)

  await mkdir(pictures, { recursive: true })
  await drawSentences(firm)
  await drawNeighbours(firm, neighbours)
  await drawLayout(firm, neighbours, flat)
  await drawCoreDistances(firm, flat)
  await drawSpanningTree(firm, flat)
  await drawCondensedTree(firm, condensed, leaf, select(condensed, n, 'eom'))
  await drawTopics(sql, firm, flat)
  await drawSmallFirms(sql)
  await drawRepeated(await readFirm(sql, REPEATING_FIRM))
  const topics = await readTopics(sql)
  await drawThemes(sql, topics)
  await drawOneTheme(sql)
  const firms = await firmsToMeasure(sql)
  await drawResolution(firms)
  await printStability(firms)
  printSurroundings(firms)
  printThemeStability(topics)
  await printWhatStandsForTopics(sql, topics)
  // Last, since from here on the database holds the topics of the second method.
  await drawSecondMethod(sql, threads, firm)
}

async function main(): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'quarterdeck-pictures-'))
  const settings = { ...readSettings({}), home }
  try {
    await withDatabase(settings, sql => makePictures(sql, settings.threads))
  } finally {
    await stopDatabase(home)
    await rm(home, { recursive: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
