// Who speaks, and in which part of the call: plain rules for sources that give a text or a list of speakers only.
// Here because four formats need the same rules. Where a source states the part itself, that counts, not these.

import type { Section, Turn } from '../transcript.ts'
import { numberedLines } from './whole-text.ts'

const OPERATOR = /^(?:the )?(?:conference |call )?(?:operator|coordinator|moderator)$/i
const HAND_OVER =
  /question[- ]and[- ]answer|\bq ?& ?a\b|first question|\bquestions?\b[^.]*\b(?:from|line)\b|for questions/i
const PREFIX = /^([\p{Lu}][^:]{1,80}):\s+(?=\S)/u
const ONE_WORD_SPEAKER = /^(?:operator|coordinator|moderator|analyst|executive|unidentified|unknown)$/i
// Particles and initials are part of names: Jean van der Berg, J. P. Smith.
const NAME_WORD = /^(?:\p{Lu}[\p{L}.'’-]*|de|da|del|di|van|von|der|den|la|le|bin|al)$/u

export function isOperator(speaker: string | null): boolean {
  return speaker !== null && OPERATOR.test(speaker.trim())
}

/**
 * The parts of a call, by this rule: once somebody else has spoken, the first operator's turn that speaks of questions
 * opens the second part. Before it all is prepared. After it, whoever follows the operator and had nothing prepared
 * asks; all others answer. Where no such turn is found nothing is claimed.
 */
export function withSections(turns: readonly Turn[]): Turn[] {
  const firstSpeaker = turns.findIndex(turn => !turn.operator)
  const handOver = turns.findIndex((turn, i) => i > firstSpeaker && turn.operator && HAND_OVER.test(turn.text))
  if (firstSpeaker === -1 || handOver === -1) return [...turns]
  const presenters = new Set(turns.slice(0, handOver).map(turn => turn.speaker))
  let asking: string | null = null
  return turns.map((turn, i) => {
    if (turn.operator) return turn
    if (i < handOver) return { ...turn, section: 'prepared' as const }
    if (turns[i - 1]?.operator) asking = presenters.has(turn.speaker) ? null : turn.speaker
    const section: Section = turn.speaker !== null && turn.speaker === asking ? 'question' : 'answer'
    return { ...turn, section }
  })
}

/** The turns of a text whose lines begin with `Name: `; what stands before the first name has no speaker. */
export function turnsOfLines(text: string): Turn[] {
  const turns: Turn[] = []
  for (const line of numberedLines(text)) {
    const name = speakerOf(line.text)
    const said = name === null ? line.text : line.text.replace(PREFIX, '')
    const last = turns.at(-1)
    // A blank line between them: paragraphs never share a sentence.
    if (name === null && last !== undefined) last.text += `\n\n${said}`
    else turns.push(turnOf(name, null, said, `line ${line.number}`))
  }
  return turns
}

/** Whether lines begin with speakers' names for certain: an operator speaks, or two names come back. */
export function hasSpeakerLines(text: string): boolean {
  const times = new Map<string, number>()
  for (const line of numberedLines(text)) {
    const name = speakerOf(line.text)
    if (name !== null) times.set(name, (times.get(name) ?? 0) + 1)
  }
  const names = [...times.keys()]
  return names.some(isOperator) || names.filter(name => (times.get(name) ?? 0) > 1).length >= 2
}

export function turnOf(speaker: string | null, role: string | null, text: string, place: string): Turn {
  const name = speaker?.trim() || null
  return {
    speaker: name,
    role: role?.trim() || null,
    section: null,
    operator: isOperator(name),
    text,
    isSentence: false,
    place,
  }
}

function speakerOf(line: string): string | null {
  const name = PREFIX.exec(line)?.[1]?.trim()
  if (name === undefined) return null
  const parts = name.split(/\s+/)
  if (parts.length === 1) return ONE_WORD_SPEAKER.test(name) ? name : null
  return parts.length <= 5 && parts.every(part => NAME_WORD.test(part)) ? name : null
}
