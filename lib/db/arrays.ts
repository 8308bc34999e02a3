// Arrays as Postgres writes them in text: {1,NULL,"two words"}, {{1,2},{3,4}}.
// Written here for two faults of postgres.js 3.4.9: it gives NULL inside an array as the text 'NULL', and it learns the
// array types with a query of its own at every connection; when the connection is lost just then, nobody can catch the error.

/** Type numbers from pg_type.dat, which never change. */
const ARRAY_TYPES: Readonly<Record<string, { type: number; read: (text: string) => unknown }>> = {
  bool: { type: 1000, read: text => text === 't' },
  name: { type: 1003, read: String },
  int2: { type: 1005, read: Number },
  int4: { type: 1007, read: Number },
  text: { type: 1009, read: String },
  varchar: { type: 1015, read: String },
  int8: { type: 1016, read: BigInt },
  float4: { type: 1021, read: Number },
  float8: { type: 1022, read: Number },
}

/** The array types in the form of postgres.js' option `types`. */
export const arrayTypes = Object.fromEntries(
  Object.entries(ARRAY_TYPES).map(([name, { type, read }]) => [
    `${name}s`,
    { to: type, from: [type], parse: (text: string) => parseArray(text, read), serialize: arrayText },
  ]),
)

// A brace, or an element: in quotes, where a backslash takes the next character as it is, or bare up to the comma.
const TOKEN = /([{}])|"((?:[^"\\]|\\[\s\S])*)"|([^{},]+)/g

export type Nested<T> = T | null | Nested<T>[]

export function parseArray<T>(text: string, read: (element: string) => T): Nested<T>[] {
  const whole: Nested<T>[] = []
  const open = [whole]
  // An array with bounds of its own begins with them: [0:1]={1,2}.
  for (const [, brace, quoted, bare] of text.slice(text.indexOf('{')).matchAll(TOKEN)) {
    const inner = open[open.length - 1]
    if (brace === '{') {
      const list: Nested<T>[] = []
      inner.push(list)
      open.push(list)
    } else if (brace === '}') open.pop()
    else if (quoted !== undefined) inner.push(read(quoted.replace(/\\([\s\S])/g, '$1')))
    else inner.push(bare === 'NULL' ? null : read(bare))
  }
  const [array] = whole
  return Array.isArray(array) ? array : []
}

/** What is text already stays as it is. */
export function arrayText(values: string | ArrayLike<unknown>): string {
  if (typeof values === 'string') return values
  const elements = Array.from(values, value => {
    if (value === undefined) throw new TypeError('undefined inside an array; null is NULL')
    return value === null ? 'NULL' : `"${String(value).replace(/["\\]/g, '\\$&')}"`
  })
  return `{${elements.join(',')}}`
}
