// What requests take and cost before anybody is asked: prices from the list or the settings, tokens from texts; and the
// purse that keeps a limit on dollars.

import { describe, expect, it } from 'vitest'
import { dollarsOf, expectedTokens, priceOf } from '../../lib/model/chat-prices.ts'
import { openPurse } from '../../lib/model/spending.ts'
import { readSettings } from '../../lib/settings.ts'

const SCHEMA = { type: 'object' } as const // 17 characters as JSON

describe('prices', () => {
  it('know the model that is asked where nobody says another', () => {
    expect(priceOf(readSettings({}))).toEqual({ in: 1.25, out: 2.5 })
  })

  it('go by the settings first, and are unknown for a model that nobody has priced', () => {
    const models = { QUARTERDECK_CHAT_MODEL: 'grok-4.7' }
    expect(priceOf(readSettings({ ...models, QUARTERDECK_CHAT_PRICE: '0/0' }))).toEqual({ in: 0, out: 0 })
    expect(priceOf(readSettings(models))).toEqual({ in: 2, out: 6 })
    for (const model of ['llama-9', 'toString'])
      expect(priceOf(readSettings({ QUARTERDECK_CHAT_MODEL: model }))).toBeUndefined()
  })

  it('are dollars per million tokens, in and out', () => {
    const tokens = { promptTokens: 400_000, completionTokens: 100_000 }
    expect(dollarsOf(tokens, { in: 1.25, out: 2.5 })).toBeCloseTo(0.75, 12)
    expect(dollarsOf(tokens, undefined)).toBeNull()
  })
})

describe('expected tokens', () => {
  it('are those of messages and schema, four characters each, and the answer as it is told', () => {
    const messages = [{ content: 'x'.repeat(20) }, { content: 'y'.repeat(4) }]
    expect(expectedTokens(messages, { schema: SCHEMA, answerTokens: 70 })).toEqual({
      promptTokens: Math.ceil((20 + 4 + 17) / 4),
      completionTokens: 70,
    })
  })
})

describe('a purse', () => {
  const answer = (dollars: number | null) => ({ promptTokens: 10, completionTokens: 5, dollars })

  it('adds up what was spent, and does not know the sum any more after an answer of unknown price', () => {
    const purse = openPurse(undefined, async () => 0)
    expect(purse.spending()).toEqual({ requests: 0, promptTokens: 0, completionTokens: 0, dollars: 0 })
    purse.add(answer(0.25), 0.1)
    purse.add(answer(0.5), 0.1)
    expect(purse.spending()).toEqual({ requests: 2, promptTokens: 20, completionTokens: 10, dollars: 0.75 })
    purse.add(answer(null), 0.1)
    purse.add(answer(1), 0.1)
    expect(purse.spending()).toEqual({ requests: 4, promptTokens: 40, completionTokens: 20, dollars: null })
  })

  it('lets nothing begin that would pass the limit together with what is spent and what is under way', async () => {
    let spent = 0.4
    const purse = openPurse(1, async () => spent)
    purse.add(answer(0.4), 0.4)
    let finish = (): void => {}
    const first = purse.within(
      0.3,
      () =>
        new Promise<string>(resolve => {
          finish = () => resolve('first')
        }),
    )
    expect(await purse.within(0.3, async () => 'second')).toBe('second')
    expect(await purse.within(0.4, async () => 'too much')).toEqual({ overLimit: true })
    // It has cost less than was expected: what it left over can be spent.
    spent += 0.1
    finish()
    expect(await first).toBe('first')
    expect(await purse.within(0.5, async () => 'third')).toBe('third')
    expect(await purse.within(0.500001, async () => 'too much')).toEqual({ overLimit: true })
  })

  it('takes back what was set aside for work that failed', async () => {
    const purse = openPurse(1, async () => 0)
    await expect(purse.within(1, () => Promise.reject(new Error('no answer')))).rejects.toThrow('no answer')
    expect(await purse.within(1, async () => 'done')).toBe('done')
  })

  it('counts an answer that is kept while it asks what was spent, rather twice than never', async () => {
    let finish = (): void => {}
    let asked = 0
    const purse = openPurse(1, async () => {
      if (++asked === 2) {
        // Read before the first answer was kept, and told after the first was done.
        finish()
        await first
      }
      return 0
    })
    purse.add(answer(0), 0.1)
    const first: Promise<unknown> = purse.within(
      0.6,
      () =>
        new Promise<void>(resolve => {
          finish = resolve
        }),
    )
    await new Promise(resolve => setImmediate(resolve))
    expect(await purse.within(0.6, async () => 'second')).toEqual({ overLimit: true })
  })

  it('lets one begin at a time until an answer has shown what they cost, whatever becomes of those before it', async () => {
    let inHand = 0
    const most: number[] = []
    const purse = openPurse(100, async () => 0)
    const works = Array.from({ length: 6 }, (_, i) =>
      purse.within(1, async () => {
        most.push(++inHand)
        await new Promise(resolve => setImmediate(resolve))
        inHand--
        if (i === 0) throw new Error('no answer')
        if (i === 2) purse.add(answer(1), 1)
      }),
    )
    expect((await Promise.allSettled(works)).filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect(most).toEqual([1, 1, 1, 1, 2, 3])
  })

  it('sets aside by the worst that an answer was underestimated, and never less than is expected', async () => {
    const purse = openPurse(10, async () => 0)
    purse.add(answer(0.1), 1)
    expect(await purse.within(10, async () => 'done')).toBe('done')
    purse.add(answer(5), 1)
    purse.add(answer(1), 1)
    expect(await purse.within(2, async () => 'done')).toBe('done')
    expect(await purse.within(2.1, async () => 'too much')).toEqual({ overLimit: true })
  })

  it('goes on one at a time where nothing was expected and something is billed', async () => {
    let inHand = 0
    const most: number[] = []
    const purse = openPurse(100, async () => 0)
    await Promise.all(
      [1, 2, 3].map(() =>
        purse.within(0, async () => {
          most.push(++inHand)
          await new Promise(resolve => setImmediate(resolve))
          inHand--
          purse.add(answer(1), 0)
        }),
      ),
    )
    expect(most).toEqual([1, 1, 1])
  })

  it('is not stopped short of its limit by the sums of binary fractions', async () => {
    const purse = openPurse(0.3, async () => 0.1 + 0.1)
    expect(await purse.within(0.1, async () => 'done')).toBe('done')
  })

  it('lets anything begin where there is no limit, and asks nobody what was spent', async () => {
    const purse = openPurse(undefined, () => Promise.reject(new Error('nobody asked')))
    expect(await purse.within(null, async () => 'done')).toBe('done')
  })
})
