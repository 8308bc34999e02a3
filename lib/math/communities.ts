// Leiden: communities of a weighted undirected graph, each connected, by modularity with a resolution.
// Traag, Waltman, van Eck, Scientific Reports 9 (2019) 5233; the objective is Reichardt and Bornholdt's (Physical Review E 74, 2006).
// Left to others: where the graph comes from (fuzzy-graph.ts), which resolution (community-topics.ts), what is noise.

import { exponential } from './elementary.ts'
import { createRandom, type Random, seedFrom } from './random.ts'

/**
 * A graph of n nodes in compressed rows: node i's edges stand at offsets[i] to offsets[i + 1], with the node at their other end
 * and their weight; one of 0 is no edge. Each edge stands in both of its rows; a node has none to itself.
 */
export type RowGraph = { n: number; offsets: Int32Array; targets: Int32Array; weights: Float64Array }

export type LeidenOptions = {
  /** γ: the higher, the more and the smaller the communities. 1 is plain modularity. */
  resolution: number
  seed: number
  /** How many times to begin anew, each time in another order; the best by the objective is kept. 1 unless given. */
  starts?: number
  /** Hears of every start as it is done. */
  onStart?: (() => void) | undefined
}

export type Communities = {
  /** Community of each node, from 0 in the order of their first nodes. */
  labels: Int32Array
  count: number
  /** What `modularity` says of them. */
  quality: number
}

/** The rows of a graph given by its edges, each once. */
export function rowsOfEdges(edges: { from: Int32Array; to: Int32Array; strength: Float64Array }, n: number): RowGraph {
  const { from, to, strength } = edges
  const offsets = new Int32Array(n + 1)
  for (let e = 0; e < from.length; e++) {
    offsets[from[e] + 1]++
    offsets[to[e] + 1]++
  }
  for (let i = 0; i < n; i++) offsets[i + 1] += offsets[i]
  const next = offsets.slice(0, n)
  const targets = new Int32Array(offsets[n])
  const weights = new Float64Array(offsets[n])
  for (let e = 0; e < from.length; e++) {
    const [i, j] = [from[e], to[e]]
    targets[next[i]] = j
    weights[next[i]++] = strength[e]
    targets[next[j]] = i
    weights[next[j]++] = strength[e]
  }
  return { n, offsets, targets, weights }
}

/**
 * Modularity with a resolution γ: over all communities, the share of the weight that is inside, less γ times the share that
 * would be there if the edges were dealt out by chance to nodes of the same strengths. A graph without edges has 0.
 */
export function modularity(graph: RowGraph, labels: ArrayLike<number>, resolution: number): number {
  const { n, offsets, targets, weights } = graph
  const strengthOf = new Map<number, number>()
  let inside = 0
  let total = 0
  for (let i = 0; i < n; i++) {
    let strength = 0
    for (let p = offsets[i]; p < offsets[i + 1]; p++) {
      strength += weights[p]
      if (labels[targets[p]] === labels[i]) inside += weights[p]
    }
    total += strength
    strengthOf.set(labels[i], (strengthOf.get(labels[i]) ?? 0) + strength)
  }
  if (total === 0) return 0
  let expected = 0
  for (const strength of strengthOf.values()) expected += (strength / total) * (strength / total)
  return inside / total - resolution * expected
}

/**
 * Each community hangs together, and neither a move of one node, to another community or out of all, nor the union of two
 * communities betters the objective. A node without edges is a community. The same graph, resolution and seed give the same
 * communities on any machine, and however the nodes are numbered: they are gone through by their strengths, so that only nodes
 * of exactly the same strength (as in a graph without weights) are told apart by their numbers.
 */
export function leiden(graph: RowGraph, options: LeidenOptions): Communities {
  const { resolution, seed, starts = 1, onStart } = options
  if (!(resolution > 0 && resolution < Infinity))
    throw new RangeError(`resolution must be a number above 0, found ${resolution}`)
  if (!(starts >= 1)) throw new RangeError(`starts must be a whole number of at least 1, found ${starts}`)
  const { level, nodes } = inOrderOfStrength(graph)
  let best: Int32Array = new Int32Array(graph.n)
  let quality = -Infinity
  for (let start = 0; start < starts; start++) {
    const found = oneStart(level, resolution, createRandom(seedFrom(seed, start)))
    const own = modularity(level, found, resolution)
    onStart?.()
    // By more than rounding, so that the first of equals stays.
    if (own <= quality + ROUNDING) continue
    best = found
    quality = own
  }
  const labels = new Int32Array(graph.n)
  for (let place = 0; place < graph.n; place++) labels[nodes[place]] = best[place]
  return { labels, count: numberByFirst(labels), quality }
}

// Weights are whole numbers here, so small that any sum of them is exact in a double: then no sum depends on the order in
// which edges are met, and so on how nodes are numbered. Their total stays near this; an edge of less than 1e-16 of it is none.
const EXACT = 2 ** 51
// No scale goes beyond, where a double ends. Weights that would need it, all under 1e-285, lose digits.
const LARGEST_SCALE = 2 ** 1000
// A move counts when it gains more than the rounding of its two products: of a share of the node's own strength.
const ROUNDING = 1e-12
// The paper's θ, there for edges of weight 1: here in mean weights of an edge. m, six made graphs of 100 to 2,000 nodes, mean
// objective of 60 seeds beside leidenalg's: .01 -.07 to .8 %, .1 .04 to .9 % more; on graphs of firms both .1 to .8 % more.
const TEMPERATURE = 0.1
// Another draw may part a community elsewhere, and so find what the last one missed. m, the same graphs: a second quiet round
// betters the mean of seeds by .02 to .1 %, a third by half as much.
const QUIET_ROUNDS = 2

/** A graph whose nodes may stand for many: `strength` counts their inner edges too, twice. */
type Level = RowGraph & { strength: Float64Array; total: number; temperature: number }

/** The same graph with the nodes in order of their strength, weights exact; place → node. */
function inOrderOfStrength(graph: RowGraph): { level: Level; nodes: Int32Array } {
  const { n, offsets, targets } = graph
  const weights = exactWeights(graph)
  const strengthOfNode = new Float64Array(n)
  const edgesOfNode = new Int32Array(n)
  for (let i = 0; i < n; i++)
    for (let p = offsets[i]; p < offsets[i + 1]; p++) {
      strengthOfNode[i] += weights[p]
      if (weights[p] > 0) edgesOfNode[i]++
    }
  const nodes = Int32Array.from({ length: n }, (_, i) => i)
  nodes.sort((a, b) => strengthOfNode[b] - strengthOfNode[a] || a - b)
  const placeOf = new Int32Array(n)
  for (let place = 0; place < n; place++) placeOf[nodes[place]] = place

  const level = emptyLevel(
    n,
    nodes.map(node => edgesOfNode[node]),
  )
  // From source to target in order of the sources: so each row comes out in order of its targets.
  const next = level.offsets.slice(0, n)
  for (let place = 0; place < n; place++) {
    const node = nodes[place]
    for (let p = offsets[node]; p < offsets[node + 1]; p++) {
      if (weights[p] === 0) continue
      const row = placeOf[targets[p]]
      level.targets[next[row]] = place
      level.weights[next[row]++] = weights[p]
    }
    level.strength[place] = strengthOfNode[node]
    level.total += strengthOfNode[node]
  }
  if (level.total > 0) level.temperature = (TEMPERATURE * level.total) / level.targets.length
  return { level, nodes }
}

/** The weights times a power of two, rounded: their sum is between a half and the whole of EXACT. */
function exactWeights({ n, offsets, targets, weights }: RowGraph): Float64Array {
  let sum = 0
  for (let i = 0; i < n; i++)
    for (let p = offsets[i]; p < offsets[i + 1]; p++) {
      if (!(weights[p] >= 0)) throw new RangeError(`weights must be 0 or more, found ${weights[p]} at node ${i}`)
      if (targets[p] === i) throw new RangeError(`no node may have an edge to itself, found one at node ${i}`)
      sum += weights[p]
    }
  if (sum === Infinity) throw new RangeError('weights must have a sum that is a number, found Infinity')
  let scale = 1
  while (sum * scale < EXACT / 2 && scale < LARGEST_SCALE) scale *= 2
  while (sum * scale > EXACT) scale /= 2
  return weights.map(weight => Math.round(weight * scale))
}

function emptyLevel(n: number, edgesOfRow: Int32Array): Level {
  const offsets = new Int32Array(n + 1)
  for (let i = 0; i < n; i++) offsets[i + 1] = offsets[i] + edgesOfRow[i]
  return {
    n,
    offsets,
    targets: new Int32Array(offsets[n]),
    weights: new Float64Array(offsets[n]),
    strength: new Float64Array(n),
    total: 0,
    temperature: 1,
  }
}

/** From every node by itself, rounds of Leiden until QUIET_ROUNDS in a row change nothing. */
function oneStart(graph: Level, resolution: number, random: Random): Int32Array {
  const labels = Int32Array.from({ length: graph.n }, (_, i) => i)
  // Every change betters the objective, and there are finitely many partitions: it ends.
  for (let quiet = 0; quiet < QUIET_ROUNDS; quiet++)
    if (round(graph, labels, resolution, random) || splitIntoParts(graph, labels)) quiet = -1
  return labels
}

/**
 * One round: move nodes, part each community again from its single nodes, make one node of each part, and the same on the
 * smaller graph, where a node begins in the community that its part came from. True where any node moved.
 */
function round(graph: Level, labels: Int32Array, resolution: number, random: Random): boolean {
  let level = graph
  let community = labels.slice()
  const nodeOf = Int32Array.from({ length: graph.n }, (_, i) => i)
  let moved = false
  for (;;) {
    if (moveNodes(level, community, resolution, random)) moved = true
    let parts = refine(level, community, resolution, random)
    let count = numberByFirst(parts)
    if (count === level.n) {
      // Nothing left to refine: the communities themselves, so that whole ones may yet join.
      parts = community.slice()
      count = numberByFirst(parts)
      if (count === level.n) break
    }
    for (let i = 0; i < graph.n; i++) nodeOf[i] = parts[nodeOf[i]]
    const ofParts = new Int32Array(count)
    for (let i = 0; i < level.n; i++) ofParts[parts[i]] = community[i]
    numberByFirst(ofParts)
    level = joined(level, parts, count)
    community = ofParts
  }
  for (let i = 0; i < graph.n; i++) labels[i] = community[nodeOf[i]]
  numberByFirst(labels)
  return moved
}

/**
 * Moves single nodes to the community that gains the objective most (the paper's fast local moving): everyone is looked at once,
 * and again whoever's neighbour moved elsewhere. A node's reasons also change with communities that only far nodes left; the
 * round in which nobody moves has looked at all of them in vain. True where any moved.
 */
function moveNodes(level: Level, community: Int32Array, resolution: number, random: Random): boolean {
  const { n, offsets, targets, weights, strength, total } = level
  const strengthOf = new Float64Array(n)
  const sizeOf = new Int32Array(n)
  for (let i = 0; i < n; i++) {
    strengthOf[community[i]] += strength[i]
    sizeOf[community[i]]++
  }
  const empty: number[] = []
  for (let c = n - 1; c >= 0; c--) if (sizeOf[c] === 0) empty.push(c)
  const weightTo = new Float64Array(n)
  const met = new Int32Array(n)
  const queue = Array.from(shuffledNodes(n, random))
  const waits = new Uint8Array(n).fill(1)
  let moved = false
  for (let head = 0; head < queue.length; head++) {
    const i = queue[head]
    waits[i] = 0
    const own = community[i]
    let count = 0
    for (let p = offsets[i]; p < offsets[i + 1]; p++) {
      const c = community[targets[p]]
      if (weightTo[c] === 0) met[count++] = c
      weightTo[c] += weights[p]
    }
    strengthOf[own] -= strength[i]
    const perStrength = total > 0 ? strength[i] * (resolution / total) : 0
    let best = own
    let bestGain = weightTo[own] - perStrength * strengthOf[own] + ROUNDING * strength[i]
    for (let m = 0; m < count; m++) {
      const c = met[m]
      const gain = weightTo[c] - perStrength * strengthOf[c]
      // Of equals the lower.
      if (gain > bestGain || (gain === bestGain && c < best && best !== own)) {
        best = c
        bestGain = gain
      }
    }
    // Alone there is nothing to gain and nothing to lose.
    if (bestGain < 0 && sizeOf[own] > 1) best = empty[empty.length - 1]
    for (let m = 0; m < count; m++) weightTo[met[m]] = 0
    strengthOf[best] += strength[i]
    if (best === own) continue
    moved = true
    community[i] = best
    if (sizeOf[best]++ === 0) empty.pop()
    if (--sizeOf[own] === 0) empty.push(own)
    for (let p = offsets[i]; p < offsets[i + 1]; p++) {
      const j = targets[p]
      if (waits[j] === 1 || community[j] === best) continue
      waits[j] = 1
      queue.push(j)
    }
  }
  return moved
}

/**
 * The paper's refinement: inside each community its nodes begin alone and may join a part that they have edges to, where both
 * are well connected to the rest of the community. Which one is drawn, the likelier the more it gains: the best alone would
 * miss partitions. What comes out hangs together, since nobody joins without an edge.
 */
function refine(level: Level, community: Int32Array, resolution: number, random: Random): Int32Array {
  const { n, offsets, targets, weights, strength, total, temperature } = level
  const perStrength = total > 0 ? resolution / total : 0
  const strengthOfCommunity = new Float64Array(n)
  for (let i = 0; i < n; i++) strengthOfCommunity[community[i]] += strength[i]
  const part = Int32Array.from({ length: n }, (_, i) => i)
  const strengthOfPart = strength.slice()
  const sizeOfPart = new Int32Array(n).fill(1)
  // Weight from each part to the rest of its community.
  const outward = new Float64Array(n)
  for (let i = 0; i < n; i++)
    for (let p = offsets[i]; p < offsets[i + 1]; p++)
      if (community[targets[p]] === community[i]) outward[i] += weights[p]
  function isWellConnected(c: number, whole: number): boolean {
    return outward[c] >= perStrength * strengthOfPart[c] * (whole - strengthOfPart[c])
  }
  const weightTo = new Float64Array(n)
  const met = new Int32Array(n)
  const gains = new Float64Array(n)
  const odds = new Float64Array(n)
  for (const i of shuffledNodes(n, random)) {
    const whole = strengthOfCommunity[community[i]]
    if (sizeOfPart[part[i]] > 1 || !isWellConnected(i, whole)) continue
    let count = 0
    for (let p = offsets[i]; p < offsets[i + 1]; p++) {
      if (community[targets[p]] !== community[i]) continue
      const c = part[targets[p]]
      if (weightTo[c] === 0) met[count++] = c
      weightTo[c] += weights[p]
    }
    let chosen = i
    let most = 0
    let candidates = 0
    for (let m = 0; m < count; m++) {
      const c = met[m]
      const gain = weightTo[c] - perStrength * strength[i] * strengthOfPart[c]
      if (gain < 0 || !isWellConnected(c, whole)) continue
      met[candidates] = c // what is passed over is not needed again but to be cleared, which the edges do
      gains[candidates++] = gain
      most = Math.max(most, gain)
    }
    if (candidates > 0) {
      // Staying alone gains 0 and is a candidate too.
      const alone = exponential(-most / temperature)
      let sum = alone
      for (let m = 0; m < candidates; m++) {
        odds[m] = exponential((gains[m] - most) / temperature)
        sum += odds[m]
      }
      let left = random.next() * sum - alone
      for (let m = 0; m < candidates && left >= 0; m++) {
        chosen = met[m]
        left -= odds[m]
      }
    }
    const edge = weightTo[chosen]
    for (let p = offsets[i]; p < offsets[i + 1]; p++) weightTo[part[targets[p]]] = 0
    if (chosen === i) continue
    outward[chosen] += outward[i] - 2 * edge
    strengthOfPart[chosen] += strength[i]
    sizeOfPart[chosen]++
    sizeOfPart[i] = 0
    part[i] = chosen
  }
  return part
}

/** The graph whose nodes are the parts; edges inside a part live on in its strength. */
function joined(level: Level, part: Int32Array, count: number): Level {
  const { n, offsets, targets, weights, strength, total, temperature } = level
  // Nodes part by part.
  const starts = new Int32Array(count + 1)
  for (let i = 0; i < n; i++) starts[part[i] + 1]++
  for (let c = 0; c < count; c++) starts[c + 1] += starts[c]
  const nodes = new Int32Array(n)
  const next = starts.slice(0, count)
  for (let i = 0; i < n; i++) nodes[next[part[i]]++] = i

  const weightTo = new Float64Array(count)
  const met = new Int32Array(count)
  const rowOffsets = new Int32Array(count + 1)
  const rowTargets = new Int32Array(offsets[n])
  const rowWeights = new Float64Array(offsets[n])
  const rowStrength = new Float64Array(count)
  let edges = 0
  for (let c = 0; c < count; c++) {
    let found = 0
    for (let q = starts[c]; q < starts[c + 1]; q++) {
      const i = nodes[q]
      rowStrength[c] += strength[i]
      for (let p = offsets[i]; p < offsets[i + 1]; p++) {
        const other = part[targets[p]]
        if (other === c) continue
        if (weightTo[other] === 0) met[found++] = other
        weightTo[other] += weights[p]
      }
    }
    for (let m = 0; m < found; m++) {
      rowTargets[edges] = met[m]
      rowWeights[edges++] = weightTo[met[m]]
      weightTo[met[m]] = 0
    }
    rowOffsets[c + 1] = edges
  }
  return {
    n: count,
    offsets: rowOffsets,
    targets: rowTargets.subarray(0, edges),
    weights: rowWeights.subarray(0, edges),
    strength: rowStrength,
    total,
    temperature,
  }
}

/** Makes a community of each connected part of one that fell apart when nodes left it. True where any did. */
function splitIntoParts({ n, offsets, targets }: Level, labels: Int32Array): boolean {
  const part = new Int32Array(n).fill(-1)
  const seen = new Set<number>()
  const stack: number[] = []
  let count = 0
  let split = false
  for (let i = 0; i < n; i++) {
    if (part[i] >= 0) continue
    if (seen.has(labels[i])) split = true
    seen.add(labels[i])
    part[i] = count
    stack.push(i)
    for (let node = stack.pop(); node !== undefined; node = stack.pop())
      for (let p = offsets[node]; p < offsets[node + 1]; p++) {
        const j = targets[p]
        if (part[j] >= 0 || labels[j] !== labels[i]) continue
        part[j] = count
        stack.push(j)
      }
    count++
  }
  labels.set(part)
  return split
}

/** Numbers labels (0 or higher) from 0 in the order of their first nodes; how many there are. */
function numberByFirst(labels: Int32Array): number {
  let highest = -1
  for (let i = 0; i < labels.length; i++) if (labels[i] > highest) highest = labels[i]
  // A list where a Map would do: this is called a dozen times a round.
  const nameOf = new Int32Array(highest + 1).fill(-1)
  let names = 0
  for (let i = 0; i < labels.length; i++) {
    if (nameOf[labels[i]] < 0) nameOf[labels[i]] = names++
    labels[i] = nameOf[labels[i]]
  }
  return names
}

/** Fisher and Yates, from numbers drawn all at once. */
function shuffledNodes(n: number, random: Random): Int32Array {
  const nodes = new Int32Array(n)
  random.fill(nodes, 2 ** 31)
  const drawn = nodes.slice()
  for (let i = 0; i < n; i++) nodes[i] = i
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor((drawn[i] / 2 ** 31) * (i + 1))
    const node = nodes[i]
    nodes[i] = nodes[j]
    nodes[j] = node
  }
  return nodes
}
