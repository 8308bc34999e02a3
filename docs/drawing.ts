// The strokes of docs/pictures/*.svg: paper, colours, words, dots, and the file they are written to.
// Here so that all pictures look like one hand's. Leaves to others what is drawn (make-pictures.ts, community-pictures.ts).

import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export type Point = { x: number; y: number }

export const WIDTH = 800
export const MARGIN = 16
// Its own paper behind each picture, so that it can be read on any page, light or dark.
const STYLE = `
    text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif }
    .small { font-size: 11px } .strong { font-weight: 600 } .middle { text-anchor: middle } .end { text-anchor: end }
    .paper { fill: #ffffff } .ink { fill: #1f2328 } .quiet { fill: #59636e } .hollow { fill: none }
    .line { stroke: #818b98; fill: none } .inkline { stroke: #1f2328; fill: none } .dot { fill: #818b98 }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #0d1117 } .ink { fill: #f0f6fc } .quiet { fill: #9198a1 }
      .line { stroke: #6e7681 } .inkline { stroke: #f0f6fc } .dot { fill: #6e7681 }
    }`
// Of middling brightness, so that they stand out on white and on black; numbers stand beside them for the colour-blind.
export const COLOURS = [
  '#2f7ed8',
  '#e07b00',
  '#1a9c6b',
  '#d1495b',
  '#8e6bd1',
  '#b08900',
  '#17a2b8',
  '#c65fa8',
  '#7a8f2a',
  '#a0643c',
]
export const EMPHASIS = COLOURS[1]

export function colourOf(topic: number): string {
  return COLOURS[(topic - 1) % COLOURS.length]
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

export function words(x: number, y: number, text: string, kind = 'ink'): string {
  return `<text x="${short(x)}" y="${short(y)}" class="${kind}">${escapeText(text)}</text>`
}

export function circle({ x, y }: Point, r: number, rest: string): string {
  return `<circle cx="${short(x)}" cy="${short(y)}" r="${short(r)}" ${rest}/>`
}

export function segment(a: Point, b: Point, rest: string): string {
  return `<path d="M${short(a.x)} ${short(a.y)}L${short(b.x)} ${short(b.y)}" ${rest}/>`
}

/** A tenth of a pixel is finer than any screen shows. */
export function short(value: number): string {
  return String(Math.round(value * 10) / 10)
}

export function cut(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1).trimEnd()}…`
}

export function wrap(text: string, characters: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length + 1 > characters) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

export function lines(x: number, y: number, text: readonly string[], kind = 'ink', height = 18): string {
  return text.map((line, i) => words(x, y + i * height, line, kind)).join('\n')
}

/** Rows of a two-dimensional layout as points of a box on the paper, the same scale both ways. */
export function placeIn(layout: Float32Array, n: number, box: { x: number; y: number; width: number; height: number }) {
  const xs = Array.from({ length: n }, (_, i) => layout[2 * i])
  const ys = Array.from({ length: n }, (_, i) => layout[2 * i + 1])
  const wide = Math.max(...xs) - Math.min(...xs)
  const high = Math.max(...ys) - Math.min(...ys)
  const scale = Math.min(box.width / wide, box.height / high)
  const left = box.x + (box.width - wide * scale) / 2 - Math.min(...xs) * scale
  const top = box.y + (box.height - high * scale) / 2 - Math.min(...ys) * scale
  return { points: xs.map((x, i): Point => ({ x: left + x * scale, y: top + ys[i] * scale })), scale }
}

export const pictures = fileURLToPath(new URL('./pictures/', import.meta.url))

export async function save(name: string, height: number, title: string, parts: readonly string[]): Promise<void> {
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escapeText(title)}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect width="${WIDTH}" height="${height}" rx="8" class="paper"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n')
  await writeFile(`${pictures}${name}.svg`, svg)
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
