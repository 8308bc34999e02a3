// Conversation with the person, on stderr, so that stdout carries results only.
// A terminal gets one line that rewrites itself; a file or a pipe gets plain lines, at most one every ten seconds.
// Knows nothing of commands.

const terminal = process.stderr.isTTY === true
const PLAIN_SECONDS = 10 // a CI log with a line a second hides what matters
const TERMINAL_SECONDS = 0.1 // faster than this no eye follows, and writing costs
const WORTH_SAYING = 0.02 // of the whole, before the time left is guessed from it
let lineOpen = false

function write(text: string): void {
  process.stderr.write(text)
}

/** For a program whose work goes on when its terminal is closed, or whoever read it is gone. */
export function goOnUnheard(): void {
  process.stderr.on('error', () => {})
}

function closeLine(): void {
  if (lineOpen) write('\r\x1b[2K')
  lineOpen = false
}

/** Says a line, or several. What it quotes may come out of a file: control characters must not command the terminal. */
export function say(line: string): void {
  closeLine()
  write(`${line.replace(/[^\P{Cc}\n]/gu, '\ufffd')}\n`)
}

export function warn(line: string): void {
  say(`warning: ${line}`)
}

/** A note that takes work to make is a function, called only when a line is due. */
export type Progress = { step(done?: number, note?: string | (() => string)): void; end(): void }

/** Shows how far a long job is and how long it still takes: `progress('embed', 438, 'firms')`, then `.step()`. */
export function progress(verb: string, total: number, unit: string, now: () => number = Date.now): Progress {
  const start = now()
  let count = 0
  let shown = start
  return {
    step(done = 1, note = '') {
      count += done
      const time = now()
      const seconds = (time - shown) / 1000
      if (seconds < (terminal ? TERMINAL_SECONDS : PLAIN_SECONDS)) return
      shown = time
      const all = Math.max(count, total) // what is followed may bring more than there was
      // The first batches tell more of the start than of the rest.
      const left = count < all * WORTH_SAYING ? '' : `, ${duration(((time - start) / 1000) * (all / count - 1))} left`
      const more = typeof note === 'string' ? note : note()
      const line = `${verb}: ${thousands(count)} of ${thousands(all)} ${unit}${left}${more && `, ${more}`}`
      if (!terminal) return say(line)
      write(`\r\x1b[2K${fitting(line, (process.stderr.columns || 80) - 1)}`)
      lineOpen = true
    },
    end: closeLine,
  }
}

/** As much of a line as fits, in whole parts. */
export function fitting(line: string, width: number): string {
  if (line.length <= width) return line
  const end = line.lastIndexOf(', ', width)
  return line.slice(0, end > 0 ? end : width)
}

/** 3.2 s, 4 min 10 s, 2 h 5 min: as a person says it. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** 43211 → 43,211 */
export function thousands(n: number): string {
  return Math.round(n).toLocaleString('en-US')
}

/** `count(1, 'firm')` → 1 firm; `count(3, 'call')` → 3 calls. */
export function count(n: number, thing: string): string {
  return `${thousands(n)} ${thing}${n === 1 ? '' : 's'}`
}

/** A sum of dollars, to the hundredth of a cent where it is small. */
export function dollars(amount: number | null): string {
  return amount === null ? 'of unknown price' : `$${amount.toFixed(amount < 10 ? 4 : 2)}`
}

/** What a language model has cost: requests, tokens of both kinds, dollars. */
export function spent(by: {
  requests: number
  promptTokens: number
  completionTokens: number
  dollars: number | null
}) {
  return `${count(by.requests, 'request')}, ${thousands(by.promptTokens + by.completionTokens)} tokens, ${dollars(by.dollars)}`
}
