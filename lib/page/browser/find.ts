// Search within the page: letters without their case and accents, all words anywhere in the text. Pure, so that it is
// tested without a browser; 180,000 sentences are looked through in tens of milliseconds, so there is no inverted index.

import type { Report } from './report.ts'
import { firmLabel } from './report.ts'

export type Kind = 'themes' | 'firms' | 'topics' | 'sentences'
export type Index = Record<Kind, string[]>
export type Found = Record<Kind, number[]>

const ASCII = /^[\0-\x7f]*$/

/** `Núñez` and `nunez` are the same; one character in may be none or several out. */
export function folded(text: string): string {
  const plain = ASCII.test(text) ? text : text.normalize('NFKD').replace(/\p{M}/gu, '')
  return plain.toLowerCase().replace(/[’‘]/g, "'")
}

export function wordsOf(query: string): string[] {
  return [...new Set(folded(query).split(/\s+/).filter(Boolean))]
}

/** What is searched, folded once: that takes longer than any search. */
export function indexOf(report: Report): Index {
  return {
    themes: report.themes.map(theme => folded([theme.name, theme.summary, ...theme.keywords].join('\n'))),
    firms: report.firms.map(firm => folded([firmLabel(firm), firm.id, ...Object.values(firm.identifiers)].join('\n'))),
    topics: report.topics.map(topic => folded([topic.name, topic.summary, ...topic.keywords].join('\n'))),
    sentences: report.sentences.map(sentence =>
      folded(sentence.speaker ? `${sentence.text}\n${sentence.speaker}` : sentence.text),
    ),
  }
}

/** Places of what has all the words; what has them as a phrase comes first, and else the order of the lists holds. */
export function search(index: Index, query: string): Found {
  const words = wordsOf(query)
  const phrase = folded(query).trim().replace(/\s+/g, ' ')
  const find = (texts: readonly string[]) => {
    const exact: number[] = []
    const others: number[] = []
    if (words.length === 0) return exact
    for (let i = 0; i < texts.length; i++) {
      if (!words.every(word => texts[i].includes(word))) continue
      ;(texts[i].includes(phrase) ? exact : others).push(i)
    }
    return exact.concat(others)
  }
  return {
    themes: find(index.themes),
    firms: find(index.firms),
    topics: find(index.topics),
    sentences: find(index.sentences),
  }
}

/** A text in parts, every second of which is a hit: what stands between hits, a hit, what stands between, … */
export function partsOf(text: string, words: readonly string[]): string[] {
  // Folding may change lengths, so each folded letter remembers the character it comes from.
  let plain = ''
  const origin: number[] = []
  let at = 0
  for (const character of text) {
    const letters = folded(character)
    for (let i = 0; i < letters.length; i++) origin.push(at)
    plain += letters
    at += character.length
  }
  origin.push(text.length)
  const hits: [number, number][] = []
  for (const word of words) {
    for (let from = plain.indexOf(word); from >= 0; from = plain.indexOf(word, from + word.length)) {
      const last = origin[from + word.length - 1]
      // To the next letter: accents that stand by themselves belong to the one before.
      let end = from + word.length
      while (origin[end] === last) end++
      hits.push([origin[from], origin[end]])
    }
  }
  hits.sort((a, b) => a[0] - b[0])
  const parts: string[] = []
  let end = 0
  for (const [from, to] of hits) {
    if (from < end) continue // inside a hit of another word
    parts.push(text.slice(end, from), text.slice(from, to))
    end = to
  }
  parts.push(text.slice(end))
  return parts
}
