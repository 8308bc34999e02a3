// Text into sentences: Unicode's own rules (Intl.Segmenter), then the repair of their known faults in English speech.
// Here because the sentence is what gets embedded: "Mr." alone, or two sentences in one, spoil a topic.
// Leaves words as they were spoken: no lemmas, no stop words taken out.

const SEGMENTER = new Intl.Segmenter('en', { granularity: 'sentence' })

// The segmenter copies its whole input into every segment it hands out: 1 MB of prose at once needs over 4 GB and dies.
// 2,048 characters hold some twenty sentences. The window grows while it holds no certain end, and past four times that
// size an uncertain one is taken: only text without letters gets there, and a larger limit costs seconds a megabyte.
const WINDOW = 2048
const LARGEST_DOUBTFUL_WINDOW = 4 * WINDOW

// Characters: longer than any abbreviation and the word before it.
const LAST_WORDS = 60

// Never the end of a sentence, whatever follows.
const NEVER_LAST = new Set(
  'mr mrs ms messrs dr prof hon gen gov sen capt lt col sgt vs v e.g i.e approx cf viz'.split(' '),
)

// Ends a sentence only where a word follows that opens one: "Apple Inc. Chief Executive" goes on, "Apple Inc. We" ends.
// Initials and abbreviations with inner stops (J., U.S., a.m.) are treated alike.
const SELDOM_LAST = new Set(
  'inc corp co cos ltd llc plc bros dept univ assn intl jr sr esq ph.d st mt ft ave blvd rep rev est'.split(' '),
)

// Goes on where a figure follows: "No. 1", "Sept. 30", "Fig. 2", but "No. We did not."
const NUMBERED = new Set('no nos vol fig pp jan feb mar apr jun jul aug sep sept oct nov dec sec'.split(' '))

// "Series B. Investors" ends where "Robert B. Smith" goes on.
const BEFORE_A_LETTER = new Set(
  'series class plan vitamin phase type part schedule exhibit option group tier'.split(' '),
)

// Words that open a sentence far more often than they are part of a name.
const STARTERS = new Set(
  (
    "we we're we've we'll our us i i'm i've i'll i'd you your they they're their he she his her it it's its this that " +
    "that's these those there there's here here's the a an and but so or if as in on at by for from with to of into " +
    'while when what why how who where which because since although though however also then now yes no not okay ok ' +
    'well yeah sure thank thanks again another any all some most many much more both each first second third next ' +
    'last finally overall additionally moreover further given during over after before under let look is are was were ' +
    'do does did have has had can could would will should turning moving regarding excluding compared based revenue ' +
    'revenues gross adjusted total'
  ).split(' '),
)

const OUT_OF_PLACE = /[\p{Cc}\p{Cf}\p{Cs}]/gu // control characters, soft hyphens, BOMs, halves of surrogate pairs
const BLANK_LINE = /\n[^\S\n]*\n|[\u2029\f]/
const LIST_NUMBER_OR_DOTS = /^(?:\(?\d{1,2}[.)]|[^\p{L}\p{N}]*)$/u
const INITIAL = /^\p{Lu}\.(?: |$)/u
const OPENING = /^["'“”‘’«([{]+/
const CLOSING = /["'”’»)\]}]+$/
const CAMEL = /^[a-z]{1,2}\p{Lu}/u
// Unicode's rules end no sentence before a small letter, even across figures: "… grew. iPhone sales …" and
// "… in size. 22 % of the …" need a hand. Not after a digit: "grew 3. 5 %" is a decimal typed badly.
const UNSEEN_END = /(?:[\p{Ll}%][.!?]|\d[.!?](?= [a-z]))["'”’)\]]* (?=[a-z]{1,2}\p{Lu}|[$€£]?\d)/gu

/** The sentences of a text, white space collapsed, control characters dropped; a blank line always ends one. */
export function splitSentences(text: string): string[] {
  return text
    .replace(/\r\n?/g, '\n')
    .split(BLANK_LINE)
    .flatMap(paragraph => sentencesOfLine(cleanText(paragraph)))
}

/** One line of text as it is kept: single blanks, no control characters, no blank at either end. */
export function cleanText(text: string): string {
  return text.replace(/\s+/g, ' ').replace(OUT_OF_PLACE, '').replace(/ {2,}/g, ' ').trim()
}

function sentencesOfLine(line: string): string[] {
  const sentences: string[] = []
  let start = 0
  let end = 0
  for (const piece of pieces(line)) {
    // Only the last words count: looking at all of a sentence at each doubtful break would cost its length squared.
    const before = line.slice(Math.max(start, end - LAST_WORDS), end).trim()
    if (before !== '' && piece.trim() !== '' && !goesOn(before, piece.trim())) {
      sentences.push(line.slice(start, end).trim())
      start = end
    }
    end += piece.length
  }
  if (end > start) sentences.push(line.slice(start, end).trim())
  return sentences.filter(sentence => sentence !== '')
}

/** The line cut wherever a sentence may end; the pieces joined are the line. */
function* pieces(line: string): Generator<string> {
  for (const segment of segments(line)) {
    let start = 0
    for (const match of segment.matchAll(UNSEEN_END)) {
      const end = match.index + match[0].length
      yield segment.slice(start, end)
      start = end
    }
    yield segment.slice(start)
  }
}

/** Unicode's sentences of a line of any length, a window at a time. */
function* segments(line: string): Generator<string> {
  let start = 0
  let size = WINDOW
  while (start < line.length) {
    const end = Math.min(start + size, line.length)
    const found = Array.from(SEGMENTER.segment(line.slice(start, end)), part => part.segment)
    const certain = end === line.length ? found.length : certainSegments(found, size)
    for (const segment of found.slice(0, certain)) {
      yield segment
      start += segment.length
    }
    size = certain > 0 ? WINDOW : size * 2
  }
}

/** How many of a window's segments stay as they are, whatever follows the window. */
function certainSegments(found: readonly string[], size: number): number {
  let count = found.length - 1
  if (size > LARGEST_DOUBTFUL_WINDOW) return count
  // Whether "approx. 12" ends after the stop depends on the next letter, so the window must show one.
  while (count > 0 && !/\p{L}/u.test(found[count] ?? '')) count--
  return count
}

/** Whether the sentence `before` is not over yet although a break was found before `after`. */
function goesOn(before: string, after: string): boolean {
  if (!/[\p{L}\p{N}]/u.test(after)) return true // a bracket, a quotation mark, a row of dots
  const next = after.replace(OPENING, '')
  if (/^\p{Ll}/u.test(next) && !CAMEL.test(next)) return true
  const spoken = before.replace(CLOSING, '')
  if (before.length < 9 && LIST_NUMBER_OR_DOTS.test(before)) return true
  if (!spoken.endsWith('.') || spoken.endsWith('..')) return false
  const [word = '', previous = ''] = spoken
    .slice(0, -1)
    .split(/[\s"“‘'([{]+/)
    .reverse()
  const lower = word.toLowerCase()
  if (NEVER_LAST.has(lower) && word !== 'V') return true
  if (NUMBERED.has(lower)) return /^#?\d/.test(next)
  if (word === 'I') return INITIAL.test(next) // "so do I."
  const first = /^[\p{L}\p{N}'’]+/u.exec(next)?.[0] ?? ''
  const starts = STARTERS.has(first.toLowerCase().replaceAll('’', "'")) && !INITIAL.test(next)
  if (/^\p{Lu}$/u.test(word)) return !starts && !BEFORE_A_LETTER.has(previous.toLowerCase())
  return (SELDOM_LAST.has(lower) || /^(?:\p{L}\.)+\p{L}$/u.test(word)) && !starts
}
