// What onnxruntime needs of NVIDIA, and where `make cuda` puts it: which driver, which libraries, how they are found.
// What a card then makes of it is devices.ts.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

// The first driver of CUDA 13, which the wheel of onnxruntime 1.30 is built for (it asks for libcublas.so.13).
export const LEAST_DRIVER = 580

/** Files of onnxruntime that npm's package lacks, being too large for it. */
export const PROVIDERS = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so']

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../../', import.meta.url))

/** Where `make cuda` unpacks into, below the folder of the program. */
export function cudaFolder(programFolder = root): string {
  return join(programFolder, '.venv-cuda')
}

/** Where the loader of the model's process has to look for NVIDIA's libraries; none before `make cuda`. */
export function libraryFolders(programFolder = root): string[] {
  return ['cu13', 'cudnn']
    .map(part => join(cudaFolder(programFolder), 'nvidia', part, 'lib'))
    .filter(folder => existsSync(folder))
}

/** The folder of onnxruntime's own library, beside which it looks for its providers, and nowhere else. */
export function runtimeFolder(manifest = require.resolve('onnxruntime-node/package.json')): string {
  return join(dirname(manifest), 'bin/napi-v6/linux/x64')
}

export function hasProvider(): boolean {
  return PROVIDERS.every(name => existsSync(join(runtimeFolder(), name)))
}

/** Why this driver will not do, or undefined. `580.65.06` → 580. */
export function driverTooOld(driver: string): string | undefined {
  if (Number.parseInt(driver, 10) >= LEAST_DRIVER) return undefined
  return `the driver ${driver} is too old for CUDA 13, which needs ${LEAST_DRIVER} or later`
}
