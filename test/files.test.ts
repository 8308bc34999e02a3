// Reading texts off the disk: what comes back is what was written, and every file that is no text is refused in words.

import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findTexts, openTexts, type TextFile } from '../lib/files.ts'
import { refusalOf } from './refusal.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'files-test-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, content)
  return path
}

async function textOf(file: TextFile): Promise<string> {
  let text = ''
  for await (const chunk of file.chunks()) text += chunk
  return text
}

async function readAll(paths: string[], input?: Readable): Promise<string[]> {
  const texts: string[] = []
  for await (const file of openTexts(paths, input)) {
    const head = await file.head()
    const text = await textOf(file)
    expect(text.startsWith(head)).toBe(true)
    expect(await textOf(file)).toBe(text) // again from the beginning
    texts.push(text)
  }
  return texts
}

// Longer than several chunks, with characters of one to four bytes that fall across their ends.
const LONG = 'Größe “43 %” 𝄞 grew. '.repeat(20_000)

describe('what is read', () => {
  it('is the text, from plain files and gzipped ones, whatever their ending', async () => {
    const paths = [
      write('a.txt', LONG),
      write('b.txt.gz', gzipSync(LONG)),
      write('c.json', gzipSync(LONG)),
      write('d.csv', Buffer.concat([gzipSync(LONG), gzipSync(LONG)])),
    ]
    expect(await readAll(paths)).toEqual([LONG, LONG, LONG, LONG + LONG])
  })

  it('loses its byte order mark and is decoded by it', async () => {
    const swapped = Buffer.from(`\uFEFF${LONG}`, 'utf16le').swap16()
    const paths = [
      write('a.txt', `\uFEFF${LONG}`),
      write('b.txt', Buffer.from(`\uFEFF${LONG}`, 'utf16le')),
      write('c.txt', swapped),
    ]
    expect(await readAll(paths)).toEqual([LONG, LONG, LONG])
  })

  it('comes from standard input too, as often as asked, and leaves nothing behind', async () => {
    const spooled = () => readdirSync(tmpdir()).filter(name => name.startsWith('quarterdeck-'))
    const before = spooled()
    expect(await readAll(['-'], Readable.from([gzipSync(LONG)]))).toEqual([LONG])
    expect(spooled()).toEqual(before)
  })

  it('has at most 64 KB for a head', async () => {
    for await (const file of openTexts([write('a.txt', LONG)])) expect(await file.head()).toBe(LONG.slice(0, 65_536))
  })
})

describe('what is found', () => {
  it('is sorted by name through all folders, hidden files unseen, others and READMEs passed over', async () => {
    for (const name of ['b/2.txt', 'b/1.json.gz', 'a.csv', 'c.jsonl', '.hidden.txt', '.git/x.txt', 'b/._1.txt'])
      write(name, 'x')
    for (const name of ['README.txt', 'b/notes.md', 'LICENSE', 'b/licence.txt', 'image.png']) write(name, 'x')
    const { files, passedOver } = await findTexts([folder])
    expect(files.map(file => file.slice(folder.length + 1))).toEqual(['a.csv', 'b/1.json.gz', 'b/2.txt', 'c.jsonl'])
    expect(passedOver).toHaveLength(5)
  })

  it('is each file once, and any file that is named itself', async () => {
    const path = write('a.dat', 'x')
    write('b.txt', 'x')
    expect((await findTexts([path, folder, join(folder, '.', 'b.txt')])).files).toEqual([path, join(folder, 'b.txt')])
  })

  it('comes to an end where a link leads back up', async () => {
    write('a/1.txt', 'x')
    symlinkSync(folder, join(folder, 'a', 'up'))
    expect((await findTexts([folder])).files).toEqual([join(folder, 'a', '1.txt')])
  })

  it('is refused where a path does not exist or a folder holds no text', async () => {
    expect((await refusalOf(findTexts([join(folder, 'none')]))).message).toMatch(/none does not exist$/)
    expect((await refusalOf(findTexts([folder]))).message).toMatch(/holds no transcripts: 0 files end in/)
    write('image.png', 'x')
    expect((await refusalOf(findTexts([folder]))).message).toMatch(/, 1 in others$/)
  })
})

describe('what is no text', () => {
  const gzipped = gzipSync(Buffer.from(LONG))
  const tar = Buffer.alloc(1024)
  tar.write('a.txt')
  tar.write('ustar', 257)
  it.each<[string, string | Uint8Array, RegExp, RegExp]>([
    ['an empty file', '', /is empty: 0 characters/, /fetch/],
    ['white space', ' \n\n', /is empty/, /fetch/],
    ['a byte order mark alone', '\uFEFF', /is empty/, /fetch/],
    ['a NUL byte', `${'x'.repeat(70_000)}\0`, /is no text: a NUL byte at byte 70000$/, /iconv/],
    ['a zip archive', Buffer.from('PK\x03\x04more', 'latin1'), /is a zip archive, not text/, /unzip/],
    ['a PDF', '%PDF-1.7', /is a PDF/, /pdftotext/],
    ['a Parquet file', 'PAR1....', /is a Parquet file/, /JSONL/],
    ['a tar archive', tar, /is a tar archive/, /tar -xf/],
    ['a gzipped tar archive', gzipSync(tar), /is a tar archive/, /tar -xf/],
    ['a gzip cut short', gzipped.subarray(0, gzipped.length - 20), /is cut short: its gzip stream has no end/, /fetch/],
    ['a gzip of another kind', Buffer.from([0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]), /is damaged/, /gzip -t/],
    [
      'Latin-1',
      Buffer.from(`${'x'.repeat(70_000)}é tail`, 'latin1'),
      /not UTF-8: byte 70000 \(0xe9\)/,
      /iconv -f latin1/,
    ],
    [
      'Latin-1 at the end',
      Buffer.from(`${'ö'.repeat(40_000)}`).subarray(0, -1),
      /not UTF-8: byte 79998 \(0xc3\)/,
      /iconv/,
    ],
    ['Latin-1 after others', Buffer.concat([Buffer.from('öö'), Buffer.from([0xff, 0x41])]), /byte 4 \(0xff\)/, /iconv/],
  ])('refuses %s', async (_what, content, message, hint) => {
    const error = await refusalOf(readAll([write('file.txt', content)]))
    expect(error.message).toMatch(message)
    expect(error.message).toContain('file.txt')
    expect(error.hint).toMatch(hint)
  })

  it('does not keep the caller from the files after it', async () => {
    const texts: string[] = []
    for await (const file of openTexts([write('a.txt', ''), write('b.txt', 'Orders grew.')]))
      texts.push(await file.head().catch(() => 'refused'))
    expect(texts).toEqual(['refused', 'Orders grew.'])
  })

  it.skipIf(process.getuid?.() === 0)('refuses a file this user may not read', async () => {
    const path = write('a.txt', 'x')
    chmodSync(path, 0)
    expect((await refusalOf(readAll([path]))).message).toMatch(/may not be read by this user/)
  })
})
