// Turns lib/math/kernels.as.ts into the text of lib/math/kernels-compiled.ts, for bin/make-kernels.ts and the test that
// demands the same bytes. AssemblyScript is a development package: nothing of it ships.

import { readFileSync } from 'node:fs'
import asc from 'assemblyscript/asc'

const SOURCE = new URL('../lib/math/kernels.as.ts', import.meta.url)

export async function compileKernels(): Promise<string> {
  const source = readFileSync(SOURCE, 'utf8')
  let bytes: Uint8Array | undefined
  const { error, stderr } = await asc.main(
    ['kernels.ts', '--outFile', 'kernels.wasm', '-O3', '--enable', 'simd', '--runtime', 'stub', '--noAssert'],
    {
      readFile: name => (name === 'kernels.ts' ? source : null),
      writeFile: (name, contents) => {
        if (name === 'kernels.wasm') bytes = contents as Uint8Array
      },
      listFiles: () => [],
    },
  )
  if (error !== null || bytes === undefined) throw new Error(`kernels.as.ts does not compile:\n${stderr}`)
  const text = Buffer.from(bytes)
    .toString('base64')
    .replace(/.{1,110}/g, "\n  '$&' +")
    .slice(0, -2)
  return (
    '// Made by `npm run kernels` from kernels.as.ts; not for hand editing. WebAssembly in base64, so that no file is read at run time.\n\n' +
    `export const COMPILED =${text}\n`
  )
}
