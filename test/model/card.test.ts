// The card's own word, from a program that speaks as nvidia-smi does: what it tells, and what happens when it does not.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type CardReading, readCards, watchCard } from '../../lib/model/card.ts'

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))
const cardModule = new URL('../../lib/model/card.ts', import.meta.url).href
const before = { ...process.env }
const scratch = mkdtempSync(join(tmpdir(), 'quarterdeck-test-'))
const pidFile = join(scratch, 'pid')
afterAll(() => rmSync(scratch, { recursive: true }))

/** Lets the programs that this process starts find these cards. */
function machineWith(cards: string): void {
  process.env.PATH = `${fixtures}:${before.PATH}`
  process.env.CARDS = cards
}

function machineWithoutSmi(): void {
  process.env.PATH = '/nonexistent'
}

afterEach(() => {
  process.env = { ...before }
})

const MIB = 2 ** 20
const T4: CardReading = {
  index: 0,
  name: 'Tesla T4',
  driver: '535.183.01',
  utilization: 0.91,
  memoryUsed: 6273 * MIB,
  memoryTotal: 15360 * MIB,
  temperature: 64,
  power: 68.11,
}

describe('reading the cards', () => {
  it('gives what nvidia-smi tells, in bytes, shares, degrees and watts', async () => {
    machineWith('t4')
    expect(await readCards()).toEqual([T4])
  })

  it('gives every card its line', async () => {
    machineWith('two')
    const cards = await readCards()
    expect(cards.map(card => [card.index, card.utilization, card.memoryUsed])).toEqual([
      [0, 0, 4 * MIB],
      [1, 1, 34816 * MIB],
    ])
  })

  it('gives null for what a card does not tell, and leaves out a card that does not tell its memory', async () => {
    machineWith('untold')
    expect(await readCards()).toEqual([
      {
        index: 0,
        name: 'NVIDIA GeForce GT 710',
        driver: '470.256.02',
        utilization: null,
        memoryUsed: 512 * MIB,
        memoryTotal: 2001 * MIB,
        temperature: null,
        power: null,
      },
    ])
    machineWith('slice')
    expect(await readCards()).toEqual([])
  })

  it('gives nothing where nvidia-smi fails, does not answer, or is not there', async () => {
    machineWith('none')
    expect(await readCards()).toEqual([])
    machineWith('hang')
    expect(await readCards(0.2)).toEqual([])
    machineWithoutSmi()
    expect(await readCards()).toEqual([])
  })
})

type Watcher = { child: ChildProcess; lines: AsyncIterator<string>; stderr(): string }

/** A process of its own, for what happens to processes: runs `code` with `watchCard`, and says a line now and then. */
function watcher(code: string): Watcher {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', `import { watchCard } from '${cardModule}'; ${code}`],
    { env: { ...process.env, CARD_PID: pidFile }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let stderr = ''
  child.stderr.on('data', data => {
    stderr += data
  })
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](), stderr: () => stderr }
}

/** Waits until nvidia-smi has written its number, and then until nothing of it runs. In vain: the time limit. */
async function nvidiaSmiIsGone(): Promise<void> {
  while (!existsSync(pidFile)) await sleep(20)
  const pid = readFileSync(pidFile, 'utf8').trim()
  // Z: it has ended, and the process that took it over has not asked how.
  for (;;) {
    const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', pid], { encoding: 'utf8', env: before })
    if (/^\s*(Z|$)/.test(stdout)) return
    await sleep(20)
  }
}

describe('watching a card', () => {
  it('tells reading after reading of the one card that is asked for, until it is closed', async () => {
    machineWith('two')
    const seen: CardReading[] = []
    await new Promise<void>(resolve => {
      const watch = watchCard(
        reading => {
          seen.push(reading)
          if (seen.length < 3) return
          watch.close()
          resolve()
        },
        { index: 1, seconds: 0.05 },
      )
    })
    await sleep(200) // four readings' time
    expect(seen.map(reading => reading.index)).toEqual([1, 1, 1])
  })

  it.each([
    ['falls', /^warning: nvidia-smi ended with code 15 \(Unable to determine .* GPU is lost.*\): no figures/],
    ['none', /^warning: nvidia-smi ended with code 9 \(NVIDIA-SMI has failed because it couldn't communicate.*\): no/],
  ])('says once, with code and reason, that nvidia-smi ended, and goes on (%s)', async (cards, warning) => {
    machineWith(cards)
    const { child, lines, stderr } = watcher(
      `watchCard(() => {}, { seconds: 0.05 }); setInterval(() => console.log('on'), 50)`,
    )
    while (!stderr().includes('\n')) await lines.next()
    for (let more = 0; more < 5; more++) expect((await lines.next()).value).toBe('on')
    child.kill('SIGKILL')
    expect(stderr()).toMatch(warning)
    expect(stderr().match(/warning/g)).toHaveLength(1)
  })

  it('says nothing where there is no nvidia-smi', async () => {
    machineWithoutSmi()
    const { child, stderr } = watcher(`watchCard(() => {}); setTimeout(() => {}, 200)`)
    const [code] = await once(child, 'close')
    expect([code, stderr()]).toEqual([0, ''])
  })

  it('keeps no process alive, and ends with it: also one that is killed, and one whose nvidia-smi hangs', async () => {
    for (const [cards, ending] of [
      ['t4', 'watch.close()'],
      ['t4', 'none'],
      ['t4', 'killed'],
      ['hang', 'none'],
    ]) {
      machineWith(cards)
      rmSync(pidFile, { force: true })
      const { child } = watcher(
        `import { existsSync } from 'node:fs'
        const watch = watchCard(() => {}, { seconds: 0.05 })
        const timer = setInterval(() => {
          if (!existsSync('${pidFile}') || '${ending}' === 'killed') return
          clearInterval(timer)
          if ('${ending}' === 'watch.close()') watch.close()
        }, 20)`,
      )
      while (!existsSync(pidFile)) await sleep(20)
      if (ending === 'killed') child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      await nvidiaSmiIsGone()
    }
  })
})
