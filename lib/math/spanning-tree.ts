// The minimum spanning tree under mutual reachability: the skeleton from which HDBSCAN reads every level of density.
// Prim's algorithm: exact, each distance computed when it is needed, memory O(n), time O(n² d).
// Left to others: what the tree means (cluster-tree.ts).

/**
 * n - 1 edges of a tree over n points. Edge e joins from[e] and to[e]; weight[e] is their mutual reachability
 * and length[e] their plain distance, which decides between edges of equal weight.
 */
export type SpanningTree = { from: Int32Array; to: Int32Array; weight: Float64Array; length: Float64Array }

/**
 * points: n × d; squaredCore: the n squared core distances. The weight of a pair is max(core a, core b, distance a b)
 * (Campello, Moulavi, Sander 2013).
 *
 * Equal weights are the rule here, not the exception: all edges inside the neighbourhood of a point weigh its core
 * distance. Which of them come into the tree decides to which side a bridging point goes, so that implementations
 * disagree with themselves: hdbscan 0.8.43 gives different labels on machines with different sort instructions, and
 * after a shuffle. Here the shorter edge wins, so that a bridging point goes to its nearer side, and the answer
 * depends on the points alone.
 */
export function spanningTree(points: Float64Array, n: number, d: number, squaredCore: Float64Array): SpanningTree {
  const edges = Math.max(0, n - 1)
  const from = new Int32Array(edges)
  const to = new Int32Array(edges)
  const weight = new Float64Array(edges)
  const length = new Float64Array(edges)
  // Everything is compared squared, because the root is monotone and only n - 1 roots are wanted.
  const outside = Int32Array.from({ length: n }, (_, i) => i)
  const bestWeight = new Float64Array(n).fill(Infinity)
  const bestLength = new Float64Array(n).fill(Infinity)
  const bestFrom = new Int32Array(n)
  let left = n
  let current = 0
  let place = 0
  for (let e = 0; e < edges; e++) {
    left--
    outside[place] = outside[left]
    const a = current * d
    const coreCurrent = squaredCore[current]
    let nextWeight = Infinity
    let nextLength = Infinity
    for (let q = 0; q < left; q++) {
      const i = outside[q]
      let best = bestWeight[i]
      const floor = Math.max(coreCurrent, squaredCore[i])
      if (floor <= best) {
        let squared = 0
        for (let t = 0, b = i * d; t < d; t++) {
          const difference = points[a + t] - points[b + t]
          squared += difference * difference
        }
        const mutual = Math.max(squared, floor)
        if (mutual < best || (mutual === best && squared < bestLength[i])) {
          best = mutual
          bestWeight[i] = mutual
          bestLength[i] = squared
          bestFrom[i] = current
        }
      }
      if (best < nextWeight || (best === nextWeight && bestLength[i] < nextLength)) {
        nextWeight = best
        nextLength = bestLength[i]
        place = q
      }
    }
    current = outside[place]
    from[e] = bestFrom[current]
    to[e] = current
    weight[e] = Math.sqrt(nextWeight)
    length[e] = Math.sqrt(nextLength)
  }
  return { from, to, weight, length }
}
