import type { TextSink } from '../../learner/index.js'

const WIDTH = 20
/** Milliseconds between two drawings on a terminal, and between two lines elsewhere. */
const LIVE_INTERVAL = 100
const PLAIN_INTERVAL = 5000

/** How far the verification of picture files is: a bar that moves on a terminal, a line every few seconds elsewhere. */
export class VerifyProgress {
  readonly #sink: TextSink
  readonly #now: () => number
  #shown: number
  #drawn = false

  constructor(sink: TextSink, now: () => number = () => performance.now()) {
    this.#sink = sink
    this.#now = now
    this.#shown = sink.isTTY ? Number.NEGATIVE_INFINITY : now()
  }

  update(done: number, total: number, bad: number): void {
    const now = this.#now()
    if (now - this.#shown < (this.#sink.isTTY ? LIVE_INTERVAL : PLAIN_INTERVAL)) return
    this.#shown = now
    const found = bad > 0 ? `, ${bad} bad` : ''
    const text = `${done} of ${total} pictures verified${found}`
    if (!this.#sink.isTTY) {
      this.#sink.write(`${text}\n`)
      return
    }
    const full = Math.floor((WIDTH * done) / total)
    this.#sink.write(`\r\x1b[2K${'█'.repeat(full)}${'░'.repeat(WIDTH - full)} ${text}`)
    this.#drawn = true
  }

  /** Leaves the terminal's line as it was found. */
  end(): void {
    if (this.#drawn) this.#sink.write('\r\x1b[2K')
  }
}
