// How much memory there is for a model that runs on the CPU: what the container allows, or else the machine has.
// A container's limit kills without a word, so it has to be known beforehand. Cards are card.ts's.

import { totalmem } from 'node:os'
import type { Memory } from './batch-budget.ts'

/** `ours`: resident bytes of the model's process. */
export function memoryOfMachine(ours: number): Memory {
  // 0 or more than the machine has: no limit. Both of Node's figures know control groups, versions 1 and 2.
  const limit = process.constrainedMemory()
  const total = limit > 0 && limit < totalmem() ? limit : totalmem()
  return { total, used: Math.max(0, total - process.availableMemory()), ours }
}
