// Reciprocal rank fusion: one list out of several that rank by measures nobody can add up, such as cosines and word weights.
// Cormack, Clarke and Büttcher, SIGIR 2009. What is in the lists is left to the caller.

// Their constant. It makes the tenth place of both lists count for more than the first of one (2/70 against 1/61).
const K = 60

export type Fused = {
  key: string
  score: number
  /** Place in each of the lists, from 1; null where it is not in one. */
  ranks: (number | null)[]
}

/** Best first; of equal scores the one that stands higher in the first list, or is in it, comes first. */
export function fuse(lists: readonly (readonly string[])[]): Fused[] {
  const found = new Map<string, Fused>()
  for (const [i, list] of lists.entries())
    for (const [place, key] of list.entries()) {
      const one = found.get(key) ?? { key, score: 0, ranks: lists.map(() => null) }
      one.score += 1 / (K + place + 1)
      one.ranks[i] = place + 1
      found.set(key, one)
    }
  // The map keeps the order in which keys came: the first list, then what the second adds; sorting keeps it among equals.
  return [...found.values()].sort((a, b) => b.score - a.score)
}
