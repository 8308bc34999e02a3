// The walls of the house, executed: who may import whom, which knowledge lives where, what every file begins with.
// docs/house.md is the same in words. A new exception is written here with its reason, or not at all.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../', import.meta.url))

type Source = { path: string; text: string; code: string; imports: string[] }

function sourcesOf(...folders: string[]): Source[] {
  return folders.flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(name => /\.(ts|mjs)$/.test(name))
      .map(name => read(join(folder, name))),
  )
}

function read(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8')
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const imports = [...code.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)'([^']+)'/g)].map(match => match[1])
  return { path, text, code, imports }
}

const product = sourcesOf('bin', 'commands', 'lib')
const tests = sourcesOf('test')

/** Where an import leads, as a path from the root: `lib/math/umap.ts`; packages as they are. */
function target(source: Source, specifier: string): string {
  return specifier.startsWith('.') ? relative(root, join(root, dirname(source.path), specifier)) : specifier
}

const DRAWERS = ['text', 'math', 'model', 'db', 'cloud', 'tables', 'page']

function drawerOf(path: string): string | undefined {
  return DRAWERS.find(drawer => path.startsWith(`lib/${drawer}/`))
}

/** Files of the wanted kind that break a rule, as `path: what`; a rule holds when the list is empty. */
function breaches(sources: Source[], rule: (source: Source) => string[]): string[] {
  return sources.flatMap(source => rule(source).map(what => `${source.path}: ${what}`))
}

function outside(...allowed: string[]): Source[] {
  return product.filter(source => !allowed.some(place => source.path === place || source.path.startsWith(`${place}/`)))
}

describe('who may import whom', () => {
  it('finds the house at all', () => {
    expect(product.length).toBeGreaterThan(50)
    expect(new Set(product.map(source => drawerOf(source.path)))).toEqual(
      new Set([undefined, 'cloud', 'db', 'math', 'model', 'page', 'tables', 'text']),
    )
  })

  it('lets lib/math import nothing but itself, except the libraries that it is compared with', () => {
    const libraries = ['umap-js', 'hdbscan-ts']
    expect(
      breaches(
        product.filter(source => drawerOf(source.path) === 'math'),
        source =>
          source.imports.filter(
            specifier =>
              !target(source, specifier).startsWith('lib/math/') &&
              !(source.path === 'lib/math/engine-libraries.ts' && libraries.includes(specifier)),
          ),
      ),
    ).toEqual([])
  })

  it('keeps the drawers apart: each imports itself, math and the root of lib', () => {
    expect(
      breaches(product, source => {
        const own = drawerOf(source.path)
        if (own === undefined) return []
        return source.imports.filter(specifier => {
          const there = drawerOf(target(source, specifier))
          return there !== undefined && there !== own && there !== 'math'
        })
      }),
    ).toEqual([])
  })

  it('lets nothing in lib import a command, and no command another one', () => {
    expect(
      breaches(
        product.filter(source => source.path.startsWith('lib/') || source.path.startsWith('commands/')),
        source =>
          source.path === 'commands/all.ts'
            ? []
            : source.imports.filter(specifier => /^(commands|bin)\//.test(target(source, specifier))),
      ),
    ).toEqual([])
  })

  it('lets what runs in the browser import itself, the data and what draws, and nobody import it', () => {
    const inBrowser = (path: string) => path.startsWith('lib/page/browser/')
    const drawing = ['d3', 'd3-sankey', '@observablehq/plot', 'lib/page/pack.ts', 'lib/page/report-data.ts']
    expect(
      breaches(product, source =>
        source.imports
          .map(specifier => target(source, specifier))
          .filter(
            there =>
              inBrowser(source.path) !== inBrowser(there) && !(inBrowser(source.path) && drawing.includes(there)),
          ),
      ),
    ).toEqual([])
  })

  it('keeps the root of lib above no drawer, but for flags.ts, which reads quarters', () => {
    expect(
      breaches(
        product.filter(source => /^lib\/[^/]+$/.test(source.path) && source.path !== 'lib/flags.ts'),
        source => source.imports.filter(specifier => drawerOf(target(source, specifier)) !== undefined),
      ),
    ).toEqual([])
  })
})

describe('which knowledge lives where', () => {
  const only = (what: string, pattern: RegExp, ...places: string[]) =>
    it(`keeps ${what} in ${places.join(', ')}`, () => {
      expect(
        breaches(outside(...places), source => [...source.code.matchAll(pattern)].map(match => match[0].trim())),
      ).toEqual([])
      // A rule that nothing obeys any more has lost its subject, and would guard nothing.
      const obeyed = product.filter(source => places.some(place => source.path.startsWith(place)))
      expect(obeyed.some(source => new RegExp(pattern.source, pattern.flags.replace('g', '')).test(source.code))).toBe(
        true,
      )
    })

  only('argv', /process\.argv/g, 'bin', 'lib/db/embedded/daemon.ts')
  only('exit codes', /process\.exit(Code)?\b/g, 'bin', 'lib/db/embedded/daemon.ts')
  only('cac', /from 'cac'/g, 'bin/quarterdeck.ts')
  only('the environment', /process\.env\b/g, 'lib/settings.ts')
  only('the postgres package', /from 'postgres'/g, 'lib/db')
  only('PGlite', /from '@electric-sql\/[^']+'/g, 'lib/db/embedded')
  only('SQL', /\b(sql|tx)(<[^`]*>)?`/g, 'lib/db')
  only('onnxruntime', /from 'onnxruntime-node'/g, 'lib/model/onnx.ts')
  only('HTTP', /from 'openai'|from 'node:https?'|\bfetch\(/g, 'lib/model', 'lib/cloud')
  only("AWS's SDK", /from '@aws-sdk\/[^']+'|import\('@aws-sdk\/[^']+'\)/g, 'lib/cloud')
  only('stdout', /process\.stdout/g, 'bin/quarterdeck.ts', 'bin/side-by-side.ts', 'bin/provision.ts')
  only('stderr', /process\.stderr|console\.(?:log|info|warn|error|debug)\b/g, 'lib/log.ts', 'lib/db/embedded/daemon.ts')
  only('the browser', /\b(?:document|window|location)\.\w/g, 'lib/page/browser')
  only('the bundler', /from 'esbuild'/g, 'lib/page/write-page.ts')
  only('the vector index', /\busing hnsw\b/g, 'lib/db/vector-index.ts')

  it('has no chance but the seeded one of lib/math/random.ts', () => {
    expect(breaches(product, source => source.code.match(/Math\.random|randomUUID|randomBytes/g) ?? [])).toEqual([])
  })

  it('makes no markup out of strings in the browser, where what a call says could become some', () => {
    expect(
      breaches(
        product.filter(source => source.path.startsWith('lib/page/browser/')),
        source =>
          source.code.match(
            /innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write|\beval\(|DOMParser/g,
          ) ?? [],
      ),
    ).toEqual([])
  })

  it('has no clock in lib/math and lib/text', () => {
    expect(
      breaches(
        product.filter(source => ['math', 'text'].includes(drawerOf(source.path) ?? '')),
        source => source.code.match(/Date\.now|new Date\(\)|performance\.now/g) ?? [],
      ),
    ).toEqual([])
  })
})

describe('how it is written', () => {
  it('opens every file with what it is', () => {
    expect(
      breaches([...product, ...tests], source =>
        /^(#!.*\n)?\/\/ \S|^#!.*\nimport/.test(source.text) ? [] : ['no opening comment'],
      ),
    ).toEqual([])
  })

  it('has no default exports, no any, no enums, and no barrels', () => {
    expect(
      breaches(
        product.filter(source => source.path.endsWith('.ts')),
        source => source.code.match(/export default|: any\b|<any>|\benum [A-Z]|export \* from/g) ?? [],
      ),
    ).toEqual([])
  })

  it('ends every relative import in the name of a file', () => {
    expect(
      breaches([...product, ...tests], source =>
        source.imports.filter(specifier => specifier.startsWith('.') && !/\.(ts|mjs|json)$/.test(specifier)),
      ),
    ).toEqual([])
  })

  it('names no folder of the machine it was written on', () => {
    const machine = new RegExp(`['"\`\\s(]/(${['work', 'root', 'home/\\w+', 'farm'].join('|')})/`)
    expect(breaches([...product, ...tests], source => source.text.match(machine) ?? [])).toEqual([])
  })

  it('says in one file a verb: each command lives in the file of its name', () => {
    const files = readdirSync(join(root, 'commands'))
    expect(
      files.filter(file => {
        if (file === 'all.ts') return false
        const verb = /^ {2}verb: '([a-z-]+)'/m.exec(readFileSync(join(root, 'commands', file), 'utf8'))?.[1]
        return `${verb === 'index' ? 'build-index' : verb}.ts` !== file
      }),
    ).toEqual([])
  })
})
