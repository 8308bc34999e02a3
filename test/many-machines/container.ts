// Lays the files of an image out in a folder as a build would, without a program that builds: the instructions of
// docs/many-machines/Containerfile and .dockerignore are read, and the commands of its RUN lines run with their folders moved.
// What is read is what these two files are made of, not all that such files may hold: anything else is an error.

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from '../run.ts'

export type Instruction = { word: string; rest: string }
export type Stage = { name: string; from: string; instructions: Instruction[] }

export function stagesOf(containerfile: string): Stage[] {
  const lines = containerfile
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n */g, '')
    .split('\n')
    .filter(line => line.trim() !== '')
  const stages: Stage[] = []
  for (const line of lines) {
    const [, word, rest] = /^([A-Z]+) +(.+)$/.exec(line) ?? []
    if (word === undefined) throw new Error(`not an instruction: ${line}`)
    const [, from, name] = /^(\S+) AS (\S+)$/.exec(rest) ?? []
    if (word === 'FROM') stages.push({ name, from, instructions: [] })
    else if (stages.length > 0) stages[stages.length - 1].instructions.push({ word, rest })
    else if (word !== 'ARG') throw new Error(`before the first stage: ${line}`)
  }
  return stages
}

/** The files that an image may hold: everything is left out, and these are let in again. */
export function letIn(dockerignore: string): string[] {
  const [all, ...rest] = dockerignore.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  if (all !== '*' || rest.some(line => !/^![\w./-]+$/.test(line)))
    throw new Error('.dockerignore is no list of exceptions')
  return rest.map(line => line.slice(1))
}

/** Carries out a stage in `folder`: its /app is `folder/app`, its /state is `folder/state`. */
export function layOut(stage: Stage, allowed: readonly string[], folder: string): void {
  const moved = (path: string) => path.replace(/(^|\s)\/(app|state)\b/g, `$1${folder}/$2`)
  let workingFolder = folder
  for (const { word, rest } of stage.instructions) {
    if (word === 'WORKDIR') {
      workingFolder = moved(rest)
      mkdirSync(workingFolder, { recursive: true })
    } else if (word === 'RUN') {
      // A cache that builds share is npm's own here.
      execFileSync('sh', ['-c', moved(rest.replace(/^--mount=type=cache,\S+ /, ''))], {
        cwd: workingFolder,
        stdio: ['ignore', 'ignore', 'inherit'],
      })
    } else if (word === 'COPY') {
      const sources = rest.split(' ').slice(0, -1)
      const copied = sources[0] === '.' ? allowed : sources
      for (const path of copied) {
        if (!allowed.includes(path)) throw new Error(`${path} is not let in by .dockerignore`)
        // A checkout of another shape, such as an archive, has no .git.
        if (!existsSync(join(root, path)) && path.startsWith('.git/')) continue
        mkdirSync(dirname(join(workingFolder, path)), { recursive: true })
        cpSync(join(root, path), join(workingFolder, path), { recursive: true })
      }
    } else if (!['ENV', 'USER', 'ENTRYPOINT', 'CMD'].includes(word)) throw new Error(`${word} ${rest}`)
  }
}

export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
