// The step that installs what a card needs, on a machine that has none: cards, pip and a missing pip are programs on PATH.
// What it fetches is fetched for real only on a machine with a card; here it is what the pins say, and that it is done once.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const script = join(root, 'bin/install-cuda.ts')
const requirements = readFileSync(join(root, 'bin/cuda-requirements.txt'), 'utf8')
const scratch = mkdtempSync(join(tmpdir(), 'quarterdeck-cuda-'))
afterAll(() => rmSync(scratch, { recursive: true }))

type Machine = { nvidiaSmi?: string; python3?: string }

/** A folder with an onnxruntime-node in it, and PATH with no more than these programs and those of the system. */
function machine(programs: Machine): { folder: string; runtime: string; run(...words: string[]): Outcome } {
  const folder = mkdtempSync(join(scratch, 'machine-'))
  const runtime = join(folder, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64')
  mkdirSync(runtime, { recursive: true })
  writeFileSync(join(folder, 'node_modules/onnxruntime-node/package.json'), '{ "name": "onnxruntime-node" }')
  const path = join(folder, 'path')
  mkdirSync(path)
  for (const name of ['sh', 'env', 'ldd', 'bash', 'cat', 'mkdir', 'cp', 'echo']) {
    const place = ['/usr/bin', '/bin'].map(bin => join(bin, name)).find(existsSync)
    if (place !== undefined) symlinkSync(place, join(path, name))
  }
  for (const [name, text] of [
    ['nvidia-smi', programs.nvidiaSmi],
    ['python3', programs.python3],
  ] as const) {
    if (text === undefined) continue
    writeFileSync(join(path, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(path, name), 0o755)
  }
  function run(...words: string[]): Outcome {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), script, ...words],
      { cwd: folder, env: { ...process.env, PATH: path, CUDA_VISIBLE_DEVICES: '' }, encoding: 'utf8' },
    )
    return { code: status, said: stdout + stderr }
  }
  return { folder, runtime, run }
}

type Outcome = { code: number | null; said: string }

const card = (driver: string) => `echo '0, Tesla T4, ${driver}, 0, 4, 15360, 30, 9.00'`
/** Plays pip: notes that it was called, and lays a library there that has all it asks for. */
const PIP = `
[ "$*" = '-m pip --version' ] && exit 0
echo "$*" >> called
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/onnxruntime/capi" "$2/nvidia/cu13/lib" "$2/nvidia/cudnn/lib"
cp '${join(root, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1')}' "$2/onnxruntime/capi/libonnxruntime_providers_cuda.so"
echo > "$2/onnxruntime/capi/libonnxruntime_providers_shared.so"`

describe('what is installed', () => {
  it('is of the version of onnxruntime-node, since the two speak a language of their own', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(/^onnxruntime-gpu==(\S+)/m.exec(requirements)?.[1]).toBe(dependencies['onnxruntime-node'])
  })

  it('is pinned, every file by its hash', () => {
    const lines = requirements.split('\n').filter(line => line !== '' && !line.startsWith('#'))
    expect(lines).toHaveLength(5)
    for (const line of lines) expect(line).toMatch(/^[a-z0-9-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}$/)
  })
})

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('make cuda', () => {
  it.each([
    ['there is no card', {}, 'no NVIDIA card', '580 or later'],
    ['the driver is too old', { nvidiaSmi: card('535.183.01') }, 'Tesla T4: the driver 535.183.01 is too old', '580'],
    ['there is no pip', { nvidiaSmi: card('580.65.06') }, 'python3 with pip is needed', 'install python3-pip'],
    [
      'nothing can be fetched',
      {
        nvidiaSmi: card('580.65.06'),
        python3: `[ "$*" = '-m pip --version' ] && exit 0\necho 'ERROR: No matching distribution at https://me:secret@pypi' >&2; exit 1`,
      },
      'cannot be fetched: ERROR: No matching distribution at https://***@pypi',
      'PIP_INDEX_URL',
    ],
  ])('refuses where %s, and changes nothing', (_, programs, reason, wayOn) => {
    const { folder, runtime, run } = machine(programs)
    const { code, said } = run()
    expect(code).toBe(1)
    expect(said).toContain(reason)
    expect(said).toContain(wayOn)
    expect(said).not.toContain('    at ') // no stack: a person can mend it
    for (const name of ['.venv-cuda', '.venv-cuda.part']) expect(existsSync(join(folder, name))).toBe(false)
    expect(existsSync(join(runtime, 'libonnxruntime_providers_cuda.so'))).toBe(false)
  })

  it('says its steps and does none of them with --dry-run', () => {
    const { folder, run } = machine({ nvidiaSmi: card('580.65.06'), python3: PIP })
    const { code, said } = run('--dry-run')
    expect(code).toBe(0)
    const steps = ['Tesla T4, driver 580.65.06', 'fetching', 'linking', 'looking for', 'embedding', 'nothing was done']
    expect(said.split('\n').map(line => steps.findIndex(step => line.includes(step)))).toEqual([0, 1, 2, 3, 4, 5, -1])
    expect(existsSync(join(folder, '.venv-cuda'))).toBe(false)
    expect(existsSync(join(folder, 'called'))).toBe(false)
  })

  it('fetches once, links again where npm took the links away, and ends with what the card says', () => {
    const { folder, runtime, run } = machine({ nvidiaSmi: card('580.65.06'), python3: PIP })
    const link = join(runtime, 'libonnxruntime_providers_cuda.so')
    for (const turn of ['first', 'second']) {
      const { code, said } = run()
      expect(said).toContain(turn === 'first' ? 'fetching' : 'already')
      expect(existsSync(link)).toBe(true)
      // The card is a play, so the last step has to fail, and to say so.
      expect(said).toContain('the device cuda cannot be used')
      expect(code).toBe(1)
      rmSync(link)
    }
    expect(readFileSync(join(folder, 'called'), 'utf8').trim().split('\n')).toHaveLength(1)
  })

  it('names the library that the loader misses', () => {
    const broken = PIP.replace(
      /cp '[^']+'/,
      `cp '${join(root, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64/onnxruntime_binding.node')}'`,
    )
    const { code, said } = machine({ nvidiaSmi: card('580.65.06'), python3: broken }).run()
    expect(code).toBe(1)
    expect(said).toContain('libraries are missing: libonnxruntime.so.1')
  })
})
