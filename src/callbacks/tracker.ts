import {
  checkOptions,
  count,
  finite,
  flag,
  nonNegative,
  object,
  oneOf,
  type Shape,
  strictObject,
  TorchLearnerError,
  text,
} from '../check/index.js'
import { Callback, type CallbackState, readState, type SavedCallbackState, SkipToEpoch } from '../learner/index.js'

/** Options of the callbacks that watch a value of the table. */
export interface TrackerOptions {
  /** Which: a name of `recorder.metricNames`. Default `valid_loss`. */
  monitor?: string
  /** Which is better. Default: `less` for names with `loss` or `error` in them, else `greater`. */
  comp?: 'less' | 'greater'
  /** What a value must be better by than the best so far, at least 0. Default 0. */
  minDelta?: number
  /** Forget the best value when a fit starts, unless the fit resumes (`startEpoch`). Default true. */
  resetOnFit?: boolean
}

const trackerSchema = strictObject({
  monitor: text('the name of a column of the table').optional(),
  comp: oneOf('less', 'greater').optional(),
  minDelta: nonNegative.optional(),
  resetOnFit: flag.optional(),
})

/** Watches a value of the table, epoch by epoch. Epochs without training, or without the value, count for nothing. */
export abstract class Tracker extends Callback {
  override order = 60
  override removeOnFetch = true
  readonly monitor: string
  readonly comp: 'less' | 'greater'
  readonly minDelta: number
  readonly resetOnFit: boolean
  /** The best value so far, `null` before the first. */
  best: number | null = null
  #column = -1
  #trained = false

  /** @param own fields of a subclass's further options: `{ patience: field('a whole number', Number.isInteger).optional() }` */
  constructor(options: TrackerOptions = {}, own: Shape = {}) {
    super()
    checkOptions(trackerSchema.extend(own), options, new.target.name)
    const { monitor = 'valid_loss', comp, minDelta = 0, resetOnFit = true } = options
    this.monitor = monitor
    this.comp = comp ?? (/loss|error/.test(monitor) ? 'less' : 'greater')
    this.minDelta = minDelta
    this.resetOnFit = resetOnFit
  }

  override beforeFit(): void {
    const { learn } = this
    this.run = learn.purpose !== 'find' && learn.purpose !== 'predict'
    if (!this.run) return
    this.#trained = false
    if (this.resetOnFit && !learn.callback(SkipToEpoch)) this.best = null
    const columns = learn.recorder.metricNames.filter(name => name !== 'epoch' && name !== 'time')
    this.#column = columns.indexOf(this.monitor)
    if (this.#column < 0) {
      throw new TorchLearnerError(
        'ERR_INVALID_ARG',
        `Expected one of ${columns.join(', ')} for monitor but received '${this.monitor}'. Add it to the Learner's metrics`,
      )
    }
    // a validation outside of a fit may bring its own set, and judges nothing
    if (this.needsValue && learn.purpose === 'fit') this.#checkMeasured()
  }

  #checkMeasured(): void {
    const missing = this.learn.recorder.missing(this.monitor)
    if (missing === null) return
    throw new TorchLearnerError(
      'ERR_INVALID_ARG',
      `Expected a monitor that has a value in each epoch but received '${this.monitor}', and ${missing}. ` +
        "Give the Learner's data a validation set with targets, or monitor 'train_loss'",
    )
  }

  /** Whether it acts by the value at all. */
  protected get needsValue(): boolean {
    return true
  }

  override beforeTrain(): void {
    this.#trained = true
  }

  override saveState(): CallbackState {
    return { values: { best: this.best } }
  }

  override loadState(state: SavedCallbackState): void {
    const { values } = readState(this.label, state, object({ best: finite.nullish() }))
    this.best = values.best ?? null
  }

  /** Whether the epoch under way has trained. */
  protected get trained(): boolean {
    return this.#trained
  }

  /** Whether this epoch's value is the best so far; `null` if there is none. */
  protected judge(): boolean | null {
    const trained = this.#trained
    this.#trained = false
    const value = trained ? (this.learn.recorder.values.at(-1)?.[this.#column] ?? null) : null
    if (value === null) {
      // whether a loader's batches have targets may come out only with the first of them
      if (trained && this.needsValue) this.#checkMeasured()
      return null
    }
    if (!this.#isBetter(value)) return false
    this.best = value
    return true
  }

  #isBetter(value: number): boolean {
    if (this.best === null) return !Number.isNaN(value)
    return this.comp === 'less' ? value + this.minDelta < this.best : value - this.minDelta > this.best
  }
}

/** Options of trackers that act after a number of epochs without improvement. */
export interface PatientOptions extends TrackerOptions {
  /** Epochs without improvement before it acts, at least 1. Default 1. */
  patience?: number
}

/** Counts epochs without improvement. */
export abstract class PatientTracker extends Tracker {
  readonly patience: number
  /** Epochs without improvement so far. */
  wait = 0

  /** @param own fields of a subclass's further options */
  constructor(options: PatientOptions = {}, own: Shape = {}) {
    super(options, { patience: count.optional(), ...own })
    this.patience = options.patience ?? 1
  }

  override beforeFit(): void {
    super.beforeFit()
    if (this.run) this.wait = 0
  }

  override saveState(): CallbackState {
    return { values: { ...super.saveState().values, wait: this.wait } }
  }

  override loadState(state: SavedCallbackState): void {
    const { values } = readState(this.label, state, object({ wait: finite }))
    super.loadState(state)
    this.wait = values.wait
  }

  /** Whether patience has run out. */
  protected isOver(): boolean {
    const better = this.judge()
    if (better !== null) this.wait = better ? 0 : this.wait + 1
    return better === false && this.wait >= this.patience
  }
}
