// A Slurm cluster of one node on this machine, with four cards that are none: the real programs (Debian's slurmctld, slurmd and
// slurm-client) in a scratch folder. Absent, its tests skip and say so; in CI they fail, so that nothing is skipped unnoticed.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../db/servers.ts'

export const hasSlurm = ['slurmctld', 'slurmd', 'sbatch'].every(name => spawnSync(name, ['-V']).error === undefined)
if (!hasSlurm && process.env.CI)
  throw new Error('no Slurm: apt-get install --no-install-recommends slurmctld slurmd slurm-client')

export type Job = {
  id: string
  name: string
  state: string
  code: string
  restarts: number
  dependency: string
  asked: string
}

export type SlurmCluster = {
  /** For the programs of Slurm: which cluster to ask. */
  env: { SLURM_CONF: string }
  ask(name: string, ...words: string[]): string
  jobs(): Job[]
  stop(): Promise<void>
}

export async function slurmCluster(): Promise<SlurmCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-test-slurm-'))
  const path = (name: string) => join(folder, name)
  const ports = [await freePort(), await freePort()]
  const [host] = hostname().split('.')
  const { username } = userInfo()
  mkdirSync(path('state'))
  mkdirSync(path('spool'))
  // No encryption between the programs, no control groups, and more cores than there may be, so that tasks run at once.
  writeFileSync(
    path('slurm.conf'),
    `ClusterName=test
SlurmctldHost=${host}(127.0.0.1)
SlurmUser=${username}
SlurmdUser=${username}
AuthType=auth/none
CredType=cred/none
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
StateSaveLocation=${path('state')}
SlurmdSpoolDir=${path('spool')}
SlurmctldPidFile=${path('slurmctld.pid')}
SlurmdPidFile=${path('slurmd.pid')}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
MailProg=/bin/true
GresTypes=gpu
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName=${host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=4096 Gres=gpu:4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`,
  )
  // A card is known by its file in /dev.
  writeFileSync(
    path('gres.conf'),
    ['null', 'zero', 'full', 'random'].map(name => `Name=gpu File=/dev/${name}\n`).join(''),
  )
  const env = { SLURM_CONF: path('slurm.conf') }
  const whole = { ...process.env, ...env }
  const daemons: ChildProcess[] = []
  for (const name of ['slurmctld', 'slurmd']) daemons.push(spawn(name, ['-D'], { env: whole, stdio: 'ignore' }))
  function ask(name: string, ...words: string[]): string {
    const { status, stdout, stderr } = spawnSync(name, words, { env: whole, encoding: 'utf8' })
    if (status !== 0) throw new Error(`${name} ${words.join(' ')}: ${stderr}`)
    return stdout
  }
  for (let attempt = 0; ; attempt++) {
    const { stdout } = spawnSync('sinfo', ['--noheader', '--format=%T'], { env: whole, encoding: 'utf8' })
    if (stdout.trim() === 'idle') break
    if (attempt === 300) throw new Error(`the node is ${stdout}`)
    await sleep(100)
  }
  return {
    env,
    ask,
    jobs() {
      const field = (text: string, name: string) => new RegExp(`\\b${name}=(\\S*)`).exec(text)?.[1] ?? ''
      return ask('scontrol', 'show', 'job')
        .split('\n\n')
        .filter(text => text.includes('JobId='))
        .map(text => ({
          id: field(text, 'JobId'),
          name: field(text, 'JobName'),
          state: field(text, 'JobState'),
          code: field(text, 'ExitCode'),
          restarts: Number(field(text, 'Restarts')),
          dependency: field(text, 'Dependency'),
          asked: field(text, 'TresPerNode'),
        }))
    },
    async stop() {
      for (const daemon of daemons) {
        if (daemon.exitCode !== null || daemon.signalCode !== null) continue
        const gone = once(daemon, 'exit')
        daemon.kill('SIGTERM')
        await gone
      }
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
