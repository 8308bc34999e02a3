// The report as one HTML file that needs nothing else: the program of browser/, bundled here and now from the
// TypeScript that is in the repository, its style sheet, and the data. Leaves what is shown to browser/, and the file to `report`.

import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { createGzip } from 'node:zlib'
import { build } from 'esbuild'
import { packed } from './pack.ts'
import type { ReportData } from './report-data.ts'

const browser = fileURLToPath(new URL('browser/', import.meta.url))
const root = fileURLToPath(new URL('../../', import.meta.url))

// Observable Plot puts this style into each of its charts. The page's policy admits styles by their hash alone, so it has
// to be known; a Plot that writes another one is found by the test that wants no word on the console.
const STYLE_OF_PLOT = `:where(.plot) {
  --plot-background: white;
  display: block;
  height: auto;
  height: intrinsic;
  max-width: 100%;
}
:where(.plot text),
:where(.plot tspan) {
  white-space: pre;
}`

/** The page in pieces, in order: that of 5,000 firms is tens of megabytes. */
export async function* renderPage(data: ReportData): AsyncGenerator<string> {
  const { script, style } = await bundle()
  const title = escaped(`What firms talked about in ${data.quarter}`)
  yield `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="quarterdeck">
<meta http-equiv="Content-Security-Policy" content="${policy(script, style)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<div id="page"><p class="notice" role="status">Unpacking the report …</p></div>
<noscript><p class="notice">This report is drawn by JavaScript, which is switched off here. It loads nothing from anywhere.</p></noscript>
<script type="text/plain" id="data">`
  yield* base64Of(createGzip({ level: 9 }), packed(data))
  yield `</script>
<script>${script}</script>
</body>
</html>
`
}

/** What the page may do: run this one script, use these styles. Not even an image can be fetched by what a call says. */
function policy(script: string, style: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)} ${hashOf(STYLE_OF_PLOT)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
}

async function bundle(): Promise<{ script: string; style: string }> {
  const built = await build({
    entryPoints: { page: join(browser, 'main.ts'), style: join(browser, 'style.css') },
    bundle: true,
    minify: true,
    format: 'iife',
    // The oldest browsers that have DecompressionStream and the rest of what the page needs: those of 2023.
    target: ['chrome111', 'firefox113', 'safari16.4'],
    // The default escapes all but ASCII; the page says it is UTF-8.
    charset: 'utf8',
    legalComments: 'none', // d3 has none in its files; what its licences ask for is said by licencesOf
    metafile: true,
    write: false,
    outdir: 'page',
    absWorkingDir: root,
    logLevel: 'silent', // a failure throws all the same
  })
  const textOf = (name: string) => built.outputFiles.find(file => file.path.endsWith(name))?.text ?? ''
  const licences = await licencesOf(Object.keys(built.metafile.inputs))
  // Inside <script> these two would end it, or keep it from ending. A backslash before / or ! means nothing to JavaScript.
  const script = `/*\n${licences}\n*/\n${textOf('page.js')}`.replace(/<(\/script|!--)/gi, '<\\$1')
  return { script, style: textOf('style.css').trim() }
}

/** The licences of the libraries that are in the bundle: all of them ask that their text goes along. */
async function licencesOf(inputs: readonly string[]): Promise<string> {
  const folders = new Set(
    inputs.flatMap(input => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.slice(1, 2) ?? []),
  )
  const packagesOfText = new Map<string, string[]>()
  for (const folder of [...folders].sort()) {
    const file = (await readdir(join(root, folder))).find(name => /^licen[cs]e/i.test(name))
    if (file === undefined) continue
    const text = (await readFile(join(root, folder, file), 'utf8')).trim().replaceAll('*/', '* /')
    packagesOfText.set(text, [...(packagesOfText.get(text) ?? []), folder.replace(/^.*node_modules\//, '')])
  }
  return [...packagesOfText].map(([text, packages]) => `${packages.join(', ')}:\n${text}`).join('\n\n')
}

/** Compressed, in letters that mean nothing to HTML: whatever was said in a call cannot leave its place. */
async function* base64Of(gzip: ReturnType<typeof createGzip>, pieces: Iterable<string>): AsyncGenerator<string> {
  const feeding = pipeline(Readable.from(pieces), gzip).catch(() => undefined) // the failure reaches the loop below too
  let left: Buffer = Buffer.alloc(0)
  for await (const piece of gzip as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([left, piece])
    const whole = bytes.length - (bytes.length % 3) // base64 of pieces is base64 of the whole at every third byte only
    left = bytes.subarray(whole)
    if (whole > 0) yield bytes.toString('base64', 0, whole)
  }
  await feeding
  yield left.toString('base64')
}
