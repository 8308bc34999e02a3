// Checks an answer against the little of JSON schema that our own questions use, in words a model and a person understand.
// Thirty lines instead of a validator library: the schemas are ours, and a keyword it does not know is a bug at once.
// Does not know where the schema is sent; that is chat.ts.

export type JsonSchema = Readonly<{
  type: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  description?: string
  /** object */
  properties?: Readonly<Record<string, JsonSchema>>
  required?: readonly string[]
  additionalProperties?: false
  /** array */
  items?: JsonSchema
  minItems?: number
  maxItems?: number
}>

const KEYWORDS = new Set('type description properties required additionalProperties items minItems maxItems'.split(' '))

/** What is wrong with `value`, as a sentence without a full stop, or undefined where nothing is. */
export function faultOf(value: unknown, schema: JsonSchema, where = 'the answer'): string | undefined {
  const unknown = Object.keys(schema).find(key => !KEYWORDS.has(key))
  if (unknown !== undefined) throw new Error(`json-schema.ts does not know the keyword ${unknown}`)
  if (!hasType(value, schema.type)) return `${where} is ${kindOf(value)}, not ${schema.type}`
  if (Array.isArray(value)) return faultOfArray(value, schema, where)
  if (typeof value === 'object') return faultOfObject(value as Record<string, unknown>, schema, where)
  return undefined
}

function faultOfArray(value: unknown[], schema: JsonSchema, where: string): string | undefined {
  const { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema
  if (value.length < minItems) return `${where} has ${value.length} entries, at least ${minItems} are wanted`
  if (value.length > maxItems) return `${where} has ${value.length} entries, at most ${maxItems} are wanted`
  if (items === undefined) return undefined
  for (const [i, entry] of value.entries()) {
    const fault = faultOf(entry, items, `${where}[${i}]`)
    if (fault !== undefined) return fault
  }
  return undefined
}

function faultOfObject(value: Record<string, unknown>, schema: JsonSchema, where: string): string | undefined {
  const { properties = {}, required = [], additionalProperties } = schema
  const missing = required.find(key => !Object.hasOwn(value, key))
  if (missing !== undefined) return `${where} has no ${missing}`
  for (const [key, entry] of Object.entries(value)) {
    if (Object.hasOwn(properties, key)) {
      const fault = faultOf(entry, properties[key], `${where}.${key}`)
      if (fault !== undefined) return fault
    } else if (additionalProperties === false) return `${where} has an entry nobody asked for`
  }
  return undefined
}

function hasType(value: unknown, type: JsonSchema['type']): boolean {
  if (type === 'integer') return Number.isInteger(value)
  return kindOf(value) === type
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}
