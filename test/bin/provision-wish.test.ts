// What a person may say to provision, and what he is told where it cannot be.

import { describe, expect, it } from 'vitest'
import { HELP, readWish } from '../../bin/provision-wish.ts'
import { UsageError } from '../../lib/errors.ts'
import { sample } from '../run.ts'

function refused(words: string[], databaseUrl?: string): UsageError {
  try {
    readWish(words, databaseUrl)
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError)
    expect((error as UsageError).hint).not.toBe('')
    return error as UsageError
  }
  throw new Error(`${words.join(' ')} was not refused`)
}

describe('what provision is asked for', () => {
  it('is a quarter, with the sample that ships where no transcripts are named, and limits that are small', () => {
    expect(readWish(['--quarter', '2024q3'], undefined)).toMatchObject({
      quarter: '2024Q3',
      transcripts: sample('2024Q3'),
      maxHours: 4,
      maxDollars: 2,
      sshPort: 22,
      method: undefined, // as the quarter was made
      yes: false,
      dryRun: false,
    })
    expect(readWish(['--quarter', '2024Q3', 'package.json'], undefined)?.transcripts).toMatch(/\/package\.json$/)
  })

  it('needs no transcripts where a database elsewhere may have them, or where nothing is rented', () => {
    expect(readWish(['--quarter', '1999Q1'], 'postgres://somewhere/db')?.transcripts).toBeUndefined()
    expect(readWish(['--quarter', '1999Q1', '--end'], undefined)?.transcripts).toBeUndefined()
    expect(refused(['--quarter', '1999Q1']).hint).toContain('1999Q1')
  })

  it('keeps the order of places that are given several times', () => {
    const wish = readWish(
      ['--quarter', '2024Q3', '--instance', 'g6.xlarge', '--instance', 'c7i.4xlarge', '--region', 'eu-central-1'],
      undefined,
    )
    expect(wish?.instances).toEqual(['g6.xlarge', 'c7i.4xlarge'])
    expect(wish?.regions).toEqual(['eu-central-1'])
  })

  it.each([
    [[], /which quarter/],
    [['--quarter', 'autumn'], /autumn/],
    [['--quarter', '2024Q3', '--max-hours', '0'], /above 0, to 72/],
    [['--quarter', '2024Q3', '--max-hours', 'long'], /"long"/],
    [['--quarter', '2024Q3', '--max-dollars', '1e9'], /to 100/],
    [['--quarter', '2024Q3', '--ssh-port', '70000'], /from 1 to 65535/],
    [['--quarter', '2024Q3', '--from', '10.0.0.1'], /range such as/],
    [['--quarter', '2024Q3', '--from', '10.0.0.1/64'], /range such as/],
    [['--quarter', '2024Q3', '--database', 'oracle'], /embedded or postgres/],
    [['--quarter', '2024Q3', '--method', 'Leiden'], /"Leiden".*umap-hdbscan, communities/],
    [['--quarter', '2024Q3', '--session-manager'], /--instance-profile is missing/],
    [['--quarter', '2024Q3', '--spot'], /--spot/],
    [['--quarter', '2024Q3', '/nowhere/at/all'], /is not there/],
    [['--quarter', '2024Q3', 'package.json', 'README.md'], /2 were given/],
  ])('refuses %j', (words, reason) => {
    expect(refused(words).message).toMatch(reason)
  })

  it('refuses a database of the instance beside one that is elsewhere', () => {
    expect(refused(['--quarter', '2024Q3', '--database', 'postgres'], 'postgres://somewhere/db').message).toContain(
      'DATABASE_URL',
    )
  })

  it('has a help that names every option, and fits a terminal', () => {
    for (const option of [
      '--yes',
      '--method',
      '--end',
      '--dry-run',
      '--max-hours',
      '--from',
      '--session-manager',
      '--subnet',
    ])
      expect(HELP).toContain(option)
    expect(Math.max(...HELP.split('\n').map(line => line.length))).toBeLessThanOrEqual(100)
    expect(readWish(['--help'], undefined)).toBeUndefined()
  })
})
