// The files of docs/many-machines are right by the word of the tools that read them, and what they start does a quarter as one
// process would: every firm once, and the same rows. No image is built and no cluster is far away; what they would run, is run.

import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, disconnect } from '../../lib/db/connect.ts'
import { migrate } from '../../lib/db/migrate.ts'
import { cudaFolder, PROVIDERS, runtimeFolder } from '../../lib/model/cuda.ts'
import { hasRealServer, type RealServer, realServer } from '../db/servers.ts'
import { bringQuarter } from '../ready-quarter.ts'
import { fingerprints, root, STEPS } from '../run.ts'
import { layOut, letIn, readText, stagesOf } from './container.ts'
import { type Ended, ended, hasPythonPrograms, program } from './python.ts'
import { hasSlurm, type SlurmCluster, slurmCluster } from './slurm-cluster.ts'

const FILES = 'docs/many-machines'
const SHARED_STEPS = ['embed', 'cluster-firm']
// The sample that ships: 14 firms.
const FIRMS = 14
// As the image has it; also of the user that Kubernetes and AWS Batch are told.
const USER = 1000
// Three dozen processes start one after another, each of which brings its own program to life: minutes where others run beside it.
const PATIENCE = 300_000

type Container = {
  image: string
  args: string[]
  env: { name: string; valueFrom?: { secretKeyRef: { key: string } } }[]
  resources: Record<'limits' | 'requests', Record<string, unknown>>
  volumeMounts: { mountPath: string }[]
}
type Job = {
  metadata: { name: string; labels: Record<string, string> }
  spec: {
    completions: number
    parallelism: number
    podFailurePolicy: { rules: { action: string; onExitCodes?: { values: number[] } }[] }
    template: { spec: { securityContext: { runAsUser: number }; containers: [Container] } }
  }
}

async function kubernetesJobs(): Promise<Job[]> {
  const script = join(root, 'test/many-machines/kubernetes.py')
  const { code, stdout, stderr } = await program('python', [script, join(root, FILES, 'kubernetes/quarter.yaml')])
  if (code !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

const stages = stagesOf(readText(`${FILES}/Containerfile`))
const stage = (name: string) => {
  const found = stages.find(one => one.name === name)
  if (found === undefined) throw new Error(`no stage ${name}`)
  return found
}

describe('the container file', () => {
  it.skipIf(!hasPythonPrograms)('has nothing that hadolint would change', async () => {
    expect(await program('hadolint', [`${FILES}/Containerfile`])).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it('has no user but a number, and starts node itself, so that SIGTERM reaches it', () => {
    const { instructions } = stage('program')
    expect(instructions.findLast(one => one.word === 'USER')?.rest).toBe(`${USER}:${USER}`)
    expect(stage('cuda').instructions.findLast(one => one.word === 'USER')?.rest).toBe(`${USER}:${USER}`)
    expect(instructions.find(one => one.word === 'ENTRYPOINT')?.rest).toBe('["node", "/app/bin/quarterdeck.mjs"]')
  })

  it('puts the libraries of a card where the program looks for them', () => {
    const [install, copy, link] = [
      stage('libraries').instructions.find(one => one.word === 'RUN')?.rest,
      stage('cuda').instructions.find(one => one.word === 'COPY')?.rest,
      stage('cuda').instructions.find(one => one.word === 'RUN')?.rest,
    ]
    expect(install).toContain(`--require-hashes --target ${cudaFolder('/app')} `)
    expect(copy).toBe(`--from=libraries ${cudaFolder('/app')} .venv-cuda`)
    expect(link).toContain(`${runtimeFolder('node_modules/onnxruntime-node/package.json')}/`)
    const names = /in (.*?);/.exec(link ?? '')?.[1].split(' ') ?? []
    expect(names.map(name => `libonnxruntime_providers_${name}.so`)).toEqual(PROVIDERS)
  })

  it('lets in what the program is made of, and nothing else', () => {
    const allowed = letIn(readText('.dockerignore'))
    expect(allowed).toEqual(expect.arrayContaining(['bin', 'commands', 'lib', 'sql', 'data', 'package-lock.json']))
    expect(allowed.filter(path => /^(test|docs|node_modules|\.venv|\.quarterdeck|\.git$|\.env)/.test(path))).toEqual([])
  })
})

describe.skipIf(!hasPythonPrograms)('the Kubernetes Jobs', () => {
  it('are right by the schemas of Kubernetes, one a step, in order', async () => {
    const jobs = await kubernetesJobs()
    expect(jobs.map(job => job.spec.template.spec.containers[0].args[0])).toEqual(STEPS)
    for (const { metadata, spec } of jobs) {
      const [container] = spec.template.spec.containers
      expect(metadata).toEqual({ name: container.args[0], labels: { app: 'quarterdeck', step: container.args[0] } })
      expect(spec.template.spec.securityContext.runAsUser).toBe(USER)
      expect(container.volumeMounts.map(mount => mount.mountPath)).toEqual(['/state', '/tmp'])
    }
    const script = readText(`${FILES}/kubernetes/quarter.sh`)
    expect(/for step in (.*); do/.exec(script)?.[1].split(' ')).toEqual(STEPS)
  })

  it('ask for a card for embed alone', async () => {
    const withCard = (await kubernetesJobs()).filter(
      job => 'nvidia.com/gpu' in job.spec.template.spec.containers[0].resources.limits,
    )
    expect(withCard.map(job => job.metadata.name)).toEqual(['embed'])
    expect(withCard[0].spec.template.spec.containers[0].image).toMatch(/:cuda$/)
  })

  it('are started again after 75, and not after 1 and 2', async () => {
    for (const { spec } of await kubernetesJobs()) {
      const codes = Object.fromEntries(
        spec.podFailurePolicy.rules.flatMap(rule => (rule.onExitCodes ? [[rule.action, rule.onExitCodes.values]] : [])),
      )
      expect(codes).toEqual({ Ignore: [75, 143], FailJob: [1, 2] })
    }
  })
})

describe.skipIf(!hasPythonPrograms)('the shell scripts', () => {
  it('have nothing that shellcheck would change', async () => {
    const scripts = ['kubernetes/quarter.sh', 'aws-batch/quarter.sh', 'slurm/quarter.sh', 'slurm/step.sbatch']
    const words = scripts.map(name => `${FILES}/${name}`)
    expect(await program('shellcheck', words)).toEqual({ code: 0, stdout: '', stderr: '' })
  })
})

describe.skipIf(!hasPythonPrograms)('AWS Batch', () => {
  it(
    'takes the files and the jobs: arrays of four where firms are shared, each step after the one before',
    async () => {
      const script = join(root, 'test/many-machines/aws_batch.py')
      const { code, stdout, stderr } = await program('python', [script, join(root, FILES, 'aws-batch')])
      expect([code, code === 0 ? '' : stderr]).toEqual([0, ''])
      const { jobs, refused } = JSON.parse(stdout)
      expect(refused).toContain('Unknown parameter in containerProperties: "readOnlyRootFilesystem"')
      const steps = STEPS.filter(step => step !== 'ingest') // it runs where the transcripts are
      expect(jobs).toEqual(
        steps.map((step, i) => {
          const place = step === 'embed' ? 'quarterdeck-cuda' : 'quarterdeck-cpu'
          return {
            step,
            queue: place,
            definition: place,
            parameters: { step, quarter: '2016Q4' },
            children: SHARED_STEPS.includes(step) ? 4 : null,
            after: steps.slice(0, i).slice(-1),
            status: 'SUCCEEDED',
          }
        }),
      )
    },
    PATIENCE,
  )

  it('starts again after 75 and a lost machine, with a card for cuda alone', () => {
    for (const kind of ['cpu', 'cuda']) {
      const { retryStrategy, containerProperties } = JSON.parse(
        readText(`${FILES}/aws-batch/job-definition-${kind}.json`),
      )
      const answers = retryStrategy.evaluateOnExit.map((one: Record<string, string>) => Object.values(one))
      expect(answers).toEqual([
        ['75', 'RETRY'],
        ['143', 'RETRY'],
        ['Host EC2*', 'RETRY'],
        ['*', 'EXIT'],
      ])
      expect(containerProperties.user).toBe(`${USER}:${USER}`)
      const asked = containerProperties.resourceRequirements.map((one: { type: string }) => one.type)
      expect(asked.includes('GPU')).toBe(kind === 'cuda')
    }
  })
})

const isRoot = process.getuid?.() === 0
if (!isRoot && process.env.CI) throw new Error('only root can start processes as the user of an image')

describe.skipIf(!hasRealServer)('one quarter by many processes', () => {
  let server: RealServer
  let folder: string
  let alone: Record<string, string>

  beforeAll(async () => {
    server = await realServer()
    folder = mkdtempSync(join(tmpdir(), 'quarterdeck-test-'))
    chmodSync(folder, 0o755) // for the user of the image
    layOut(stage('program'), letIn(readText('.dockerignore')), folder)
    const sql = await connect({ home: folder, databaseUrl: await newDatabase('alone') })
    await migrate(sql)
    await bringQuarter(sql)
    // By the path that the sample has where the image is: it is kept with each call.
    await sql`update calls set source = replace(source, ${join(root, 'data')}, 'data')`
    await disconnect(sql)
    alone = (await lookAt('alone')).prints
  }, PATIENCE)
  afterAll(async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function newDatabase(name: string): Promise<string> {
    const sql = postgres(server.settings.databaseUrl ?? '', { max: 1 })
    await sql.unsafe(`create database ${name}`)
    await sql.end()
    return urlOf(name)
  }

  function urlOf(name: string): string {
    return (server.settings.databaseUrl ?? '').replace(/\/[^/]*$/, `/${name}`)
  }

  /** The environment that the image gives, and the secret. */
  function inImage(databaseUrl: string): Record<string, string> {
    const env = stage('program').instructions.find(one => one.word === 'ENV')?.rest ?? ''
    const given = env.split(' ').map(one => one.replace('=/state', `=${folder}/state`).split('='))
    return { PATH: process.env.PATH ?? '', HOME: '/home/node', DATABASE_URL: databaseUrl, ...Object.fromEntries(given) }
  }

  async function runInImage(words: readonly string[], env: Record<string, string>): Promise<Ended> {
    const user = isRoot ? { uid: USER, gid: USER } : {}
    const door = join(folder, 'app/bin/quarterdeck.mjs')
    return await ended(spawn(process.execPath, [door, ...words], { cwd: join(folder, 'app'), env, ...user }))
  }

  /** What a database holds, and how many firms the runs of a step say they did. */
  async function lookAt(name: string) {
    const sql = await connect({ home: folder, databaseUrl: urlOf(name) })
    const prints = await fingerprints(sql)
    const runs = await sql<{ command: string; runs: number; firms: number }[]>`
      select command, count(*)::int as runs, sum((counts->>'firms')::int)::int as firms
      from runs where command in ('embed', 'cluster-firm', 'name-topics') and outcome = 'done' group by command`
    await disconnect(sql)
    return { prints, runs: Object.fromEntries(runs.map(row => [row.command, [row.runs, row.firms]])) }
  }

  it.skipIf(!hasPythonPrograms)(
    'by the command lines of the Jobs, in the image, does every firm once',
    async () => {
      const env = inImage(await newDatabase('kubernetes'))
      for (const { spec } of await kubernetesJobs()) {
        expect(spec.completions).toBe(spec.parallelism)
        const [{ args, env: wanted }] = spec.template.spec.containers
        expect(wanted.map(one => one.valueFrom?.secretKeyRef.key)).toContain('DATABASE_URL')
        const pods = Array.from({ length: spec.parallelism }, () => runInImage(args, env))
        for (const pod of await Promise.all(pods)) expect(pod).toMatchObject({ code: 0 })
      }
      expect(await lookAt('kubernetes')).toEqual({
        prints: alone,
        runs: { embed: [4, FIRMS], 'cluster-firm': [4, FIRMS], 'name-topics': [1, FIRMS] },
      })
    },
    PATIENCE,
  )

  describe.skipIf(!hasSlurm)('by Slurm', () => {
    let slurm: SlurmCluster
    beforeAll(async () => {
      slurm = await slurmCluster()
    })
    afterAll(async () => {
      await slurm.stop()
    })

    /** A folder to submit from, with the secrets beside it. */
    function submitFolder(name: string, secrets: string): { cwd: string; env: NodeJS.ProcessEnv } {
      const cwd = join(folder, name)
      mkdirSync(cwd)
      const file = join(cwd, 'secrets')
      writeFileSync(file, secrets, { mode: 0o600 })
      return { cwd, env: { PATH: process.env.PATH, HOME: cwd, QUARTERDECK_SECRETS: file, ...slurm.env } }
    }

    it(
      'as arrays of three with a card each, a step after the other, does every firm once',
      async () => {
        const secrets = `DATABASE_URL='${await newDatabase('slurm')}'\n`
        const { cwd, env } = submitFolder('submitted', secrets)
        for (const part of ['bin', 'data', 'docs']) symlinkSync(join(root, part), join(cwd, part))
        const words = [`${FILES}/slurm/quarter.sh`, '2024Q3', 'data/samples/2024Q3']
        const submitted = await ended(spawn('sh', words, { cwd, env: { ...env, PROCESSES: '3' } }))
        expect(submitted).toMatchObject({ code: 0, stderr: '' })
        const steps = [...submitted.stdout.matchAll(/^(\S+): job (\d+)$/gm)].map(match => match[1])
        expect(steps).toEqual(STEPS)
        const asked = new Map<string, string>()
        let jobs = slurm.jobs()
        while (jobs.some(job => ['PENDING', 'CONFIGURING', 'RUNNING', 'COMPLETING'].includes(job.state))) {
          await sleep(500)
          jobs = slurm.jobs()
          for (const job of jobs) if (job.state !== 'PENDING') asked.set(job.name, job.asked)
        }
        expect(jobs.filter(job => job.state !== 'COMPLETED')).toEqual([])
        expect(asked.get('embed')).toBe('gres:gpu:1')
        expect(asked.get('cluster-firm')).toBe('')
        expect(await lookAt('slurm')).toEqual({
          prints: alone,
          runs: { embed: [3, FIRMS], 'cluster-firm': [3, FIRMS], 'name-topics': [1, FIRMS] },
        })
      },
      PATIENCE,
    )

    it(
      'goes back into the queue when it is told to leave, and not when it fails',
      async () => {
        const { cwd, env } = submitFolder('leaving', '')
        // In the program's place: leaves with 75 when told to, the first time; then with the code that it is called with.
        mkdirSync(join(cwd, 'bin'))
        writeFileSync(
          join(cwd, 'bin/quarterdeck.mjs'),
          `if (process.env.SLURM_RESTART_COUNT) process.exit(Number(process.argv[2]))
         process.on('SIGTERM', () => process.exit(75))
         process.stdout.write('here\\n')
         setInterval(() => {}, 1000)`,
        )
        const submit = (code: string) =>
          slurm.ask(
            'env',
            ...words(env),
            'sbatch',
            '--parsable',
            `--chdir=${cwd}`,
            join(root, FILES, 'slurm/step.sbatch'),
            code,
          )
        const words = (variables: NodeJS.ProcessEnv) =>
          Object.entries(variables).map(([name, value]) => `${name}=${value}`)
        const ids = ['0', '1'].map(code => submit(code).trim())
        const stateOf = (id: string) => slurm.jobs().find(job => job.id === id)
        for (const id of ids) {
          const log = join(cwd, `quarterdeck-quarterdeck-${id}_4294967294.log`)
          await until(() => textOf(log).includes('here'))
          slurm.ask('scancel', '--batch', '--signal=TERM', id)
        }
        // Slurm holds what comes back for two minutes; nobody has to wait for that here.
        for (const id of ids) {
          await until(() => stateOf(id)?.state === 'PENDING' && stateOf(id)?.restarts === 1)
          slurm.ask('scontrol', 'update', `JobId=${id}`, 'StartTime=now')
          await until(() => /^(COMPLETED|FAILED)$/.test(stateOf(id)?.state ?? ''))
        }
        expect(ids.map(id => [stateOf(id)?.state, stateOf(id)?.code])).toEqual([
          ['COMPLETED', '0:0'],
          ['FAILED', '1:0'],
        ])
      },
      PATIENCE,
    )
  })
})

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // not written yet
  }
}

/** Waits for something that happens elsewhere; the test's own time ends a wait in vain. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(100)
}
