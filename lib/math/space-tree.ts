// A k-d tree: space halved again and again, so that what lies far away is passed over without being looked at.
// Bentley 1975, with the boxes drawn tight around the points (Friedman, Bentley, Finkel 1977 pass over by them).
// Left to others: the spanning tree that is found by it (spanning-tree.ts).

/**
 * A complete binary tree over n points of d numbers. Node 0 is all points; the children of node m are 2m + 1 and
 * 2m + 2, each with half of its points; the nodes from `firstLeaf` on have none. Points are known by their place: they
 * are sorted so that the points of every node lie side by side, node m from start[m] up to end[m].
 */
export type SpaceTree = {
  n: number
  d: number
  /** n × d, by place. */
  points: Float64Array
  /** Row of each place in the table that the tree was made of. */
  rowOfPlace: Int32Array
  nodes: number
  firstLeaf: number
  start: Int32Array
  end: Int32Array
  /** nodes × d: the smallest and the largest number of each column among a node's points. */
  low: Float64Array
  high: Float64Array
}

/** The nearest others of every place, nearest first; lengths are squared. */
export type Nearby = {
  /** Places of the nearest `kept` others, n × kept. */
  places: Int32Array
  kept: number
  /** Distance of the last one kept, n. */
  reach: Float64Array
  /** Distance of the k-th nearest, n. */
  core: Float64Array
}

// Points of a leaf. On 100,000 × 5, neighbours and spanning tree together: 8 points 1.35 s, 16 points 1.1 s, 32 points
// 1.25 s.
const LEAF = 16

/** points: n × d, n at least 1. Time O(n log n). */
export function spaceTree(points: Float64Array, n: number, d: number): SpaceTree {
  let leaves = 1
  while (n / leaves > LEAF) leaves *= 2
  const nodes = 2 * leaves - 1
  const tree: SpaceTree = {
    n,
    d,
    points,
    rowOfPlace: Int32Array.from({ length: n }, (_, i) => i),
    nodes,
    firstLeaf: leaves - 1,
    start: new Int32Array(nodes),
    end: new Int32Array(nodes),
    low: new Float64Array(nodes * d).fill(Infinity),
    high: new Float64Array(nodes * d).fill(-Infinity),
  }
  tree.end[0] = n
  for (let node = 0; node < nodes; node++) {
    drawBox(tree, node)
    if (node < tree.firstLeaf) split(tree, node)
  }
  // Until here the places were a list of rows; from here on the points themselves stand in that order, because a leaf
  // is read many times, and memory is read fastest in a row.
  const sorted = new Float64Array(n * d)
  for (let place = 0; place < n; place++) {
    const row = tree.rowOfPlace[place] * d
    for (let t = 0; t < d; t++) sorted[place * d + t] = points[row + t]
  }
  return { ...tree, points: sorted }
}

function drawBox({ points, rowOfPlace, start, end, low, high, d }: SpaceTree, node: number): void {
  const box = node * d
  for (let place = start[node]; place < end[node]; place++) {
    const row = rowOfPlace[place] * d
    for (let t = 0; t < d; t++) {
      const x = points[row + t]
      if (x < low[box + t]) low[box + t] = x
      if (x > high[box + t]) high[box + t] = x
    }
  }
}

/**
 * Half of the node's points to each child, by their number in the column in which they are spread most. Always half,
 * even of equal points: so no data makes the tree deep.
 */
function split({ points, rowOfPlace, start, end, low, high, d }: SpaceTree, node: number): void {
  const box = node * d
  let widest = 0
  for (let t = 1; t < d; t++) {
    if (high[box + t] - low[box + t] > high[box + widest] - low[box + widest]) widest = t
  }
  const middle = (start[node] + end[node]) >> 1
  halve(rowOfPlace, points, d, widest, start[node], end[node] - 1, middle)
  const left = 2 * node + 1
  start[left] = start[node]
  end[left] = middle
  start[left + 1] = middle
  end[left + 1] = end[node]
}

/** Sorts just so far that no number before the middle is larger than one after it (Hoare 1961, "find"). */
function halve(
  rows: Int32Array,
  points: Float64Array,
  d: number,
  column: number,
  first: number,
  last: number,
  middle: number,
): void {
  while (first < last) {
    const pivot = points[rows[(first + last) >> 1] * d + column]
    let up = first
    let down = last
    while (up <= down) {
      while (points[rows[up] * d + column] < pivot) up++
      while (points[rows[down] * d + column] > pivot) down--
      if (up > down) break
      const kept = rows[up]
      rows[up++] = rows[down]
      rows[down--] = kept
    }
    if (middle <= down) last = down
    else if (middle >= up) first = up
    else return
  }
}

/**
 * Squared distance of the point at a place from a node's box: never more than from any point in it. That holds to the
 * last bit, because every step of the sum is rounded the same way as in the distance of two points, and rounding keeps
 * the order. So passing over a node by its box never costs the answer a point.
 */
export function squaredDistanceFromBox({ points, low, high, d }: SpaceTree, place: number, node: number): number {
  let sum = 0
  for (let t = 0, a = place * d, b = node * d; t < d; t++) {
    const x = points[a + t]
    const gap = x < low[b + t] ? low[b + t] - x : x > high[b + t] ? x - high[b + t] : 0
    sum += gap * gap
  }
  return sum
}

/** The other child of a node's parent. */
export function siblingOf(node: number): number {
  return node % 2 === 1 ? node + 1 : node - 1
}

export function parentOf(node: number): number {
  return (node - 1) >> 1
}

/**
 * The k-th nearest other of every point (k from 1 to n - 1), and the nearest `kept` (at most k). Which of several
 * equally far ones are kept is left open; the distances are exact, to the bit those of distance.ts.
 */
export function nearby(tree: SpaceTree, k: number, kept: number): Nearby {
  const { n, nodes, firstLeaf, start, end } = tree
  const found: Nearby = {
    places: new Int32Array(n * kept),
    kept,
    reach: new Float64Array(n),
    core: new Float64Array(n),
  }
  const list: NearestList = { places: new Int32Array(k), distances: new Float64Array(k) }
  for (let leaf = firstLeaf; leaf < nodes; leaf++) {
    for (let place = start[leaf]; place < end[leaf]; place++) {
      list.distances.fill(Infinity)
      // From the own leaf upward: the list is full of near ones before anything far is asked for.
      scanLeaf(tree, place, leaf, list)
      for (let node = leaf; node > 0; node = parentOf(node)) {
        const sibling = siblingOf(node)
        visitNode(tree, place, sibling, squaredDistanceFromBox(tree, place, sibling), list)
      }
      found.places.set(list.places.subarray(0, kept), place * kept)
      found.reach[place] = list.distances[kept - 1]
      found.core[place] = list.distances[k - 1]
    }
  }
  return found
}

/** The k nearest others so far, nearest first. */
type NearestList = { places: Int32Array; distances: Float64Array }

function visitNode(tree: SpaceTree, place: number, node: number, squared: number, list: NearestList): void {
  if (squared >= list.distances[list.distances.length - 1]) return
  if (node >= tree.firstLeaf) {
    scanLeaf(tree, place, node, list)
    return
  }
  const left = 2 * node + 1
  const toLeft = squaredDistanceFromBox(tree, place, left)
  const toRight = squaredDistanceFromBox(tree, place, left + 1)
  // The nearer side first: what it holds often makes the other one needless.
  if (toLeft <= toRight) {
    visitNode(tree, place, left, toLeft, list)
    visitNode(tree, place, left + 1, toRight, list)
  } else {
    visitNode(tree, place, left + 1, toRight, list)
    visitNode(tree, place, left, toLeft, list)
  }
}

function scanLeaf({ points, start, end, d }: SpaceTree, place: number, leaf: number, list: NearestList): void {
  const { places, distances } = list
  const last = distances.length - 1
  const a = place * d
  for (let other = start[leaf], b = other * d; other < end[leaf]; other++, b += d) {
    let squared = 0
    for (let t = 0; t < d; t++) {
      const difference = points[a + t] - points[b + t]
      squared += difference * difference
    }
    if (squared >= distances[last] || other === place) continue
    let p = last
    for (; p > 0 && distances[p - 1] > squared; p--) {
      distances[p] = distances[p - 1]
      places[p] = places[p - 1]
    }
    distances[p] = squared
    places[p] = other
  }
}
