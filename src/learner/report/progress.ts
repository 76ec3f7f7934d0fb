import { checkValue, field } from '../../check/index.js'
import { Callback, type CallbackFlags } from '../loop/callback.js'
import type { Logger } from '../loop/loop-state.js'
import { formatCell } from './format.js'
import { Recorder } from './recorder.js'
import { isRenderer, type Renderer, rendererFor } from './renderer.js'

/** Options of the {@link ProgressCallback}. */
export interface ProgressOptions extends CallbackFlags {
  /** Default: a live bar when stdout is a terminal, else plain lines. */
  renderer?: Renderer
}

const rendererField = field<Renderer>('an object with begin, progress, row and end', isRenderer).optional()
const optionsField = field<ProgressOptions>('an object', value => typeof value === 'object' && value !== null)

/**
 * Shows how a fit goes: smoothed loss, samples per second and time left while it runs, and a row of the table for each
 * epoch. Keeps no timer: it draws when a batch is done, and not more often than the renderer wants.
 */
export class ProgressCallback extends Callback {
  override order = 60
  readonly #renderer: Renderer
  #logger: Logger | null = null
  #columns: readonly string[] = []
  #begun = false
  #began = 0
  #shown = 0
  #rows = 0

  constructor(options: ProgressOptions = {}) {
    const { renderer, ...flags } = checkValue(optionsField, options, 'options')
    super(flags)
    checkValue(rendererField, renderer, 'renderer')
    this.#renderer = renderer ?? rendererFor(process.stdout)
  }

  override beforeFit(): void {
    const { learn } = this
    this.#shown = 0
    const recorder = learn.callback(Recorder)
    if (learn.silent || !recorder || this.#logger) return
    this.#columns = recorder.metricNames
    this.#begun = false
    this.#logger = learn.logger
    learn.logger = row => this.#row(row)
  }

  #row(row: Parameters<Logger>[0]): void {
    this.#begin()
    this.#renderer.row(row.map((value, i) => formatCell(value, this.#columns[i] ?? '')))
  }

  /** The table has a head only if something follows: a session by hand shows nothing. */
  #begin(): void {
    if (!this.#begun) this.#renderer.begin(this.#columns)
    this.#begun = true
  }

  override beforeTrain(): void {
    this.#beginPass()
  }

  override beforeValidate(): void {
    this.#beginPass()
  }

  override afterBatch(): void {
    if (!this.#logger) return
    const { learn } = this
    this.#begin()
    this.#rows += learn.bs
    const now = performance.now()
    if (now - this.#shown < this.#renderer.interval) return
    this.#shown = now
    const seconds = (now - this.#began) / 1000
    const done = (learn.iter ?? 0) + 1
    this.#renderer.progress({
      epoch: learn.epoch ?? 0,
      nEpoch: learn.nEpoch,
      part: learn.training ? 'train' : 'valid',
      done,
      total: learn.nIter,
      loss: learn.smoothLoss,
      rate: this.#rows / seconds,
      eta: (seconds / done) * (learn.nIter - done),
    })
  }

  override afterFit(): void {
    this.#restore()
  }

  override cleanup(): void {
    this.#restore()
  }

  #beginPass(): void {
    this.#rows = 0
    this.#began = performance.now()
    this.#shown ||= this.#began
  }

  #restore(): void {
    if (!this.#logger) return
    this.learn.logger = this.#logger
    this.#logger = null
    this.#shown = 0
    if (this.#begun) this.#renderer.end()
  }
}
