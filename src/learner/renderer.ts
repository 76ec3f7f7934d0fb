import { invalidArgument } from '../native/index.js'
import { formatTime } from './format.js'

/** How far a pass over the data has come. */
export interface PassState {
  epoch: number
  nEpoch: number
  part: 'train' | 'valid'
  /** Batches done, and in all. */
  done: number
  total: number
  /** The smoothed training loss, once there is one. */
  loss: number | null
  /** Samples per second in this pass. */
  rate: number
  /** Seconds until the pass is over. */
  eta: number
}

/** How progress is shown: a live face for terminals, a plain one for everything else. */
export interface Renderer {
  /** At least this many milliseconds lie between two calls of {@link progress}. */
  readonly interval: number
  /** A fit begins, whose table has these columns. */
  begin(columns: readonly string[]): void
  /** A pass under way. */
  progress(state: PassState): void
  /** A row of the table is done. */
  row(cells: readonly string[]): void
  /** The fit is over, however it ended. */
  end(): void
}

/** Where text goes: `process.stdout`, or a stand-in. */
export interface TextSink {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

const METHODS = ['begin', 'progress', 'row', 'end']

/** Whether a value can show progress. */
export function isRenderer(value: unknown): value is Renderer {
  return (
    typeof value === 'object' && value !== null && METHODS.every(name => typeof Reflect.get(value, name) === 'function')
  )
}

function checkSink(sink: TextSink): TextSink {
  if (typeof sink === 'object' && sink !== null && typeof sink.write === 'function') return sink
  throw invalidArgument('sink', 'an object with write, such as process.stdout', sink)
}

/** The face that suits `sink`. */
export function rendererFor(sink: TextSink): Renderer {
  return sink.isTTY ? new LiveRenderer(sink) : new PlainRenderer(sink)
}

/** The table, one row at a time: `epoch | train_loss | valid_loss | time`. */
class Table {
  #widths: number[] = []

  head(columns: readonly string[]): string {
    this.#widths = columns.map(name => Math.max(name.length, name === 'epoch' || name === 'time' ? 5 : 10))
    return this.line(columns)
  }

  line(cells: readonly string[]): string {
    return `${cells.map((cell, i) => cell.padStart(this.#widths[i] ?? 0)).join(' | ')}\n`
  }
}

/** A bar that is redrawn in place, above it the table. */
export class LiveRenderer implements Renderer {
  readonly interval = 100
  readonly #sink: TextSink
  readonly #table = new Table()

  constructor(sink: TextSink) {
    this.#sink = checkSink(sink)
  }

  begin(columns: readonly string[]): void {
    this.#sink.write(this.#table.head(columns))
  }

  progress(state: PassState): void {
    const width = 24
    const filled = Math.round((width * state.done) / Math.max(state.total, 1))
    const bar = '█'.repeat(filled) + '░'.repeat(width - filled)
    this.#redraw(`${title(state)} ${bar} ${state.done}/${state.total}  ${figures(state)}`)
  }

  row(cells: readonly string[]): void {
    this.#redraw(this.#table.line(cells))
  }

  end(): void {
    this.#redraw('')
  }

  #redraw(text: string): void {
    const room = (this.#sink.columns ?? 120) - 1
    this.#sink.write(`\r\x1b[2K${text.endsWith('\n') ? text : text.slice(0, room)}`)
  }
}

/** Lines for logs and pipes: one now and then, and the table's head anew after them. */
export class PlainRenderer implements Renderer {
  readonly interval = 5000
  readonly #sink: TextSink
  readonly #table = new Table()
  #columns: readonly string[] = []
  #headed = false

  constructor(sink: TextSink) {
    this.#sink = checkSink(sink)
  }

  begin(columns: readonly string[]): void {
    this.#columns = columns
    this.#headed = false
  }

  progress(state: PassState): void {
    const percent = Math.floor((100 * state.done) / Math.max(state.total, 1))
    this.#sink.write(`${title(state)} ${String(percent).padStart(3)} %  ${figures(state)}\n`)
    this.#headed = false
  }

  row(cells: readonly string[]): void {
    if (!this.#headed) this.#sink.write(this.#table.head(this.#columns))
    this.#headed = true
    this.#sink.write(this.#table.line(cells))
  }

  end(): void {
    this.#headed = false
  }
}

function title({ epoch, nEpoch, part }: PassState): string {
  return `epoch ${epoch + 1}/${nEpoch} ${part}`
}

function figures({ loss, rate, eta }: PassState): string {
  const shown = loss === null ? '' : `loss ${loss.toFixed(4)}  `
  return `${shown}${Math.round(rate)} images/s  ETA ${formatTime(eta)}`
}
