// Reads the reference cases of HDBSCAN and UMAP: points in base64, the reference's options and answers beside them.

import { readFileSync } from 'node:fs'
import type { HdbscanOptions } from '../../lib/math/hdbscan.ts'

export type HdbscanCase = {
  name: string
  points: Float64Array
  n: number
  d: number
  options: Required<HdbscanOptions>
  labels: number[]
  probabilities: number[]
  /** NaN where the reference divides infinity by infinity. */
  outlierScores: number[]
  persistence: number[]
  spanningTreeWeight: number
}

export function readHdbscanCase(path: string): HdbscanCase {
  // Python writes NaN bare, which is no JSON; in base64 the three letters never follow a space or a bracket.
  const json = JSON.parse(readFileSync(path, 'utf8').replace(/(?<=[[ ])NaN/g, 'null'))
  return {
    name: json.name,
    points: new Float64Array(bytesOf(json.points_f64le_base64)),
    n: json.n,
    d: json.dim,
    options: {
      minClusterSize: json.params.min_cluster_size,
      minSamples: json.params.min_samples,
      clusterSelectionMethod: json.params.cluster_selection_method ?? 'eom',
      clusterSelectionEpsilon: json.params.cluster_selection_epsilon ?? 0,
      allowSingleCluster: json.params.allow_single_cluster ?? false,
    },
    labels: json.labels,
    probabilities: json.probabilities,
    outlierScores: json.outlier_scores.map((score: number | null) => score ?? Number.NaN),
    persistence: json.cluster_persistence,
    spanningTreeWeight: json.mst_total_weight,
  }
}

type Quality = { trustworthiness: number; knn_label_accuracy: number; ari: number }

export type UmapCase = {
  points: Float32Array
  n: number
  d: number
  metric: 'cosine' | 'euclidean'
  nNeighbors: number
  nComponents: number
  minDist: number
  minClusterSize: number
  minSamples: number
  labels: number[]
  mean: Quality
  sd: Quality
}

export function readUmapCase(path: string): UmapCase {
  const json = JSON.parse(readFileSync(path, 'utf8'))
  return {
    points: new Float32Array(bytesOf(json.points_f32le_base64)),
    n: json.n,
    d: json.dim,
    metric: json.metric,
    nNeighbors: json.params.n_neighbors,
    nComponents: json.params.n_components,
    minDist: json.params.min_dist,
    minClusterSize: json.params.min_cluster_size,
    minSamples: json.params.min_samples,
    labels: json.labels_true,
    mean: json.mean,
    sd: json.sd,
  }
}

function bytesOf(base64: string): ArrayBuffer {
  return Uint8Array.from(Buffer.from(base64, 'base64')).buffer
}

/**
 * Labels renamed in the order of each one's first point, noise (-1) kept: two labellings that differ in names alone
 * become equal.
 */
export function renamed(labels: ArrayLike<number>): number[] {
  const names = new Map([[-1, -1]])
  return Array.from(labels, label => {
    const name = names.get(label) ?? names.size - 1
    names.set(label, name)
    return name
  })
}
