// Which rows of tokens go through the model together. Rows wait in line by width; a batch takes rows of one width, so
// that a text is always computed in the same width and its vector depends on nothing else, and padding is next to none.
// Plain data structures; when a batch is taken is the embedder's business, how large it may be batch-budget.ts's.

/** ids: rows × columns, row-major, padded with 0; lengths: the real tokens of each row. */
export type Batch = { ids: Int32Array; lengths: Int32Array; columns: number }

/** A row of tokens that waits: what it belongs to, which row of that it is, and how many tokens it has. */
export type Waiting<Job> = { job: Job; row: number; length: number }

export type Taken<Job> = { rows: Waiting<Job>[]; columns: number }

/** At most so many rows, and so many places (rows × columns), padding included; one row is always allowed. */
export type Limits = { rows: number; places: number; fits(rows: number, columns: number): boolean }

export type Line<Job> = {
  add(job: Job, row: number, length: number): void
  /** Rows that wait. */
  size(): number
  take(limits: Limits): Taken<Job> | undefined
  /** Takes everything out. */
  clear(): void
}

// The oldest row goes first when more than so many times the rows that wait have come after it: rows of rare widths may not
// keep their firms waiting while full batches of other widths go ahead. 1 would be the order of arrival; at 2 each width has
// had as many rows as one turn of the line brings.
const PATIENCE = 2

/**
 * The number of columns that a row of this length is computed in: its length, rounded up to one of 16 steps a
 * doubling from 32 on. Depends on the length alone, for bits: a sum over 24 and one over 28 columns may be added in another
 * order, though four are zero. m, MiniLM fp32, alone and among 2 to 64 others of its width, one and two threads: no bit
 * of any vector differs. Rounding costs 0.6 % of the places on calls and leaves 80 widths up to 256; with 8 steps
 * it is 2.5 % and 48, and batches are no fuller.
 */
export function widthOf(length: number): number {
  const step = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(length, 1))) - 4)
  return Math.ceil(length / step) * step
}

/**
 * The line of rows. `widest`: columns that the model takes at most; a width is not rounded up beyond them. `exact`: a batch
 * holds rows of one width only. Otherwise it is filled up with shorter rows: for devices whose batches are so large that one
 * width cannot fill them, and whose bits change with the batch anyway.
 */
export function openLine<Job>(exact: boolean, widest: number): Line<Job> {
  const queues = new Map<number, Queue<Job>>()
  let arrivals = 0
  let waiting = 0

  function choose(places: number): Queue<Job> | undefined {
    let oldest: Queue<Job> | undefined
    let fullest: Queue<Job> | undefined
    for (const queue of queues.values()) {
      if (oldest === undefined || queue.arrival() < oldest.arrival()) oldest = queue
      if (fullest === undefined || queue.fill(places) > fullest.fill(places)) fullest = queue
    }
    return oldest !== undefined && arrivals - oldest.arrival() > PATIENCE * waiting ? oldest : fullest
  }

  return {
    add(job, row, length) {
      const width = Math.min(widthOf(length), widest)
      const queue = queues.get(width) ?? openQueue(width)
      queues.set(width, queue)
      queue.push({ job, row, length }, arrivals++)
      waiting++
    },
    size: () => waiting,
    take(limits) {
      const first = choose(limits.places)
      if (first === undefined) return undefined
      const columns = first.width
      const rows: Waiting<Job>[] = []
      const mayGrow = () =>
        rows.length === 0 ||
        (rows.length < limits.rows &&
          (rows.length + 1) * columns <= limits.places &&
          limits.fits(rows.length + 1, columns))
      const shorter = exact ? [] : [...queues.values()].filter(queue => queue.width < columns)
      for (const queue of [first, ...shorter.sort((a, b) => b.width - a.width)]) {
        while (queue.size() > 0 && mayGrow()) rows.push(queue.shift())
        if (queue.size() === 0) queues.delete(queue.width)
        if (!mayGrow()) break
      }
      waiting -= rows.length
      return { rows, columns }
    },
    clear() {
      queues.clear()
      waiting = 0
    },
  }
}

type Queue<Job> = ReturnType<typeof openQueue<Job>>

/** First in, first out; taking one moves a mark, and the part before it is let go of now and then. */
function openQueue<Job>(width: number) {
  let rows: Waiting<Job>[] = []
  let arrivals: number[] = []
  let head = 0
  return {
    width,
    size: () => rows.length - head,
    /** When the row at the head came. */
    arrival: () => arrivals[head],
    /** Places of the largest batch that could be taken; a full one is as good as a fuller one. */
    fill: (places: number) => Math.min((rows.length - head) * width, places),
    push(row: Waiting<Job>, arrival: number): void {
      rows.push(row)
      arrivals.push(arrival)
    },
    shift(): Waiting<Job> {
      const row = rows[head++]
      if (head > 1024 && head > rows.length / 2) {
        rows = rows.slice(head)
        arrivals = arrivals.slice(head)
        head = 0
      }
      return row
    },
  }
}

/**
 * The other way, for comparison and for who asks for it: `rows` at a time in the order they came, as wide as the longest
 * of them. Pads 2.5 times as many places on calls, and a vector's last bits depend on its company.
 */
export function openPlainLine<Job>(): Line<Job> {
  const queue = openQueue<Job>(1)
  return {
    add: (job, row, length) => queue.push({ job, row, length }, 0),
    size: queue.size,
    take({ rows: most }) {
      if (queue.size() === 0) return undefined
      const rows: Waiting<Job>[] = []
      while (rows.length < most && queue.size() > 0) rows.push(queue.shift())
      return { rows, columns: rows.reduce((longest, row) => Math.max(longest, row.length), 0) }
    },
    clear() {
      while (queue.size() > 0) queue.shift()
    },
  }
}

/**
 * Lays the ids of some rows side by side. `idsOf` gives the ids of one. Padding is id 0: it is in every vocabulary, and
 * the attention mask keeps it out of the vectors.
 */
export function layOut<Job>({ rows, columns }: Taken<Job>, idsOf: (row: Waiting<Job>) => Int32Array): Batch {
  const ids = new Int32Array(rows.length * columns)
  const lengths = new Int32Array(rows.length)
  for (const [i, row] of rows.entries()) {
    lengths[i] = row.length
    ids.set(idsOf(row), i * columns)
  }
  return { ids, lengths, columns }
}
