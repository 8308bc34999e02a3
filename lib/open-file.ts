// Opens a file with the program that the person's system opens such files with, a browser for a page. Without a shell, so that a
// file may be called anything. Not being able to is no failure: the caller says where the file lies, and why it is not open.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { release } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from './errors.ts'

/** The system as Node calls it, and Linux inside of Windows by a name of its own. */
export type System = NodeJS.Platform | 'wsl'

// xdg-open says within a tenth of a second that there is no browser; with one it may stay until the browser is closed.
const LONGEST_WAIT_MILLISECONDS = 2000
// A browser on Windows reads the file by its name there.
const NAME_ON_WINDOWS = 'wslpath'

/** Undefined where it was opened, or why it was not. */
export async function openFile(path: string, system: System = systemHere()): Promise<string | undefined> {
  try {
    const [program, ...words] = opener(system, system === 'wsl' ? await nameOnWindows(path) : path)
    const child = spawn(program, words, { detached: true, stdio: 'ignore' })
    const code = await Promise.race([codeOf(child), sleep(LONGEST_WAIT_MILLISECONDS, null)])
    child.unref()
    // Windows' explorer ends with 1 when it has opened something.
    return code === null || code === 0 || system === 'wsl' ? undefined : `${program} ended with ${code}`
  } catch (error) {
    return messageOf(error).replace(/^spawn (\S+) ENOENT$/, 'there is no $1 here')
  }
}

function systemHere(): System {
  return process.platform === 'linux' && /microsoft/i.test(release()) ? 'wsl' : process.platform
}

/** The program and its words. */
export function opener(system: System, path: string): string[] {
  switch (system) {
    case 'darwin':
      return ['open', path]
    case 'win32':
      return ['rundll32', 'url.dll,FileProtocolHandler', path] // `start` is a word of the shell
    case 'wsl':
      return ['explorer.exe', path]
    default:
      return ['xdg-open', path]
  }
}

async function nameOnWindows(path: string): Promise<string> {
  const child = spawn(NAME_ON_WINDOWS, ['-w', path], { stdio: ['ignore', 'pipe', 'ignore'] })
  let name = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    name += text
  })
  const code = await codeOf(child)
  if (code !== 0) throw new Error(`${NAME_ON_WINDOWS} ended with ${code}`)
  return name.trim()
}

async function codeOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null] // rejects where there is no such program
  return code
}
