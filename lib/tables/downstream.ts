// Themes with their firms and sentences as one JSON text, nested as event-study code of the Python pipeline reads it. Written
// while sentences come, so it is as large as it likes; it ends whole or not at all.

import type { Sink } from './table.ts'

export type DownstreamSentence = {
  themeId: string
  themeName: string
  firmId: string
  firmName: string | null
  permno: string | null
  callId: string
  callDate: string | null
  text: string
  speaker: string | null
}

/** Sentences come theme by theme, firm by firm, call by call. A contribution is a firm's call: an event has one day. */
export function downstreamWriter(write: Sink) {
  let before: DownstreamSentence | undefined
  let isBegun = false

  function pieceOf(one: DownstreamSentence): string {
    const isSameTheme = before?.themeId === one.themeId
    const isSameCall = isSameTheme && before?.callId === one.callId
    const closing = before === undefined ? '' : isSameCall ? ',' : isSameTheme ? ']},' : ']}]},\n'
    before = one
    const theme = `{"theme_id":${JSON.stringify(one.themeId)},"theme_name":${JSON.stringify(one.themeName)},"firm_contributions":[`
    const firm = {
      firm_id: one.firmId,
      firm_name: one.firmName,
      permno: one.permno,
      earnings_call_date: one.callDate,
    }
    const call = `${JSON.stringify(firm).slice(0, -1)},"sentences":[`
    const sentence = JSON.stringify({ text: one.text, speaker: one.speaker })
    return `${closing}${isSameTheme ? '' : theme}${isSameCall ? '' : call}${sentence}`
  }
  function head(): string {
    if (isBegun) return ''
    isBegun = true
    return '{"themes":[\n'
  }

  return {
    sentences: (batch: readonly DownstreamSentence[]) => write(head() + batch.map(pieceOf).join('')),
    finish: () => write(`${head()}${before === undefined ? '' : ']}]}'}\n]}\n`),
  }
}
