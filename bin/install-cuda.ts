// Installs what the device `cuda` needs beside NVIDIA's driver, into .venv-cuda of the current folder, and tries it.
// From PyPI, because it has onnxruntime's library and NVIDIA's own in one place, with hashes, for no root and any Linux; npm's
// own install step fetches the first alone, from a registry of its own. Nothing in Python is run. Run: make cuda

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, readFile, rename, rm, statfs, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { messageOf, UserError } from '../lib/errors.ts'
import { say, thousands } from '../lib/log.ts'
import { readCards } from '../lib/model/card.ts'
import { cudaFolder, driverTooOld, LEAST_DRIVER, libraryFolders, PROVIDERS, runtimeFolder } from '../lib/model/cuda.ts'
import { openEmbedder } from '../lib/model/embedder.ts'
import { SHIPPED_MODEL } from '../lib/settings.ts'

const run = promisify(execFile)
const REQUIREMENTS = fileURLToPath(new URL('cuda-requirements.txt', import.meta.url))
// 1,090 MB fetched and 1,485 unpacked, at once for a moment (m).
const MEGABYTES = 2600
// Wheels for this Python, whichever is here and does the unpacking: of theirs only the libraries are used.
const WHEELS = ['--only-binary=:all:', '--implementation=cp', '--python-version=3.12'].concat(
  ['manylinux_2_28_x86_64', 'manylinux_2_27_x86_64', 'manylinux2014_x86_64'].map(name => `--platform=${name}`),
)
// float32 on a card, other sums in another order.
const MOST_DIFFERENCE = 1e-5

async function main(): Promise<void> {
  const dry = process.argv.includes('--dry-run')
  const here = process.cwd()
  const runtime = findRuntime(here)
  await checkCard()
  const folder = cudaFolder(here)
  const there = await isUnpacked(folder)
  if (there) say(`cuda: the libraries are in ${folder} already`)
  else {
    await checkPip()
    await checkDisk(here)
    say(`cuda: fetching 1,090 MB from PyPI into ${folder}`)
    if (!dry) await unpack(folder)
  }
  say(`cuda: linking ${PROVIDERS.join(' and ')} beside onnxruntime's own library in ${runtime}`)
  if (!dry) await link(folder, runtime)
  say('cuda: looking for every library that it asks for')
  if (!dry) await checkClosure(here, runtime)
  say(`cuda: embedding a sentence with ${SHIPPED_MODEL} on the card and on the CPU`)
  if (dry) return say('cuda: nothing was done (--dry-run)')
  say(`cuda: ready; the largest difference is ${await tryOut()}`)
}

function findRuntime(here: string): string {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new UserError(
      `onnxruntime-node has CUDA for Linux on x64 only; this is ${process.platform} on ${process.arch}`,
      '--device webgpu uses the card of a Mac or a Windows machine, with nothing to install',
    )
  try {
    return runtimeFolder(createRequire(join(here, 'package.json')).resolve('onnxruntime-node/package.json'))
  } catch (error) {
    throw new UserError(`there is no onnxruntime-node in ${here}`, 'in the folder of quarterdeck: make cuda', {
      cause: error,
    })
  }
}

async function checkCard(): Promise<void> {
  const [card] = await readCards()
  if (card === undefined)
    throw new UserError(
      'no NVIDIA card: nvidia-smi finds none',
      `install NVIDIA's driver ${LEAST_DRIVER} or later; a container is started with --gpus all`,
    )
  const old = driverTooOld(card.driver)
  if (old !== undefined)
    throw new UserError(
      `${card.name}: ${old}`,
      `install driver ${LEAST_DRIVER} or later, restart, and again: make cuda`,
    )
  say(`cuda: ${card.name}, driver ${card.driver}`)
}

/** Unpacked from these very requirements: the copy of them comes last. */
async function isUnpacked(folder: string): Promise<boolean> {
  const mark = join(folder, 'requirements.txt')
  return existsSync(mark) && (await readFile(mark, 'utf8')) === (await readFile(REQUIREMENTS, 'utf8'))
}

async function checkPip(): Promise<void> {
  try {
    await run('python3', ['-m', 'pip', '--version'])
  } catch (error) {
    throw new UserError(
      'python3 with pip is needed to unpack the libraries, and is not here',
      'apt-get install python3-pip (Debian, Ubuntu) or dnf install python3-pip (Amazon Linux), and again: make cuda',
      { cause: error },
    )
  }
}

async function checkDisk(here: string): Promise<void> {
  const { bavail, bsize } = await statfs(here)
  const free = Math.floor((bavail * bsize) / 1e6)
  if (free >= MEGABYTES) return
  throw new UserError(
    `${thousands(free)} MB are free on the disk of ${here}, and ${thousands(MEGABYTES)} are needed`,
    'make room, and again: make cuda',
  )
}

/** Beside its place first, so that what is in its place is whole. */
async function unpack(folder: string): Promise<void> {
  const part = `${folder}.part`
  await rm(part, { recursive: true, force: true })
  const words = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--no-cache-dir']
  try {
    await run('python3', [
      ...words,
      ...['--no-deps', '--no-compile', '--require-hashes', '--target', part, ...WHEELS, '-r', REQUIREMENTS],
    ])
  } catch (error) {
    await rm(part, { recursive: true, force: true })
    throw new UserError(
      `the libraries cannot be fetched: ${lastLine(error)}`,
      'PyPI has to be reachable, or a mirror of it: PIP_INDEX_URL. Then again: make cuda',
      { cause: error },
    )
  }
  // onnxruntime has both names of cuDNN in it, and the wheel has the longer one alone.
  await symlink('libcudnn.so.9', join(part, 'nvidia/cudnn/lib/libcudnn.so'))
  await copyFile(REQUIREMENTS, join(part, 'requirements.txt'))
  await rm(folder, { recursive: true, force: true })
  await rename(part, folder)
}

/** What a program said last before it failed, without the passwords that an address may hold. */
function lastLine(error: unknown): string {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  const errors = said.split('\n').filter(line => line.startsWith('ERROR'))
  return (errors.at(-1) ?? messageOf(error)).replace(/\/\/[^/@\s]+@/g, '//***@')
}

/** Links, not copies of 270 MB. `npm ci` takes them away, and the next `make cuda` puts them back without fetching. */
async function link(folder: string, runtime: string): Promise<void> {
  for (const name of PROVIDERS) {
    await rm(join(runtime, name), { force: true })
    await symlink(join(folder, 'onnxruntime/capi', name), join(runtime, name))
  }
}

/** onnxruntime says that the library cannot be loaded, not which one is missing; the loader of the system does. */
async function checkClosure(here: string, runtime: string): Promise<void> {
  const words = 'LD_LIBRARY_PATH="$1:$LD_LIBRARY_PATH" exec ldd "$2"'
  const { stdout } = await run('sh', ['-c', words, 'sh', libraryFolders(here).join(':'), join(runtime, PROVIDERS[0])])
  const missing = [...stdout.matchAll(/(\S+) => not found/g)].map(match => match[1])
  if (missing.length === 0) return
  throw new UserError(
    `libraries are missing: ${missing.join(', ')}`,
    missing.includes('libcuda.so.1')
      ? "libcuda.so.1 is part of NVIDIA's driver: install it, or in a container set NVIDIA_DRIVER_CAPABILITIES=compute,utility"
      : `rm -r ${cudaFolder(here)}, and again: make cuda`,
  )
}

async function tryOut(): Promise<string> {
  const [onCpu, onCard] = [await vectorOn('cpu'), await vectorOn('cuda')]
  const difference = onCpu.reduce((most, value, i) => Math.max(most, Math.abs(value - onCard[i])), 0)
  if (difference <= MOST_DIFFERENCE) return difference.toExponential(1)
  throw new UserError(
    `the card's vector differs from the CPU's by ${difference.toExponential(1)}, more than ${MOST_DIFFERENCE}`,
    'do not use this card; nvidia-smi -q shows whether its memory has errors',
  )
}

async function vectorOn(device: 'cpu' | 'cuda'): Promise<Float32Array> {
  const embedder = await openEmbedder({ model: SHIPPED_MODEL, threads: 1, device })
  try {
    return (await embedder.embed(['We expect higher revenue growth in the quarter.'])).vectors
  } finally {
    await embedder.close()
  }
}

try {
  await main()
} catch (error) {
  if (!(error instanceof UserError)) throw error
  say(`cuda: ${error.message}`)
  say(`  → ${error.hint}`)
  process.exitCode = 1
}
