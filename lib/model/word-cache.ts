// Token ids of words met before, without asking the tokenizer again: a million words of calls have few different ones.
// A word is what stands between two spaces, punctuation and all; keepsWordsApart() says for which tokenizers that is right.
// Knows no vocabulary and no rule: a word's ids are what the tokenizer gave for it, once, so there is nothing to get wrong.

/** Ids written so far: the first `length` of `ids`, which grows. */
export type IdList = { ids: Int32Array; length: number }

/** Appends the ids of a text. It may stop once it has written more than `most`: the rest will be cut. */
export type AppendIds = (list: IdList, text: string, most: number) => void

// The 95,064 lines of three quarters of MAEC have 51,347 different words of 8 letters and 2 tokens. Twice as many fit in,
// in 8 MB that never become more: a full cache is emptied. Half of the places stay free, so that one is soon found.
const WORDS = 2 ** 17
const LETTERS_A_WORD = 16
const IDS_A_WORD = 4
// What is longer (addresses, rubbish, a megabyte without a space) will hardly come again, and would take others' room.
const LONGEST_WORD = 64

/** `words` is a power of two, at least 64, so that an empty cache has room for the longest word. */
export function cacheWords(encode: (text: string) => readonly number[], words = WORDS): AppendIds {
  // A hash table in flat arrays: a known word costs no string and no object. 1,040,000 lines of calls a second on one
  // thread; with a Map of strings 410,000; 38,000 by the library, which takes 5 µs for a word that is new.
  const places = new Int32Array(2 * words) // a word's number plus 1, or 0 where free
  const mask = places.length - 1
  const letters = new Uint16Array(words * LETTERS_A_WORD)
  const letterStarts = new Int32Array(words + 1)
  const ids = new Int32Array(words * IDS_A_WORD)
  const idStarts = new Int32Array(words + 1)
  let count = 0

  function numberOf(text: string, start: number, end: number, hash: number): number {
    const home = (hash ^ (hash >>> 15)) & mask
    let place = home
    while (places[place] !== 0) {
      if (isWord(places[place] - 1, text, start, end)) return places[place] - 1
      place = (place + 1) & mask
    }
    const found = encode(text.slice(start, end))
    if (!hasRoom(end - start, found.length)) {
      places.fill(0)
      count = 0
      place = home
    }
    places[place] = count + 1
    const firstLetter = letterStarts[count]
    for (let i = start; i < end; i++) letters[firstLetter + i - start] = text.charCodeAt(i)
    letterStarts[count + 1] = firstLetter + end - start
    ids.set(found, idStarts[count])
    idStarts[count + 1] = idStarts[count] + found.length
    return count++
  }

  function isWord(word: number, text: string, start: number, end: number): boolean {
    const first = letterStarts[word]
    if (letterStarts[word + 1] - first !== end - start) return false
    for (let i = start; i < end; i++) if (letters[first + i - start] !== text.charCodeAt(i)) return false
    return true
  }

  function hasRoom(moreLetters: number, moreIds: number): boolean {
    return (
      count < words && letterStarts[count] + moreLetters <= letters.length && idStarts[count] + moreIds <= ids.length
    )
  }

  return (list, text, most) => {
    const enough = list.length + most
    const end = text.length
    for (let i = 0; i < end && list.length <= enough; i++) {
      if (isSpace(text.charCodeAt(i))) continue
      const start = i
      let hash = 0
      for (; i < end; i++) {
        const letter = text.charCodeAt(i)
        if (isSpace(letter)) break
        hash = Math.imul(hash ^ letter, 0x01000193) // FNV-1a
      }
      if (i - start > LONGEST_WORD) {
        appendAll(list, encode(text.slice(start, i)))
      } else {
        const word = numberOf(text, start, i, hash)
        const last = idStarts[word + 1]
        reserve(list, last - idStarts[word])
        for (let j = idStarts[word]; j < last; j++) list.ids[list.length++] = ids[j]
      }
    }
  }
}

export function appendAll(list: IdList, ids: ArrayLike<number>): void {
  reserve(list, ids.length)
  list.ids.set(ids, list.length)
  list.length += ids.length
}

function reserve(list: IdList, more: number): void {
  if (list.length + more <= list.ids.length) return
  const larger = new Int32Array(2 * (list.length + more))
  larger.set(list.ids.subarray(0, list.length))
  list.ids = larger
}

/** Space, tab, line feed, carriage return: what every step below takes for a space, whatever its settings. */
function isSpace(letter: number): boolean {
  return letter <= 32 && (letter === 32 || letter === 10 || letter === 13 || letter === 9)
}

/** What is read of a tokenizer.json. */
export type TokenizerFile = {
  added_tokens: readonly { content: string; normalized?: boolean }[]
  normalizer?: Step | null
  pre_tokenizer?: Step | null
  model?: { type?: string; fuse_unk?: boolean }
}

type Step = {
  type?: string
  lowercase?: boolean
  normalizers?: readonly Step[]
  pattern?: { String?: string; Regex?: string }
  content?: string
}

/**
 * Whether the ids of a text are those of its words, one after the other. They are if every step does the same to a word,
 * whatever stands on the other side of a space:
 * - Special tokens are found first, in the raw text. They hold no space, and none can be found later, in text that was
 *   normalized: each has a capital letter, and no character has one left after lower-casing.
 * - BertNormalizer looks at one character at a time, but for the end of a Greek word (ς) and the order of accents, and
 *   neither looks past a space. Replace steps are allowed as written below; they match no space, and to them a space
 *   before or after is the same as the end of the text.
 * - BertPreTokenizer cuts at spaces, and WordPiece takes what is cut one by one.
 * That is every BERT without capitals, such as MiniLM, and the shipped model. With others the library is asked for all.
 */
export function keepsWordsApart(file: TokenizerFile): boolean {
  return (
    file.added_tokens.every(token => token.normalized === false && /^\S*[A-Z]\S*$/.test(token.content)) &&
    lowersWordByWord(file.normalizer) &&
    file.pre_tokenizer?.type === 'BertPreTokenizer' &&
    file.model?.type === 'WordPiece' &&
    !file.model.fuse_unk
  )
}

function lowersWordByWord(normalizer: Step | null | undefined): boolean {
  const steps = normalizer?.type === 'Sequence' ? (normalizer.normalizers ?? []) : [normalizer]
  const lowers = (step: Step | null | undefined) => step?.type === 'BertNormalizer' && step.lowercase === true
  return steps.some(lowers) && steps.every(step => lowers(step) || isKnownReplace(step))
}

/** The three of the shipped model: a name taken out, a year, a figure. What they put in has no capital letter. */
function isKnownReplace(step: Step | null | undefined): boolean {
  const replace = `${step?.pattern?.String ?? step?.pattern?.Regex} → ${step?.content}`
  return step?.type === 'Replace' && KNOWN_REPLACES.includes(replace)
}

const KNOWN_REPLACES = [
  '<UNK> →  ',
  '(?<![0-9.,$])(?:19|20)[0-9]{2}(?![0-9])(?![.,][0-9]) → year',
  '[0-9]+(?:[.,][0-9]+)* → 0',
]
