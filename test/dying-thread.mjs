// Loaded into a real run (NODE_OPTIONS --import): the worker thread that reads a sentence with the mark dies of it, each
// time, or once only. What it does is what a fault below JavaScript would do: no error, no answer, just gone.
import { appendFileSync, existsSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const { DIE_OF: mark, DIE_LOG: log, DIE_ONCE: once } = process.env
if (!isMainThread && mark && log) {
  const { toLowerCase } = String.prototype
  String.prototype.toLowerCase = function lowered() {
    if (this.includes(mark) && !(once && existsSync(log))) {
      appendFileSync(log, 'died\n')
      process.exit(9)
    }
    return toLowerCase.call(this)
  }
}
