// The same clustering by packages from npm, umap-js and hdbscan-ts: kept to compare with, never the default.
// Known of hdbscan-ts 1.0.17: no leaf selection, squared distances, own stability formula, cubic time; of 500 points
// in 15 clean blobs it marks 225 as noise (ARI .19) where the reference finds them all (ARI 1).

import { HDBSCAN } from 'hdbscan-ts'
import { UMAP } from 'umap-js'
import { type ClusterEngine, clusterDistinct } from './engine.ts'
import { createRandom } from './random.ts'

export const clusterWithLibraries: ClusterEngine = (vectors, n, d, recipe, seed) =>
  clusterDistinct(vectors, n, d, recipe, (rows, count) => {
    const table = Array.from({ length: count }, (_, i) => Array.from(rows.subarray(i * d, (i + 1) * d)))
    const umap = new UMAP({
      // umap-js refuses a neighbourhood that is not smaller than the table.
      nNeighbors: Math.min(recipe.nNeighbors, count - 1),
      nComponents: recipe.nComponents,
      minDist: recipe.minDist,
      // Its epochs are its own, 500 as a rule: the recipe counts those of our layout, which does more in each.
      distanceFn: cosineOfUnitRows,
      random: createRandom(seed).next,
    })
    const { minClusterSize, minSamples } = recipe
    const hdbscan = new HDBSCAN({ minClusterSize, minSamples })
    hdbscan.fit(umap.fit(table))
    return { labels: hdbscan.labels_, probabilities: hdbscan.probabilities_ }
  })

function cosineOfUnitRows(left: number[], right: number[]): number {
  let product = 0
  for (let t = 0; t < left.length; t++) product += left[t] * right[t]
  // Rounding must not make a distance negative: umap-js takes its root later.
  return Math.max(0, 1 - product)
}
