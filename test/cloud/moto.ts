// moto, which plays EC2, RDS, SSM and STS: a real HTTP server of the tests' own, from `npm run test:setup`.
// Absent, its tests skip and say so; in CI they fail, so that nothing is skipped there unnoticed. What it lacks is in faults.ts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { root } from '../run.ts'

const python = join(root, '.venv/bin/python')

export const motoIsHere = existsSync(join(root, '.venv/bin/moto_server'))
if (!motoIsHere && process.env.CI) throw new Error('no moto to play AWS: npm run test:setup')

export type Moto = { url: string; close(): Promise<void> }

/** An AWS with nothing in it yet but default networks and images, in every region. */
export async function startMoto(): Promise<Moto> {
  const said: string[] = []
  const child = spawn(python, [join(root, 'test/cloud/serve_moto.py')], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // As AWS, it is to refuse a kind of instance and an image that do not exist. No keys of a person reach it, nor this machine's proxy.
    env: {
      PATH: process.env.PATH,
      PYTHONDONTWRITEBYTECODE: '1',
      MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION: '1',
      MOTO_ENABLE_AMI_VALIDATION: '1',
    },
  })
  // It tells every request on stderr: read on, since a full pipe would stop it, and kept for the case that it does not start.
  child.stderr.on('data', data => {
    if (said.length < 100) said.push(String(data))
  })
  const ended = once(child, 'close')
  const port = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => reject(new Error(`moto ended with ${code}:\n${said.join('')}`)))
    createInterface(child.stdout).once('line', line => resolve(Number(line)))
  })
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      child.kill('SIGKILL') // it has nothing to put away, and a request that is under way would hold it
      await ended
    },
  }
}
