import { resolve } from 'node:path'
import { z } from 'zod'
import { checkOptions } from '../data/index.js'
import { Callback } from '../learner/callback.js'
import { Recorder } from '../learner/recorder.js'
import { CancelBatch, CancelEpoch } from '../learner/signals.js'
import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { mark, rng, scope, type Tensor } from '../tensor/index.js'
import { type Position, type Restorable, readCheckpoint, removeLeftovers, saveCheckpoint } from './checkpoint-file.js'
import { count, flag, text } from './options.js'

/** Options of {@link Checkpoint}. */
export interface CheckpointOptions {
  /** The file, under the Learner's `path` and `modelDir`, without extension. Default `checkpoint`. */
  fname?: string
  /** Also save every so many training batches, a whole number of at least 1. Default: after each epoch only. */
  everyBatches?: number
  /** Continue from the file, if there is one. Default false: start anew. */
  resume?: boolean
}

const schema = z.strictObject({
  fname: text('the name of a file').optional(),
  everyBatches: count.optional(),
  resume: flag.optional(),
})

/**
 * Saves a fit so that it can go on after the process died, at whatever moment: model, optimizer, gradients, position in
 * the fit, the Recorder's history, libtorch's CPU generator and the state of other callbacks. The file is written beside
 * the old one, flushed and renamed: there is always a whole one.
 *
 * Run the same script again, with `resume`: epochs that are done are skipped, batches of the epoch under way are drawn
 * again in the same order and passed over. With one thread the weights are then the same, bit by bit, as without the
 * interruption. That takes loaders whose order comes from libtorch's generator (`manualSeed`; not their own `seed`), and
 * callbacks that have no state or say what it is ({@link Callback.saveState}). A CUDA device's generator isn't saved.
 *
 * For one fit each: `fineTune` consists of two.
 *
 * @example await learn.fitOneCycle(20, { cbs: [new MixUp(), new Checkpoint({ everyBatches: 500, resume: true })] })
 */
export class Checkpoint extends Callback {
  override order = 75 // after everybody else has done with the batch, or the epoch
  override runValid = false
  readonly fname: string
  /** 0: after each epoch only. */
  readonly everyBatches: number
  readonly resume: boolean
  /** Where this fit went on, `null` if it began at the beginning. */
  resumedAt: Position | null = null
  #found: Restorable | null = null
  #skip: Callback | null = null
  #epochRng: Tensor | null = null
  #trained = false

  constructor(options: CheckpointOptions = {}) {
    super()
    const { fname = 'checkpoint', everyBatches = 0, resume = false } = checkOptions(schema, options, 'Checkpoint')
    this.fname = fname
    this.everyBatches = everyBatches
    this.resume = resume
  }

  /** Where the file is. */
  get path(): string {
    const { path, modelDir } = this.learn
    return resolve(path, modelDir, `${this.fname}.safetensors`)
  }

  override async beforeFit(): Promise<void> {
    const { learn } = this
    this.run = !learn.callback('lrFinder') && !learn.callback('gatherPreds')
    this.resumedAt = null
    this.#trained = false
    if (!this.run) return
    if (this.everyBatches > 0 && learn.callback(Recorder)?.trainMetrics) {
      throw invalidArgument(
        "Checkpoint's everyBatches",
        'nothing while the Recorder has trainMetrics: what metrics have counted in half an epoch is not saved',
        this.everyBatches,
      )
    }
    this.#skip = this.#skipper()
    learn.addCb(this.#skip)
  }

  /** Only a fit comes here; validations and predictions leave the file alone. */
  async #find(): Promise<void> {
    const { learn, path } = this
    await removeLeftovers(path)
    const found = this.resume ? await readCheckpoint(path) : null
    if (!found) return
    const here = { nEpoch: learn.nEpoch, nIter: learn.dls.train.length }
    const { epoch, batch, nEpoch, nIter } = found.position
    if (nEpoch !== here.nEpoch || nIter !== here.nIter) {
      throw new TorchLearnerError(
        'ERR_STATE',
        `Expected the checkpoint of a fit of ${here.nEpoch} epochs of ${here.nIter} batches but ${path} is of one of ` +
          `${nEpoch} epochs of ${nIter}: continue with the same data and epochs, or choose another fname`,
      )
    }
    this.#found = found
    this.resumedAt = { epoch, batch, nEpoch, nIter }
  }

  /** Comes first where {@link Checkpoint} comes last: passes over what has been done, then puts everything back. */
  #skipper(): Callback {
    let looked = false
    return new Callback({
      name: 'resume',
      order: -1000,
      runValid: false,
      beforeTrain: async () => {
        if (!looked) await this.#find()
        looked = true
        const found = this.#found
        if (!found) return
        if ((this.learn.epoch ?? 0) < found.position.epoch) throw new CancelEpoch()
        if (found.position.batch === 0) await this.#restore(found)
      },
      beforeBatch: async () => {
        const found = this.#found
        if (!found) return
        if ((this.learn.iter ?? 0) < found.position.batch) throw new CancelBatch()
        await this.#restore(found)
      },
      // before the loader makes the next batch, which may draw random numbers
      afterBatch: () => {
        const found = this.#found
        if (found && (this.learn.iter ?? 0) === found.position.batch - 1) rng.setState(found.rng)
      },
      // all batches of the epoch were done, and only validation wasn't
      afterTrain: async () => {
        if (this.#found) await this.#restore(this.#found)
      },
    })
  }

  override async beforeTrain(): Promise<void> {
    const found = this.#found
    if (found?.epochRng) rng.setState(found.epochRng)
    this.#trained = true
    await rng.ready()
    this.#epochRng?.dispose()
    this.#epochRng = rng.getState().keep()
  }

  override async afterBatch(): Promise<void> {
    const done = (this.learn.iter ?? 0) + 1
    if (this.#found || this.everyBatches === 0 || done % this.everyBatches !== 0) return
    await this.#save(this.learn.epoch ?? 0, done)
  }

  override async afterEpoch(): Promise<void> {
    const { learn } = this
    const next = (learn.epoch ?? 0) + 1
    if (this.#found) {
      // the fit was complete: there is nothing to do but to put its end back
      if (next === learn.nEpoch) await this.#restore(this.#found)
      return
    }
    if (this.#trained) await this.#save(next, 0)
    this.#trained = false
  }

  override cleanup(): void {
    if (this.#skip) this.learn.removeCb(this.#skip)
    this.#skip = null
    this.#epochRng?.dispose()
    this.#epochRng = null
    this.#found?.dispose()
    this.#found = null
  }

  async #save(epoch: number, batch: number): Promise<void> {
    const { learn, path } = this
    await learn.observed()
    await mark() // what is asked for from here on is there
    const position = { epoch, batch, nEpoch: learn.nEpoch, nIter: learn.dls.train.length }
    await scope(() => saveCheckpoint(path, learn, position, batch > 0 ? this.#epochRng : null))
  }

  async #restore(found: Restorable): Promise<void> {
    this.#found = null
    await scope(() => found.restore(this.learn))
    await mark()
    rng.setState(found.rng)
    found.dispose()
  }
}
