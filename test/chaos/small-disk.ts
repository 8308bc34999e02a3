// A disk of a few hundred megabytes that can be filled to the last byte and emptied again: a tmpfs of its own.
// Only root may mount one; elsewhere its tests are left out with a word. A user namespace would let
// anybody mount, but the server's user does not exist in one.

import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type SmallDisk = {
  folder: string
  /** Writes a file until only so many bytes are free. */
  fill(freeBytes: number): void
  free(): void
  unmount(): void
}

export function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  try {
    smallDisk(1).unmount()
    return true
  } catch {
    return false
  }
}

export function smallDisk(megabytes: number): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-disk-'))
  const size = `size=${megabytes}m,mode=755`
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', folder], { encoding: 'utf8' })
  if (status !== 0) {
    rmdirSync(folder)
    throw new Error(`mount: ${stderr}`)
  }
  const filler = join(folder, 'filler')
  return {
    folder,
    fill(freeBytes) {
      const file = openSync(filler, 'a')
      const zeros = Buffer.alloc(2 ** 16)
      try {
        for (;;) {
          const { bavail, bsize } = statfsSync(folder)
          const bytes = Math.min(bavail * bsize - freeBytes, zeros.length)
          if (bytes <= 0) return
          writeSync(file, zeros, 0, bytes)
        }
      } catch (error) {
        // The database took the last bytes while we were at it.
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      } finally {
        closeSync(file)
      }
    },
    free: () => rmSync(filler, { force: true }),
    unmount() {
      // Lazily: the last process that had a file on it may still be on its way out.
      spawnSync('umount', ['-l', folder])
      rmdirSync(folder)
    },
  }
}

/** Runs what makes scratch folders, with these on a disk. */
export async function onDisk<Result>(disk: SmallDisk | undefined, make: () => Promise<Result>): Promise<Result> {
  const before = process.env.TMPDIR
  if (disk) process.env.TMPDIR = disk.folder
  try {
    return await make()
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  }
}
