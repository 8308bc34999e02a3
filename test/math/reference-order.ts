// The order in which hdbscan 0.8.43 (algorithm 'generic') merges equal edges: Prim over the whole matrix, lowest index
// first, then NumPy's introsort without vector instructions. It means nothing, but decides the answer where edges are
// equal; given this order our tree must give the reference's numbers: then nothing but the order differs.

import { type Linkage, linkageInOrder } from '../../lib/math/cluster-tree.ts'
import { mutualReachability } from '../../lib/math/straight.ts'

export function referenceLinkage(points: Float64Array, n: number, d: number, minSamples: number): Linkage {
  const edges = mutualReachability(points, n, d, minSamples)
  const tree = {
    from: new Int32Array(n - 1),
    to: new Int32Array(n - 1),
    weight: new Float64Array(n - 1),
  }
  const reach = new Float64Array(n).fill(Infinity)
  const outside = new Set(Array.from({ length: n }, (_, i) => i))
  let current = 0
  for (let e = 0; e < n - 1; e++) {
    outside.delete(current)
    let next = -1
    for (const i of outside) {
      reach[i] = Math.min(reach[i], Math.sqrt(edges[current][i].weight))
      if (next < 0 || reach[i] < reach[next]) next = i
    }
    // It notes the point added last, not the one that is near: enough for the order of merges.
    tree.from[e] = current
    tree.to[e] = next
    tree.weight[e] = reach[next]
    current = next
  }
  const everyLevel = Int32Array.from({ length: n - 1 }, (_, m) => m)
  return linkageInOrder(tree, n, introsorted(tree.weight), everyLevel)
}

/**
 * Positions of the values in rising order; equal ones as a median-of-three quicksort with insertion sort for 17 and
 * fewer leaves them.
 */
function introsorted(values: Float64Array): Int32Array {
  const order = Int32Array.from({ length: values.length }, (_, i) => i)
  function swap(p: number, q: number): void {
    const kept = order[p]
    order[p] = order[q]
    order[q] = kept
  }
  function less(p: number, q: number): boolean {
    return values[order[p]] < values[order[q]]
  }
  const pending: [number, number][] = [[0, values.length - 1]]
  for (let range = pending.pop(); range !== undefined; range = pending.pop()) {
    let [first, last] = range
    while (last - first > 16) {
      const middle = first + ((last - first) >> 1)
      if (less(middle, first)) swap(middle, first)
      if (less(last, middle)) swap(last, middle)
      if (less(middle, first)) swap(middle, first)
      const pivot = values[order[middle]]
      let up = first
      let down = last - 1
      swap(middle, down)
      for (;;) {
        do up++
        while (values[order[up]] < pivot)
        do down--
        while (pivot < values[order[down]])
        if (up >= down) break
        swap(up, down)
      }
      swap(up, last - 1)
      if (up - first < last - up) {
        pending.push([up + 1, last])
        last = up - 1
      } else {
        pending.push([first, up - 1])
        first = up + 1
      }
    }
    for (let p = first + 1; p <= last; p++) {
      const moved = order[p]
      let q = p
      for (; q > first && values[moved] < values[order[q - 1]]; q--) order[q] = order[q - 1]
      order[q] = moved
    }
  }
  return order
}
