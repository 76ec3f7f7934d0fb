import { dirname } from 'node:path'
import { count, flag, object, string, TorchLearnerError, text } from '../check/index.js'
import { clearAside, writing } from '../files/index.js'
import { type CallbackState, readState, type SavedCallbackState, savedFile } from '../learner/index.js'
import { Tracker, type TrackerOptions } from './tracker.js'

const savedSchema = object({
  lastSavedPath: string().nullish(),
  improved: flag.optional(),
  fitted: flag.optional(),
})

/** Options of {@link SaveModel}. */
export interface SaveModelOptions extends TrackerOptions {
  /** The file's name, under the Learner's `path` and `modelDir`. Default `model`. */
  fname?: string
  /** Save after every epoch, or every so many, as `<fname>_<epoch>`, whatever the value; nothing is loaded back. Default false. */
  everyEpoch?: boolean | number
  /** Save when the fit ends only, and load nothing back. Default false. */
  atEnd?: boolean
  /** Save the optimizer's state too. Default false. */
  withOpt?: boolean
}

const fields = {
  fname: text('the name of a file').optional(),
  everyEpoch: flag.or(count).optional(),
  atEnd: flag.optional(),
  withOpt: flag.optional(),
}

/**
 * Saves the model when a value of the table improves, and loads the best one back when the fit ends (not when it fails:
 * {@link lastSavedPath} says where the best one is). Only a file of this fit is loaded; a fit in which nothing improved
 * keeps its weights.
 *
 * A fit that resumes (`startEpoch`) with the same callback goes on from the best value so far, so that a worse epoch
 * doesn't overwrite a better file.
 *
 * @example await learn.fit(20, { cbs: new SaveModel({ monitor: 'accuracy', fname: 'best' }) })
 */
export class SaveModel extends Tracker {
  override order = 61
  override abortGrace = 600_000 // a large file on a slow disk takes its time
  readonly fname: string
  /** Save after every so many epochs; 0: on improvement. */
  readonly everyEpoch: number
  readonly atEnd: boolean
  readonly withOpt: boolean
  /** The file that was saved last, `null` before the first. */
  lastSavedPath: string | null = null
  #improved = false
  #fitted = false

  constructor(options: SaveModelOptions = {}) {
    super(options, fields)
    const { fname = 'model', everyEpoch = false, atEnd = false, withOpt = false } = options
    if (everyEpoch && atEnd) {
      throw new TorchLearnerError('ERR_INVALID_ARG', "SaveModel's everyEpoch and atEnd exclude each other: choose one")
    }
    this.fname = fname
    this.everyEpoch = Number(everyEpoch)
    this.atEnd = atEnd
    this.withOpt = withOpt
  }

  protected override get needsValue(): boolean {
    return this.everyEpoch === 0 && !this.atEnd
  }

  override async beforeFit(): Promise<void> {
    super.beforeFit()
    this.#improved = false
    this.#fitted = false
    const file = savedFile(this.learn, this.fname)
    await writing(file, () => clearAside(dirname(file)), 'The model')
  }

  override beforeTrain(): void {
    super.beforeTrain()
    this.#fitted = true
  }

  override async afterEpoch(): Promise<void> {
    const epoch = this.learn.epoch ?? 0
    if (!this.trained) return
    const better = this.judge()
    if (this.everyEpoch > 0) {
      if (epoch % this.everyEpoch === 0) await this.#save(`${this.fname}_${epoch}`)
    } else if (better && !this.atEnd) {
      await this.#save(this.fname)
      this.#improved = true
    }
  }

  override async afterFit(): Promise<void> {
    if (!this.#fitted) return
    this.#fitted = false
    if (this.atEnd) await this.#save(this.fname)
    else if (this.#improved) await this.learn.load(this.fname, { withOpt: this.withOpt })
  }

  override saveState(): CallbackState {
    const { lastSavedPath } = this
    return { values: { ...super.saveState().values, lastSavedPath, improved: this.#improved, fitted: this.#fitted } }
  }

  override loadState(state: SavedCallbackState): void {
    const { values } = readState(this.label, state, savedSchema)
    super.loadState(state)
    this.lastSavedPath = values.lastSavedPath ?? null
    this.#improved = values.improved ?? false
    this.#fitted = values.fitted ?? false
  }

  async #save(name: string): Promise<void> {
    this.lastSavedPath = await this.learn.save(name, { withOpt: this.withOpt })
  }
}
