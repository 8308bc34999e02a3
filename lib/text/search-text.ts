// Reads what a person searches for, written as for a web search: "a phrase" has to be there, -word must not.
// What the words mean is left to the model, which forms they have to the full text of Postgres.

export type SearchText = {
  /** Everything that is looked for, without the marks. */
  text: string
  /** Each of them has to stand in a sentence, word for word. */
  phrases: string[]
  /** None of them may. */
  without: string[]
}

// A minus before a letter or a quotation mark, at the beginning or behind a space: "year-over-year", "-5 %" and "cost - price"
// stay what they are. A quotation mark without a partner is one of inches or of nothing.
const PART = /(?<=^|\s)-(?:"([^"]+)"|(\p{L}\S*))|"([^"]+)"/gu

export function readSearchText(typed: string): SearchText {
  const phrases: string[] = []
  const without: string[] = []
  const text = typed
    .replace(/[“”„«»]/g, '"')
    .replace(PART, (_, notPhrase?: string, notWord?: string, phrase?: string) => {
      if (phrase === undefined) without.push((notPhrase ?? notWord ?? '').trim())
      else phrases.push(phrase.trim())
      return phrase ?? ' '
    })
    .replaceAll('"', ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return { text, phrases, without }
}
