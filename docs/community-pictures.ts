// Draws the pictures of the second method, communities (12 to 18), from the same call as make-pictures.ts draws the first.
// Here so that they show what the code does: each is drawn from communities that are those cluster-firm wrote, or not at all.
// The rounds of Leiden, which the product does not keep, are done again by their definition and must end at its communities.

import { clusterFirms } from '../commands/cluster-firm.ts'
import type { Database } from '../lib/db/connect.ts'
import { type ShownTopic, shownTopics } from '../lib/db/topics.ts'
import { thousands } from '../lib/log.ts'
import { adjustedRandIndex, withoutTenth } from '../lib/math/agreement.ts'
import { leiden, modularity, type RowGraph } from '../lib/math/communities.ts'
import { communityGraph, coreOf, groupsOf, STARTS } from '../lib/math/community-topics.ts'
import {
  clusterByCommunities,
  clusterExactly,
  FIRM_COMMUNITIES,
  FIRM_RECIPE,
  FIRM_RESOLUTION,
  layoutOfFirm,
  NOISE,
} from '../lib/math/engine.ts'
import { nearestNeighbors } from '../lib/math/neighbors.ts'
import { createRandom, type Random, seedFrom } from '../lib/math/random.ts'
import { silhouette } from '../lib/math/silhouette.ts'
import { COMMUNITIES_RECIPE, STANDARD_RECIPE } from '../lib/text/firm-topics.ts'
import {
  COLOURS,
  circle,
  colourOf,
  cut,
  lines,
  MARGIN,
  mean,
  type Point,
  placeIn,
  save,
  segment,
  short,
  WIDTH,
  words,
  wrap,
} from './drawing.ts'
import { type Firm, HERNIA, layoutOf, QUARTER, readFirm, rowStarting } from './pictured-firm.ts'

// Pulled hardest by one community, and yet in another: the sentence that shows what "more than chance" is for.
const TORN = 'I think the biggest one for us is customer belief'
// GEO Group runs prisons; the quarter in which the government said that it would give up private ones has parts that read by themselves.
const FIRM_WITH_PARTS = 'GEO'
const ABOUT_PRISONS = 'With respect to our federal market, as you recall'

/** The communities of a firm as the method finds them on the way to its topics, each numbered as its topic, or SMALL. */
type Picture = {
  firm: Firm
  graph: RowGraph
  /** Weight of each node's edges. */
  strength: number[]
  total: number
  community: number[]
  shown: ShownTopic[]
  points: (box: Box) => Point[]
}
type Box = { x: number; y: number; width: number; height: number }

// The number of a community of too few sentences for a topic: one below NOISE, which is a sentence's.
const SMALL = NOISE - 1

export async function drawSecondMethod(sql: Database, threads: number, usual: Firm): Promise<void> {
  await clusterFirms(sql, { quarter: QUARTER, threads, recipe: COMMUNITIES_RECIPE })
  const firm = await readFirm(sql, usual.firmId)
  const flat = layoutOf(firm, 2)
  const picture = communitiesOf(firm, await shownTopics(sql, QUARTER, firm.firmId), flat)
  await drawCommunities(picture)
  await drawOneMove(picture)
  await drawRound(picture)
  await drawMembership(picture)
  await drawParts(sql, await readFirm(sql, FIRM_WITH_PARTS))
  await drawTenthAway(usual, firm)
}

function graphOf({ vectors, n, d }: Pick<Firm, 'vectors' | 'n' | 'd'>): RowGraph {
  return communityGraph(nearestNeighbors(vectors, n, d, FIRM_COMMUNITIES.nNeighbors - 1, 'cosine'), n)
}

function seedOf(firmId: string): number {
  return seedFrom(COMMUNITIES_RECIPE.seed, firmId, QUARTER)
}

/** Step by step what the engine does at once; refuses where the topics are not those that the command wrote. */
function communitiesOf(firm: Firm, shown: ShownTopic[], flat: Float32Array): Picture {
  const { n, topics, probabilities, firmId } = firm
  const graph = graphOf(firm)
  const strength = Array.from({ length: n }, (_, i) =>
    sum(graph.weights.subarray(graph.offsets[i], graph.offsets[i + 1])),
  )
  const { labels, count } = leiden(graph, { resolution: FIRM_RESOLUTION, seed: seedOf(firmId), starts: STARTS })
  const members = Array.from({ length: count }, (_, c) => [...labels.keys()].filter(i => labels[i] === c))
  const found = groupsOf(graph, FIRM_RESOLUTION, FIRM_COMMUNITIES, seedOf(firmId))
  const differs = probabilities.some((probability, i) => Math.abs(probability - found.probabilities[i]) > 1e-6)
  if (adjustedRandIndex(found.labels, topics) !== 1 || differs)
    throw new Error(
      `the communities of ${firmId} here are not those that cluster-firm wrote: the pictures would not be true`,
    )
  const numberOf = members.map(rows => {
    const number = Math.max(...rows.map(i => topics[i]))
    return number === NOISE ? SMALL : number
  })
  return {
    firm,
    graph,
    strength,
    total: sum(strength),
    community: [...labels].map(label => numberOf[label]),
    shown,
    points: box => placeIn(flat, n, box).points,
  }
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}

/** Weight of a node's edges by the group at their other end. */
function weightsTo(
  { offsets, targets, weights }: RowGraph,
  i: number,
  groupOf: (j: number) => number,
): Map<number, number> {
  const found = new Map<number, number>()
  for (let p = offsets[i]; p < offsets[i + 1]; p++) {
    const group = groupOf(targets[p])
    found.set(group, (found.get(group) ?? 0) + weights[p])
  }
  return found
}

function edgesOf({ n, offsets, targets, weights }: RowGraph): { from: number; to: number; weight: number }[] {
  const edges = []
  for (let i = 0; i < n; i++)
    for (let p = offsets[i]; p < offsets[i + 1]; p++)
      if (targets[p] > i) edges.push({ from: i, to: targets[p], weight: weights[p] })
  return edges
}

function hue(number: number): string {
  return number > 0 ? `fill="${colourOf(number)}"` : 'class="dot"'
}

function nameOf({ shown }: Pick<Picture, 'shown'>, number: number, howMany = 3): string {
  return number > 0 ? shown[number - 1].keywords.slice(0, howMany).join(', ') : 'too few for a topic'
}

/** Lines in four strengths, one path each: a thousand elements would make the file five times as large. */
function edgePaths(
  edges: readonly { a: Point; b: Point; weight: number }[],
  rest: (quarter: number) => string,
): string[] {
  return [1, 2, 3, 4].flatMap(quarter => {
    const path = edges
      .filter(({ weight }) => Math.ceil(weight * 4) === quarter)
      .map(({ a, b }) => `M${short(a.x)} ${short(a.y)}L${short(b.x)} ${short(b.y)}`)
    return path.length > 0 ? [`<path d="${path.join('')}" ${rest(quarter)}/>`] : []
  })
}

async function drawCommunities(picture: Picture): Promise<void> {
  const { firm, graph, community, shown } = picture
  const points = picture.points({ x: MARGIN + 10, y: 44, width: 420, height: 430 })
  const edges = edgesOf(graph).map(edge => ({ ...edge, a: points[edge.from], b: points[edge.to] }))
  const isInside = ({ from, to }: { from: number; to: number }) => community[from] === community[to]
  const parts = [
    words(MARGIN, 24, `The fuzzy graph of ${firm.firmId} and its communities`, 'ink strong'),
    ...edgePaths(
      edges.filter(edge => !isInside(edge)),
      quarter => `class="line" stroke-width="0.6" opacity="${quarter * 0.09}"`,
    ),
  ]
  for (const number of new Set(community))
    parts.push(
      ...edgePaths(
        edges.filter(edge => isInside(edge) && community[edge.from] === number),
        quarter =>
          `fill="none" stroke="${number > 0 ? colourOf(number) : '#818b98'}" stroke-width="1" opacity="${quarter * 0.22}"`,
      ),
    )
  for (const [i, point] of points.entries())
    parts.push(firm.topics[i] === NOISE ? circle(point, 3.5, 'class="inkline"') : circle(point, 4.5, hue(community[i])))
  for (const [place, { size }] of shown.entries()) {
    const y = 54 + place * 42
    parts.push(
      circle({ x: 470, y: y - 4 }, 6, `fill="${colourOf(place + 1)}"`),
      words(484, y, `${place + 1}: ${size} sentences`, 'ink strong'),
      words(484, y + 16, cut(nameOf(picture, place + 1, 6), 48), 'ink small'),
    )
  }
  const y = 54 + shown.length * 42
  const within = sum(edges.filter(isInside).map(edge => edge.weight)) / sum(edges.map(edge => edge.weight))
  const chance = within - modularity(graph, community, 1)
  const percent = (share: number) => `${Math.round(100 * share)} %`
  parts.push(
    circle({ x: 470, y: y - 4 }, 4, 'class="inkline"'),
    words(484, y, `noise: ${firm.topics.filter(topic => topic === NOISE).length} sentences`, 'quiet'),
    lines(
      MARGIN,
      498,
      [
        `${thousands(edges.length)} edges: coloured inside a community, grey between two. ${percent(within)} of their weight is inside; dealt out by chance it would be ${percent(chance)}.`,
        `Modularity: ${(within - chance).toFixed(2)} at resolution 1, ${modularity(graph, community, FIRM_RESOLUTION).toFixed(2)} at resolution ${FIRM_RESOLUTION}. Places: the layout of step 3, of which the communities know nothing.`,
      ],
      'quiet small',
      16,
    ),
  )
  await save('12-communities', 526, 'The fuzzy graph and its communities', parts)
}

/** One sentence is taken out of its community and offered to each that it has edges to. */
async function drawOneMove(picture: Picture): Promise<void> {
  const { firm, graph, strength, total, community } = picture
  const row = rowStarting(firm, TORN)
  const weightTo = weightsTo(graph, row, j => community[j])
  const offers = [...weightTo].map(([number, weight]) => {
    const others = sum(strength.filter((_, i) => i !== row && community[i] === number))
    const chance = (FIRM_RESOLUTION * strength[row] * others) / total
    return { number, weight, chance, gain: weight - chance }
  })
  offers.sort((a, b) => b.gain - a.gain)
  if (offers[0].number !== community[row])
    throw new Error('a single sentence would gain by moving: the picture would not be true')

  // Its neighbours around it, those of a community side by side, so that the eye can add up their edges.
  const centre = { x: 175, y: 222 }
  const around = []
  for (let p = graph.offsets[row]; p < graph.offsets[row + 1]; p++)
    around.push({ number: community[graph.targets[p]], weight: graph.weights[p] })
  const placeOf = new Map(offers.map(({ number }, place) => [number, place]))
  around.sort((a, b) => (placeOf.get(a.number) ?? 0) - (placeOf.get(b.number) ?? 0) || b.weight - a.weight)
  const slots = around.length + placeOf.size // one empty slot between communities
  const parts = [lines(MARGIN, 26, wrap(firm.texts[row], 105), 'ink strong')]
  const dots = []
  for (const [place, { number, weight }] of around.entries()) {
    const slot = place + (placeOf.get(number) ?? 0)
    const angle = ((slot + 0.5) / slots) * 2 * Math.PI - Math.PI / 2
    const end = { x: centre.x + 130 * Math.cos(angle), y: centre.y + 130 * Math.sin(angle) }
    const colour = number > 0 ? colourOf(number) : '#818b98'
    parts.push(segment(centre, end, `stroke="${colour}" stroke-width="${short(0.5 + 4 * weight)}" opacity="0.75"`))
    dots.push(circle(end, 5, hue(number)))
  }
  parts.push(...dots, circle(centre, 8, 'class="ink"'))

  const [left, scale] = [390, 42]
  parts.push(
    words(left, 74, 'weight of its edges into', 'quiet small'),
    words(left, 88, 'the community; the mark: chance', 'quiet small'),
    words(718, 88, `chance × ${FIRM_RESOLUTION}`, 'quiet small end'),
    words(WIDTH - MARGIN, 88, 'gain', 'quiet small end'),
  )
  for (const [place, { number, weight, chance, gain }] of offers.entries()) {
    const y = 112 + place * 38
    const kind = place === 0 ? 'ink strong' : 'ink'
    const mark = left + chance * scale
    parts.push(
      `<rect x="${left}" y="${y - 11}" width="${short(weight * scale)}" height="12" ${hue(number)}/>`,
      `<path d="M${short(mark)} ${y - 14}v18" class="inkline" stroke-width="2"/>`,
      words(left, y + 15, cut(`${number > 0 ? `${number}: ` : ''}${nameOf(picture, number, 4)}`, 46), 'quiet small'),
      words(655, y, weight.toFixed(2), `${kind} end`),
      words(718, y, `− ${chance.toFixed(2)}`, `${kind} end`),
      words(WIDTH - MARGIN, y, `${gain < 0 ? '−' : ''}${Math.abs(gain).toFixed(2)}`, `${kind} end`),
    )
  }
  const pull = offers.reduce((most, offer) => (offer.weight > most.weight ? offer : most))
  const [{ number: best, weight: inside }] = offers
  const membership = inside / strength[row]
  if (pull.number === best || membership >= FIRM_COMMUNITIES.leastMembership)
    throw new Error('the sentence is not torn between two communities: what is said of it would not be true')
  const y = 112 + offers.length * 38 + 14
  parts.push(
    lines(MARGIN, y, [
      `Topic ${pull.number} pulls hardest, but it is large: chance counts ${pull.chance.toFixed(2)} of the sentence's ${strength[row].toFixed(2)} against it. So it goes where it gains`,
      `most, to the community of topic ${best}. Only ${roundedDown(membership)} of its weight is there, under ${FIRM_COMMUNITIES.leastMembership}: in the end it is noise.`,
    ]),
  )
  await save('13-one-move', y + 36, 'A sentence is offered to each community', parts)
}

type Step = { kind: 'move' | 'part'; groupOf: Int32Array; count: number; quality: number }

/**
 * Leiden by its definition: each try is judged by `modularity` of the whole. `nodes` are the sentences that move together.
 * Parting takes the best join where the product draws one; so not every start ends where the product does.
 */
function roundsByDefinition(graph: RowGraph, resolution: number, random: Random): Step[] {
  const { n } = graph
  const steps: Step[] = []
  let nodes = Array.from({ length: n }, (_, i) => [i])
  const communityOf = Int32Array.from({ length: n }, (_, i) => i)
  const note = (kind: Step['kind'], groupOf: Int32Array) => {
    const quality = modularity(graph, groupOf, resolution)
    steps.push({ kind, groupOf: groupOf.slice(), count: new Set(groupOf).size, quality })
  }
  for (;;) {
    let moved = false
    while (shuffled(nodes, random).filter(rows => isMovedToBest(graph, communityOf, rows, resolution)).length > 0)
      moved = true
    note('move', communityOf)
    if (!moved && nodes.length === n) return steps
    const partOf = new Int32Array(n)
    for (const [node, rows] of nodes.entries()) for (const row of rows) partOf[row] = node
    const sizes = nodes.map(() => 1)
    for (const rows of shuffled(nodes, random)) {
      const node = partOf[rows[0]]
      if (sizes[node] !== 1) continue
      if (!isMovedToBest(graph, partOf, rows, resolution, (a, b) => communityOf[a] === communityOf[b])) continue
      sizes[node]--
      sizes[partOf[rows[0]]]++
    }
    note('part', partOf)
    const names = [...new Set(partOf)]
    // Where no part has more than one node a round is over; the next begins with the sentences, in the communities they are in.
    const parts = names.map(part => [...partOf.keys()].filter(i => partOf[i] === part))
    nodes = names.length < nodes.length ? parts : Array.from({ length: n }, (_, i) => [i])
  }
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  return values
    .map(value => ({ value, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value)
}

/** Puts rows that move together into the neighbouring group that betters the whole most; true where one does. */
function isMovedToBest(
  graph: RowGraph,
  groupOf: Int32Array,
  rows: readonly number[],
  resolution: number,
  mayJoin: (row: number, other: number) => boolean = () => true,
): boolean {
  const own = groupOf[rows[0]]
  const candidates = new Set<number>()
  for (const row of rows)
    for (let p = graph.offsets[row]; p < graph.offsets[row + 1]; p++)
      if (mayJoin(row, graph.targets[p])) candidates.add(groupOf[graph.targets[p]])
  const put = (group: number) => {
    for (const row of rows) groupOf[row] = group
  }
  let best = own
  let highest = modularity(graph, groupOf, resolution)
  for (const group of candidates) {
    put(group)
    const quality = modularity(graph, groupOf, resolution)
    if (quality <= highest + 1e-12) continue // more than rounding
    best = group
    highest = quality
  }
  put(best)
  return best !== own
}

/** The rounds of the first start, of so many, that ends at the product's communities. */
function roundsToProduct({ graph, community }: Picture): Step[] {
  for (let start = 0; start < 20; start++) {
    const steps = roundsByDefinition(graph, FIRM_RESOLUTION, createRandom(start))
    if (adjustedRandIndex(steps[steps.length - 1].groupOf, community) === 1) return steps
  }
  throw new Error(
    'Leiden by its definition does not end at the communities of the product: the picture would not be true',
  )
}

async function drawRound(picture: Picture): Promise<void> {
  const { firm, graph, community } = picture
  const { n } = firm
  const steps = roundsToProduct(picture)
  const [moved, parted, movedAgain, partedAgain] = steps
  const end = steps[steps.length - 1]
  const panels = [
    { title: '1. Move sentences', groups: moved, nodes: undefined, below: `${moved.count} communities` },
    { title: '2. Part each community again', groups: parted, nodes: undefined, below: `${parted.count} parts` },
    { title: '3. One node of each part', groups: parted, nodes: parted, below: `${parted.count} nodes` },
    { title: '4. Move those nodes', groups: movedAgain, nodes: parted, below: `${movedAgain.count} communities` },
    {
      title: '5. Part, one node of each',
      groups: partedAgain,
      nodes: partedAgain,
      below: `${partedAgain.count} nodes`,
    },
    { title: '6. … until nothing moves', groups: end, nodes: undefined, below: `${end.count} communities` },
  ]
  const parts: string[] = []
  const [wide, high] = [(WIDTH - 2 * MARGIN) / 3, 268]
  for (const [place, { title, groups, nodes, below }] of panels.entries()) {
    const [x, y] = [MARGIN + (place % 3) * wide, 24 + Math.floor(place / 3) * high]
    const points = picture.points({ x: x + 14, y: y + 26, width: wide - 40, height: high - 82 })
    const membersOf = (of: Int32Array, name: number) => [...of.keys()].filter(i => of[i] === name)
    // A group has the colour in which most of its sentences end, so that one sees which groups come together.
    const colourFor = (rows: readonly number[]) => {
      const counts = new Map<number, number>()
      for (const i of rows) counts.set(community[i], (counts.get(community[i]) ?? 0) + 1)
      return [...counts].reduce((most, one) => (one[1] > most[1] ? one : most))[0]
    }
    parts.push(words(x, y, title, 'ink strong'))
    for (const name of new Set(groups.groupOf)) {
      const rows = membersOf(groups.groupOf, name)
      const number = colourFor(rows)
      const corners = hull(rows.map(i => points[i]))
      const colour = number > 0 ? colourOf(number) : '#818b98'
      const path = corners.map(point => `${short(point.x)} ${short(point.y)}`).join('L')
      const blob = `fill="${colour}" stroke="${colour}" stroke-width="10" stroke-linejoin="round" stroke-linecap="round" opacity="0.22"`
      if (nodes === undefined || nodes !== groups) parts.push(`<path d="M${path}Z" ${blob}/>`)
    }
    if (nodes === undefined) {
      for (let i = 0; i < n; i++) parts.push(circle(points[i], 2.4, hue(community[i])))
    } else {
      const names = [...new Set(nodes.groupOf)]
      const rowsOf = new Map(names.map(name => [name, membersOf(nodes.groupOf, name)]))
      const middleOf = new Map(
        [...rowsOf].map(([name, rows]) => [
          name,
          { x: mean(rows.map(i => points[i].x)), y: mean(rows.map(i => points[i].y)) },
        ]),
      )
      const between = new Map<string, number>()
      for (const { from, to, weight } of edgesOf(graph)) {
        const [a, b] = [nodes.groupOf[from], nodes.groupOf[to]]
        if (a === b) continue
        const key = `${Math.min(a, b)} ${Math.max(a, b)}`
        between.set(key, (between.get(key) ?? 0) + weight)
      }
      // All edges would be a grey carpet: those are left out that weigh under a sixth of the heaviest.
      const heaviest = Math.max(...between.values())
      for (const [key, weight] of between) {
        const [a, b] = key.split(' ').map(name => middleOf.get(Number(name)))
        if (a === undefined || b === undefined || 6 * weight < heaviest) continue
        parts.push(segment(a, b, `class="line" stroke-width="${short((4 * weight) / heaviest)}" opacity="0.6"`))
      }
      for (const [name, rows] of rowsOf)
        parts.push(circle(middleOf.get(name) ?? { x: 0, y: 0 }, 2.4 * Math.sqrt(rows.length), hue(colourFor(rows))))
    }
    parts.push(words(x, y + high - 42, `${below}, quality ${groups.quality.toFixed(3)}`, 'quiet small'))
  }
  parts.push(
    lines(
      MARGIN,
      24 + 2 * high - 12,
      [
        'Colour: the community in which a sentence, or most of a group, ends in 6. Shade: the groups as they are now. Lines: the heavier edges.',
        'Quality: modularity at the resolution. Parting lowers it for a moment, so that nodes can find better company than their first.',
      ],
      'quiet small',
      16,
    ),
  )
  await save('14-rounds', 24 + 2 * high + 18, 'The rounds of Leiden', parts)
}

/** The convex hull of points (Andrew's monotone chain); one or two points are their own. */
function hull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y)
  const chain = (along: readonly Point[]) => {
    const kept: Point[] = []
    for (const point of along) {
      while (kept.length > 1 && turn(kept[kept.length - 2], kept[kept.length - 1], point) <= 0) kept.pop()
      kept.push(point)
    }
    return kept.slice(0, -1)
  }
  return points.length < 3 ? sorted : [...chain(sorted), ...chain(sorted.toReversed())]
}

function turn(a: Point, b: Point, c: Point): number {
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/** What is under the least membership shall not read as the least. */
function roundedDown(membership: number): string {
  return (Math.floor(100 * membership) / 100).toFixed(2)
}

/** Where the edges of a topic's sentences lead, and of those that are in none. */
async function drawMembership(picture: Picture): Promise<void> {
  const { firm, graph, strength, community } = picture
  const topic = firm.topics[rowStarting(firm, HERNIA)]
  const rows = [...firm.topics.keys()].filter(i => firm.topics[i] === topic)
  const core = new Set(coreOf(rows, firm.probabilities))
  rows.sort((a, b) => firm.probabilities[b] - firm.probabilities[a])
  const noise = [...firm.topics.keys()].filter(i => firm.topics[i] === NOISE)
  const loose = noise.filter(i => community[i] > 0)
  const few = noise.filter(i => community[i] === SMALL)
  const [left, wide] = [MARGIN + 480, WIDTH - 2 * MARGIN - 480]
  const parts = [
    words(MARGIN, 24, `Topic ${topic}: ${nameOf(picture, topic)}`, 'ink strong'),
    words(left, 24, 'where the weight of their edges leads', 'quiet small'),
  ]
  let y = 48
  const row = (i: number, what: string, kind: string) => {
    const own = community[i]
    const weightTo = [...weightsTo(graph, i, j => community[j])]
    weightTo.sort((a, b) => Number(b[0] === own) - Number(a[0] === own) || b[1] - a[1])
    parts.push(
      words(MARGIN, y, what, 'quiet small'),
      words(MARGIN + 34, y, cut(firm.texts[i], kind === 'ink' ? 78 : 70), `${kind} small`),
    )
    let x = left
    for (const [number, weight] of weightTo) {
      const width = (wide * weight) / strength[i]
      const rest = number === own ? hue(number) : `${hue(number)} opacity="0.35"`
      parts.push(`<rect x="${short(x)}" y="${y - 10}" width="${short(Math.max(0.5, width - 1))}" height="12" ${rest}/>`)
      x += width
    }
    y += 20
  }
  for (const i of rows) row(i, firm.probabilities[i].toFixed(2), core.has(i) ? 'ink strong' : 'ink')
  parts.push(words(MARGIN, y + 14, 'In no topic', 'ink strong'))
  y += 36
  const shareOf = (i: number) => (weightsTo(graph, i, j => community[j]).get(community[i]) ?? 0) / strength[i]
  loose.sort((a, b) => shareOf(b) - shareOf(a))
  for (const i of [...loose, ...few.slice(0, 1)]) row(i, roundedDown(shareOf(i)), 'ink')
  const least = left + wide * FIRM_COMMUNITIES.leastMembership
  parts.push(`<path d="M${short(least)} 32V${y - 12}" class="inkline" stroke-width="1" stroke-dasharray="3 3"/>`)
  parts.push(
    lines(
      MARGIN,
      y + 10,
      [
        `Full colour: its own community, whose share is the membership; pale: the others. Dashed: ${FIRM_COMMUNITIES.leastMembership}, the least.`,
        'Bold: the core, whose words become the keywords.',
        `In no topic: ${loose.length === 1 ? 'a sentence' : `${loose.length} sentences`} with too small a membership, and one of ${few.length} whose community is too small (${FIRM_COMMUNITIES.minClusterSize} are wanted).`,
      ],
      'quiet small',
      16,
    ),
  )
  await save('15-membership', y + 54, 'Where the edges of a topic lead', parts)
}

/** A topic that comes apart: its sentences on the firm's layout, and what each part says. */
async function drawParts(sql: Database, firm: Firm): Promise<void> {
  const shown = await shownTopics(sql, QUARTER, firm.firmId)
  const clustered = clusterByCommunities(firm.vectors, firm.n, firm.d, FIRM_COMMUNITIES, seedOf(firm.firmId))
  const number = firm.topics[rowStarting(firm, ABOUT_PRISONS)]
  const { size, keywords, parts: topicParts, topicId } = shown[number - 1]
  const rows = [...firm.topics.keys()].filter(i => firm.topics[i] === number)
  // Largest first, equals by their first sentence, as cluster-firm numbers them.
  const byPart = new Map<number, number[]>()
  for (const i of rows) {
    const part = clustered.parts?.[i] ?? NOISE
    if (part !== NOISE) byPart.set(part, [...(byPart.get(part) ?? []), i])
  }
  const members = [...byPart.values()].sort((a, b) => b.length - a.length || a[0] - b[0])
  if (
    adjustedRandIndex(clustered.labels, firm.topics) !== 1 ||
    members.map(part => part.length).join() !== topicParts.map(part => part.size).join()
  )
    throw new Error(`the parts of ${topicId} here are not those that cluster-firm wrote: the picture would not be true`)
  const partOf = new Map(members.flatMap((part, place) => part.map(i => [i, place + 1] as const)))
  const table = layoutOf(firm, 2)
  const own = Float32Array.from(rows.flatMap(i => [table[2 * i], table[2 * i + 1]]))
  const { points } = placeIn(own, rows.length, { x: MARGIN + 12, y: 56, width: 256, height: 250 })
  const placeOf = new Map(rows.map((i, place) => [i, points[place]]))
  const drawn = edgesOf(graphOf(firm)).flatMap(({ from, to, weight }) => {
    const [a, b] = [placeOf.get(from), placeOf.get(to)]
    return a === undefined || b === undefined
      ? []
      : [{ a, b, weight, part: partOf.get(from) === partOf.get(to) ? partOf.get(from) : undefined }]
  })
  const svg = [
    words(
      MARGIN,
      24,
      `A topic of ${firm.firmId} and its parts: ${size} sentences, ${keywords.slice(0, 3).join(', ')}`,
      'ink strong',
    ),
    ...edgePaths(
      drawn.filter(edge => edge.part === undefined),
      quarter => `class="line" stroke-width="0.7" opacity="${quarter * 0.15}"`,
    ),
    ...members.flatMap((_, place) =>
      edgePaths(
        drawn.filter(edge => edge.part === place + 1),
        quarter => `fill="none" stroke="${colourOf(place + 1)}" stroke-width="1.2" opacity="${quarter * 0.22}"`,
      ),
    ),
    ...rows.map((i, place) => circle(points[place], 5, hue(partOf.get(i) ?? SMALL))),
  ]
  for (const [place, part] of topicParts.entries()) {
    const y = 70 + place * 82
    svg.push(
      circle({ x: 310, y: y - 4 }, 6, `fill="${colourOf(place + 1)}"`),
      words(
        324,
        y,
        `${part.subtopicId.split('/')[2]}: ${part.size} sentences, ${cut(part.keywords.slice(0, 4).join(', '), 46)}`,
        'ink',
      ),
      lines(324, y + 18, wrap(cut(part.example, 180), 80).slice(0, 3), 'quiet small', 15),
    )
  }
  const y = 70 + topicParts.length * 82
  svg.push(
    circle({ x: 310, y: y - 4 }, 5, 'class="dot"'),
    words(324, y, `in the topic, in none of its parts: ${size - partOf.size} sentences`, 'quiet'),
  )
  await save('16-parts', Math.max(326, y + 20), 'A topic and its parts', svg)
}

// ------------------------------------------------------------------------------------------------------ a tenth taken away

function tableOf({ vectors, d }: Firm, rows: Int32Array): Float32Array {
  const table = new Float32Array(rows.length * d)
  for (const [place, row] of rows.entries()) table.set(vectors.subarray(row * d, (row + 1) * d), place * d)
  return table
}

type Cluster = (vectors: Float32Array, n: number, d: number, seed: number) => Int32Array

const byLayout: Cluster = (vectors, n, d, seed) => clusterExactly(vectors, n, d, FIRM_RECIPE, seed).labels
const byCommunities: Cluster = (vectors, n, d, seed) =>
  clusterByCommunities(vectors, n, d, FIRM_COMMUNITIES, seed).labels

const DRAWS = 40

/** The topics of a firm before and after, for both methods, of the draw that is nearest to what such draws do on average. */
async function drawTenthAway(usual: Firm, firm: Firm): Promise<void> {
  const methods = [
    { title: 'UMAP + HDBSCAN', before: usual.topics, cluster: byLayout },
    { title: 'Communities', before: firm.topics, cluster: byCommunities },
  ]
  const draws = Array.from({ length: DRAWS }, (_, draw) => {
    const kept = withoutTenth(firm.n, seedFrom(seedOf(firm.firmId), 'draw', draw))
    const found = methods.map(({ before, cluster }) => {
      const after = cluster(tableOf(firm, kept), kept.length, firm.d, seedOf(firm.firmId))
      const same = Array.from(kept, row => before[row])
      return { before: same, after: [...after], agreement: adjustedRandIndex(same, after) }
    })
    return { kept, found }
  })
  const usually = methods.map((_, m) => mean(draws.map(({ found }) => found[m].agreement)))
  const away = (draw: (typeof draws)[number]) =>
    sum(usually.map((middle, m) => Math.abs(draw.found[m].agreement - middle)))
  const shown = draws.reduce((nearest, draw) => (away(draw) < away(nearest) ? draw : nearest))
  const parts: string[] = []
  const bottoms: number[] = []
  for (const [m, { title }] of methods.entries()) {
    const x = MARGIN + m * (WIDTH / 2)
    const { before, after, agreement } = shown.found[m]
    const changed = before.map((_, i) => !isSameCompany(before, after, i))
    const left = columnOf(before, after)
    const right = columnOf(after, before)
    parts.push(
      words(x, 24, title, 'ink strong'),
      words(
        x,
        44,
        `${changed.filter(one => one).length} of ${before.length} sentences change company; ARI ${agreement.toFixed(2)}`,
        'ink',
      ),
      words(x, 66, 'all sentences', 'quiet small'),
      words(x + 352, 66, 'a tenth taken away', 'quiet small end'),
    )
    // Lines of one colour in one path, those that stay under those that change.
    for (const moves of [false, true])
      for (const topic of new Set(before)) {
        const path = before.flatMap((own, i) => {
          if (own !== topic || changed[i] !== moves) return []
          const [from, to] = [left.yOf[i], right.yOf[i]]
          return [`M${x + 24} ${short(from)}C${x + 150} ${short(from)} ${x + 202} ${short(to)} ${x + 328} ${short(to)}`]
        })
        if (path.length === 0) continue
        const stroke = topic === NOISE ? 'class="line"' : `fill="none" stroke="${colourOf(topic)}"`
        parts.push(`<path d="${path.join('')}" ${stroke} stroke-width="2.4" opacity="${moves ? 0.95 : 0.3}"/>`)
      }
    for (const { group, top, bottom } of left.blocks)
      parts.push(
        `<rect x="${x + 14}" y="${short(top)}" width="8" height="${short(bottom - top)}" ${group === NOISE ? 'class="dot" opacity="0.5"' : hue(group)}/>`,
        words(x + 10, (top + bottom) / 2 + 4, group === NOISE ? '–' : String(group), 'ink small end'),
      )
    for (const { group, top, bottom } of right.blocks)
      parts.push(
        `<rect x="${x + 330}" y="${short(top)}" width="8" height="${short(bottom - top)}" class="${group === NOISE ? 'dot' : 'ink'}" opacity="${group === NOISE ? 0.5 : 0.7}"/>`,
        words(x + 344, (top + bottom) / 2 + 4, group === NOISE ? '–' : String.fromCharCode(97 + group), 'ink small'),
      )
    bottoms.push(left.bottom, right.bottom)
  }
  const y = Math.round(Math.max(...bottoms)) + 26
  parts.push(
    lines(
      MARGIN,
      y,
      [
        `Each line is a sentence of ${firm.firmId}, coloured by its topic among all sentences; – is noise. Strong: it changes company.`,
        'That is: fewer than half of those in its topic before or after are in both, or it is noise in one of the two only.',
        `Of ${DRAWS} draws this is the one nearest to their mean, which is an ARI of ${usually[0].toFixed(2)} and ${usually[1].toFixed(2)}.`,
      ],
      'quiet small',
      16,
    ),
  )
  await save('18-a-tenth-away', y + 44, 'The same call with a tenth of its sentences taken away', parts)
}

/** Whether at least half of those who are with sentence i in the one grouping or the other are so in both; noise is no company. */
function isSameCompany(before: readonly number[], after: readonly number[], i: number): boolean {
  if (before[i] === NOISE || after[i] === NOISE) return before[i] === after[i]
  let both = 0
  let either = 0
  for (let j = 0; j < before.length; j++) {
    const [was, is] = [before[j] === before[i], after[j] === after[i]]
    if (was && is) both++
    if (was || is) either++
  }
  return 2 * both >= either
}

/** Places of the sentences in a column of groups: groups by the middle of where they come from, noise last, each sorted likewise. */
function columnOf(groupOf: readonly number[], otherOf: readonly number[]) {
  const [top, unit, gap] = [78, 2.9, 8]
  const orderOf = (group: number) => (group === NOISE ? Infinity : group)
  const groups = [...new Set(groupOf)].sort((a, b) => orderOf(a) - orderOf(b))
  const yOf = groupOf.map(() => 0)
  const blocks = []
  let y = top
  for (const group of groups) {
    const rows = [...groupOf.keys()].filter(i => groupOf[i] === group)
    rows.sort((a, b) => orderOf(otherOf[a]) - orderOf(otherOf[b]) || a - b)
    const start = y
    for (const row of rows) {
      yOf[row] = y + unit / 2
      y += unit
    }
    blocks.push({ group, top: start, bottom: y })
    y += gap
  }
  return { yOf, blocks, bottom: y - gap }
}

// ------------------------------------------------------------------------------------------------------------- resolution

const DIAL = [0.5, 0.75, 1, 1.3, 1.6, 2, 2.5, 3]
// Three draws for each of sixty firms: the error of the mean is then under .02.
const DRAWS_OF_DIAL = 3

/** What turning the dial does to firms at large: one call alone is too jagged to read a rule from. */
export async function drawResolution(firms: readonly Firm[]): Promise<void> {
  const settings = DIAL.map(resolution => {
    const recipe = { ...FIRM_COMMUNITIES, resolution }
    const topics: number[] = []
    const widths: number[] = []
    const agreements: number[] = []
    let noise = 0
    for (const firm of firms) {
      const { vectors, n, d, firmId } = firm
      const { labels } = clusterByCommunities(vectors, n, d, recipe, seedOf(firmId))
      topics.push(new Set(labels.filter(label => label !== NOISE)).size)
      noise += labels.filter(label => label === NOISE).length
      const width = silhouette(vectors, n, d, labels)
      if (width !== undefined) widths.push(width)
      for (let draw = 0; draw < DRAWS_OF_DIAL; draw++) {
        const kept = withoutTenth(n, seedFrom(seedOf(firmId), 'draw', draw))
        const again = clusterByCommunities(tableOf(firm, kept), kept.length, d, recipe, seedOf(firmId)).labels
        agreements.push(
          adjustedRandIndex(
            kept.map(row => labels[row]),
            again,
          ),
        )
      }
    }
    const share = noise / sum(firms.map(firm => firm.n))
    return { topics: mean(topics), noise: share, silhouette: mean(widths), steadiness: mean(agreements) }
  })
  const panels = [
    { title: 'topics a firm', most: 8, show: (v: number) => v.toFixed(1), of: settings.map(one => one.topics) },
    { title: 'noise', most: 0.6, show: (v: number) => `${Math.round(100 * v)} %`, of: settings.map(one => one.noise) },
    { title: 'silhouette', most: 0.16, show: (v: number) => v.toFixed(2), of: settings.map(one => one.silhouette) },
    { title: 'ARI, a tenth away', most: 1, show: (v: number) => v.toFixed(2), of: settings.map(one => one.steadiness) },
  ]
  const parts = [
    words(MARGIN, 24, `Turning the resolution: means over ${firms.length} firms of ${QUARTER}`, 'ink strong'),
  ]
  const [wide, top, bottom] = [(WIDTH - 2 * MARGIN) / panels.length, 70, 230]
  for (const [place, { title, most, show, of }] of panels.entries()) {
    const left = MARGIN + place * wide + 6
    const x = (resolution: number) => left + ((wide - 40) * (resolution - 0.5)) / 2.5
    const y = (value: number) => bottom - ((bottom - top) * value) / most
    const colour = COLOURS[place]
    parts.push(words(left, 50, title, 'ink strong'))
    for (const resolution of [0.5, 1, 1.5, 2, 2.5, 3])
      parts.push(words(x(resolution), bottom + 16, String(resolution), 'quiet small middle'))
    parts.push(segment({ x: left, y: bottom }, { x: x(3), y: bottom }, 'class="line"'))
    const usual = DIAL.indexOf(FIRM_RESOLUTION)
    if (usual < 0) throw new Error(`the dial does not pass the setting, ${FIRM_RESOLUTION}`)
    parts.push(
      segment(
        { x: x(DIAL[usual]), y: top - 8 },
        { x: x(DIAL[usual]), y: bottom },
        'class="line" stroke-dasharray="3 3"',
      ),
      `<path d="M${of.map((value, i) => `${short(x(DIAL[i]))} ${short(y(value))}`).join('L')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...of.map((value, i) => circle({ x: x(DIAL[i]), y: y(value) }, i === usual ? 5 : 2.5, `fill="${colour}"`)),
    )
    for (const i of [0, usual, DIAL.length - 1]) {
      // Beside the line: above where it comes from below, below where it comes from above; never on the axis.
      const rises = i === 0 ? of[1] < of[0] || y(of[0]) > bottom - 20 : of[i] > of[i - 1]
      const at = { x: x(DIAL[i]) + (i === usual ? -6 : 0), y: y(of[i]) + (rises ? -9 : 18) }
      parts.push(words(at.x, at.y, show(of[i]), `ink small${i === 0 ? '' : ' end'}`))
    }
  }
  parts.push(
    words(MARGIN, bottom + 40, `Across: the resolution. Dashed: the setting, ${FIRM_RESOLUTION}.`, 'quiet small'),
  )
  await save('17-resolution', bottom + 56, 'Turning the resolution', parts)
}

const NEAREST = 5

/** How much of a sentence's surroundings stays when a tenth of the sentences goes: in the graph, and in the layout made of it. */
export function printSurroundings(firms: readonly Firm[]): void {
  const stays = { graph: [] as number[], layout: [] as number[] }
  for (const firm of firms) {
    const { vectors, n, d, firmId } = firm
    const kept = withoutTenth(n, seedFrom(seedOf(firmId), 'draw', 0))
    const table = tableOf(firm, kept)
    stays.graph.push(staying(strongest(vectors, n, d), strongest(table, kept.length, d), kept))
    stays.layout.push(
      staying(nearestInLayout(vectors, n, d, firmId), nearestInLayout(table, kept.length, d, firmId), kept),
    )
  }
  const percent = (shares: number[]) => `${(100 * mean(shares)).toFixed(0)} %`
  process.stdout.write(
    `a tenth away: of a sentence's ${NEAREST} strongest edges ${percent(stays.graph)} are the same, of its ${NEAREST} nearest in the layout ${percent(stays.layout)}\n`,
  )
}

/** Of the neighbours of the rows kept that are kept themselves, the share that are neighbours again. */
function staying(before: number[][], after: number[][], kept: Int32Array): number {
  const placeOf = new Map([...kept].map((row, place) => [row, place]))
  const pairs = [...kept].flatMap((row, place) =>
    before[row].flatMap(other => {
      const there = placeOf.get(other)
      return there === undefined ? [] : [after[place].includes(there)]
    }),
  )
  return pairs.filter(again => again).length / pairs.length
}

function strongest(vectors: Float32Array, n: number, d: number): number[][] {
  const { offsets, targets, weights } = graphOf({ vectors, n, d })
  return Array.from({ length: n }, (_, i) => {
    const edges = Array.from({ length: offsets[i + 1] - offsets[i] }, (_, p) => offsets[i] + p)
    return edges
      .sort((a, b) => weights[b] - weights[a])
      .slice(0, NEAREST)
      .map(p => targets[p])
  })
}

function nearestInLayout(vectors: Float32Array, n: number, d: number, firmId: string): number[][] {
  const layout = layoutOfFirm(vectors, n, d, FIRM_RECIPE, seedFrom(STANDARD_RECIPE.seed, firmId, QUARTER))
  const { indices, k } = nearestNeighbors(layout, n, FIRM_RECIPE.nComponents, NEAREST, 'euclidean')
  return Array.from({ length: n }, (_, i) => [...indices.subarray(i * k, (i + 1) * k)])
}
