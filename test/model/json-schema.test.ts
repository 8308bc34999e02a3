// The check of answers: what fits passes, every way of not fitting is named by its place.

import { expect, it } from 'vitest'
import { faultOf, type JsonSchema } from '../../lib/model/json-schema.ts'

const schema: JsonSchema = {
  type: 'object',
  required: ['topics'],
  additionalProperties: false,
  properties: {
    topics: {
      type: 'array',
      minItems: 1,
      maxItems: 2,
      items: {
        type: 'object',
        required: ['id', 'name'],
        properties: { id: { type: 'integer' }, name: { type: 'string' }, sure: { type: 'boolean' } },
      },
    },
  },
}

it('accepts what fits', () => {
  expect(faultOf({ topics: [{ id: 1, name: 'Buybacks', sure: true }] }, schema)).toBeUndefined()
  expect(faultOf({ topics: [{ id: 1, name: 'Buybacks', more: 'allowed here' }] }, schema)).toBeUndefined()
})

it.each([
  [null, 'the answer is null, not object'],
  [[], 'the answer is array, not object'],
  [{}, 'the answer has no topics'],
  [{ topics: {} }, 'the answer.topics is object, not array'],
  [{ topics: [] }, 'the answer.topics has 0 entries, at least 1 are wanted'],
  [{ topics: [1, 2, 3] }, 'the answer.topics has 3 entries, at most 2 are wanted'],
  [{ topics: [{ id: 1, name: 'a' }, { id: 2 }] }, 'the answer.topics[1] has no name'],
  [{ topics: [{ id: 1.5, name: 'a' }] }, 'the answer.topics[0].id is number, not integer'],
  [{ topics: [{ id: '1', name: 'a' }] }, 'the answer.topics[0].id is string, not integer'],
  [{ topics: [{ id: 1, name: null }] }, 'the answer.topics[0].name is null, not string'],
  [{ topics: [{ id: 1, name: 'a', sure: 'yes' }] }, 'the answer.topics[0].sure is string, not boolean'],
  [{ topics: [{ id: 1, name: 'a' }], extra: 1 }, 'the answer has an entry nobody asked for'],
])('says what is wrong with %j', (value, fault) => {
  expect(faultOf(value, schema)).toBe(fault)
})

it('refuses a schema with a keyword it would not check', () => {
  const pattern = { type: 'string', pattern: '^a' } as JsonSchema
  expect(() => faultOf('b', pattern)).toThrow('pattern')
})
