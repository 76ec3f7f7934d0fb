import { invalidArgument } from '../../check/index.js'
import { formatTime } from './format.js'
import { LineGuard } from './line-guard.js'

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

/** The widest and the narrowest bar, in characters. */
const BAR = { most: 24, least: 8 }

/** A bar that is redrawn in place, above it the table. What is written meanwhile, text or pictures, comes above it too. */
export class LiveRenderer implements Renderer {
  readonly interval = 100
  readonly #sink: TextSink
  readonly #table = new Table()
  #guard: LineGuard | null = null

  constructor(sink: TextSink) {
    this.#sink = checkSink(sink)
  }

  begin(columns: readonly string[]): void {
    this.#sink.write(this.#table.head(columns))
  }

  progress(state: PassState): void {
    // a character is left free at the end, where some terminals would go on to the next line
    this.#guarded().draw(liveLine(state, (this.#sink.columns || 120) - 1))
  }

  row(cells: readonly string[]): void {
    this.#guarded().clear(this.#table.line(cells))
  }

  end(): void {
    this.#guard?.release()
    this.#guard = null
  }

  #guarded(): LineGuard {
    const { stdout, stderr } = process
    this.#guard ??= new LineGuard(this.#sink === stdout && stderr.isTTY ? [stdout, stderr] : [this.#sink])
    return this.#guard
  }
}

/** Where it is narrow the bar is shorter, then the figures are fewer. */
function liveLine(state: PassState, room: number): string {
  const head = `${title(state)} `
  const { loss, rate, eta } = figures(state)
  for (const shown of [[loss, rate, eta], [loss, eta], [eta], []]) {
    const tail = [` ${String(state.done).padStart(String(state.total).length)}/${state.total}`, ...shown]
      .filter(part => part !== '')
      .join('  ')
    const width = Math.min(BAR.most, room - head.length - tail.length)
    if (width < BAR.least) continue
    const filled = Math.round((width * state.done) / Math.max(state.total, 1))
    return `${head}${'█'.repeat(filled)}${'░'.repeat(width - filled)}${tail}`
  }
  return `${head}${state.done}/${state.total}`.slice(0, room)
}

/** Lines for logs and pipes: one now and then, less often the longer it takes, and the table's head again after them. */
export class PlainRenderer implements Renderer {
  readonly #sink: TextSink
  readonly #table = new Table()
  #columns: readonly string[] = []
  #headed = false
  #lines = 0

  constructor(sink: TextSink) {
    this.#sink = checkSink(sink)
  }

  /** 5 seconds, then 10, 20, 40, and from there on a minute. */
  get interval(): number {
    return Math.min(60_000, 5000 * 2 ** this.#lines)
  }

  begin(columns: readonly string[]): void {
    this.#columns = columns
    this.#headed = false
    this.#lines = 0
  }

  progress(state: PassState): void {
    const { loss, rate, eta } = figures(state)
    const shown = [loss, rate, eta].filter(part => part !== '')
    const percent = Math.floor((100 * state.done) / Math.max(state.total, 1))
    this.#sink.write(`${title(state)} ${String(percent).padStart(3)} %  ${shown.join('  ')}\n`)
    this.#headed = false
    this.#lines++
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

function figures({ loss, rate, eta }: PassState): { loss: string; rate: string; eta: string } {
  return {
    loss: loss === null ? '' : `loss ${loss.toFixed(4)}`,
    rate: `${String(Math.round(rate)).padStart(3)} samples/s`,
    eta: `ETA ${formatTime(Math.ceil(eta))}`,
  }
}
