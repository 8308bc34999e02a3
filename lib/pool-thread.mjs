// What runs in the threads of pool.ts: calls an exported function of a TypeScript module with a job.
import { move, transferableSymbol, valueSymbol } from 'piscina'
import './thread.mjs'

/** What the function returned, its typed arrays moved and not copied, or what it threw. */
export async function call({ module, name, job }) {
  try {
    const answer = { result: await (await import(module))[name](job) }
    return move({ [valueSymbol]: answer, [transferableSymbol]: [...buffersOf(answer)] })
  } catch (thrown) {
    return { thrown }
  }
}

/** The memory under the typed arrays in plain objects and lists; shared memory stays where it is. */
function buffersOf(value, found = new Set()) {
  if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer) found.add(value.buffer)
  } else if (value !== null && typeof value === 'object' && typeof value[0] !== 'number') {
    for (const part of Object.values(value)) buffersOf(part, found) // a list of numbers holds none
  }
  return found
}
