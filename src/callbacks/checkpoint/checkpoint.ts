import { resolve } from 'node:path'
import { checkOptions, count, flag, invalidArgument, strictObject, TorchLearnerError, text } from '../../check/index.js'
import { type Batch, Callback, Recorder } from '../../learner/index.js'
import { mark, scope } from '../../tensor/index.js'
import { type Plan, type Position, type Restorable, readCheckpoint, saveCheckpoint } from './checkpoint-file.js'
import { checkPlan, planOf } from './checkpoint-fits.js'
import { captureRandom, disposeRandom, fingerprint, type RandomState } from './checkpoint-random.js'
import {
  beginFit,
  checkStamp,
  explained,
  fileOf,
  finishFit,
  newId,
  prepareFolder,
  type Run,
  runOf,
  stampOf,
} from './checkpoint-run.js'

/** Options of {@link Checkpoint}. */
export interface CheckpointOptions {
  /** The file, under the Learner's `path` and `modelDir`, without extension. Default `checkpoint`. */
  fname?: string
  /** Also save every so many training batches, a whole number of at least 1. Default: after each epoch only. */
  everyBatches?: number
  /** Continue from the file, if there is one. Default false: start from the beginning. */
  resume?: boolean
}

const schema = strictObject({
  fname: text('the name of a file').optional(),
  everyBatches: count.optional(),
  resume: flag.optional(),
})

/**
 * Saves fits so that a script can go on after its process died, at whatever moment: model, optimizer, gradients,
 * position in the fit, the Recorder's history, random numbers (libtorch's generators, the loaders' own) and the state of
 * other callbacks. Files are written beside the old ones, flushed and renamed: there is always a whole one.
 *
 * Run the same script again, with `resume`. Fits that were finished are not trained again but put back as they ended;
 * the one under way goes on with the batch after the last one saved. With one thread the weights are then the same, bit
 * by bit, as without the interruption. Each fit of a Learner has a file of its own (`checkpoint.safetensors`,
 * `checkpoint.fit2.safetensors`, ...), so `fineTune` and several fits in a row need nothing special. Two Learners in one
 * script need two `fname`s.
 *
 * A fit is finished when it came to its end or a callback ended it ({@link CancelFit}, as EarlyStopping does). One that
 * failed goes on from the last save, also in the same process; one whose `signal` aborted it saves where it is.
 *
 * What it takes: the same script (other numbers of epochs or batches, another model or other callbacks are refused);
 * loaders whose order comes from libtorch's generator, from their `seed`, or that say what they need ({@link
 * BatchLoader.getState}); callbacks and metrics that have no state or say what it is ({@link Callback.saveState}).
 *
 * @throws TorchLearnerError `ERR_STATE` when the checkpoint is of something else, or when another process writes it too;
 * `ERR_WRITE` when it can't be written; `ERR_FILE_FORMAT` when it is damaged or of a newer release. What was saved stays
 * as it is.
 * @example
 * const learn = visionLearner(dls, resnet18, { cbs: new Checkpoint({ everyBatches: 500, resume: true }) })
 * await learn.fineTune(20, { cbs: new MixUp() })
 */
export class Checkpoint extends Callback {
  override order = 1000 // after everybody else has done with the batch, the epoch or the fit
  override abortGrace = 600_000 // a large file on a slow disk takes its time
  override runValid = false
  readonly fname: string
  /** 0: after each epoch only. */
  readonly everyBatches: number
  readonly resume: boolean
  /** Where this fit went on, `null` if it began at the beginning. */
  resumedAt: Readonly<Position> | null = null
  #run: Run | null = null
  #file = ''
  #plan: Plan | null = null
  #stamp: string | null = null
  #found: Restorable | null = null
  #epoch: RandomState | null = null
  /** Batches of the epoch that are done; `null` outside of training. */
  #done: number | null = null
  #trained = false

  constructor(options: CheckpointOptions = {}) {
    super()
    const { fname = 'checkpoint', everyBatches = 0, resume = false } = checkOptions(schema, options, 'Checkpoint')
    this.fname = fname
    this.everyBatches = everyBatches
    this.resume = resume
  }

  /** Where the fit under way, or the last one, is saved; before that, where the first one is going to be. */
  get path(): string {
    return this.#file || `${this.#base()}.safetensors`
  }

  #base(): string {
    const { path, modelDir } = this.learn
    return resolve(path, modelDir, this.fname)
  }

  override async beforeFit(): Promise<void> {
    const { learn } = this
    this.run = learn.purpose === 'fit' && learn.nEpoch > 0
    this.resumedAt = null
    if (!this.run) return
    this.#checkSetting()
    const base = this.#base()
    const run = runOf(learn, base)
    const file = fileOf(base, run)
    await prepareFolder(file)
    beginFit(base, run, this.resume)
    this.#stamp = await stampOf(file)
    const found = this.resume ? await readCheckpoint(file) : null
    // a later fit's file that is of another run is out of date
    if (run.fits === 0) run.id = found?.run ?? newId()
    this.#run = run
    this.#file = file
    this.#plan = planOf(learn)
    if (found?.run === run.id) await this.#goOn(found, this.#plan)
    else found?.dispose()
  }

  #checkSetting(): void {
    const { learn } = this
    const rivals = learn.cbs.filter(callback => callback instanceof Checkpoint && callback.fname === this.fname)
    if (rivals.length > 1) {
      throw invalidArgument("Checkpoint's fname", 'another name for each Checkpoint of a fit', this.fname)
    }
    if (this.everyBatches === 0 || !learn.callback(Recorder)?.trainMetrics) return
    const mute = learn.metrics.filter(metric => !metric.saveState || !metric.loadState)
    if (mute.length === 0) return
    throw invalidArgument(
      "Checkpoint's everyBatches",
      `nothing while the Recorder has trainMetrics and ${mute[0].name} can't save what it has counted in half an epoch`,
      this.everyBatches,
      'Give the metric saveState and loadState',
    )
  }

  async #goOn(found: Restorable, plan: Plan): Promise<void> {
    const { learn } = this
    this.#found = found
    checkPlan(this.#file, found.plan, plan)
    this.resumedAt = found.position
    const { epoch, done } = found.position
    learn.firstEpoch = done ? learn.nEpoch : epoch
    await this.#restore(found)
  }

  async #restore(found: Restorable): Promise<void> {
    await scope(() => found.restore(this.learn))
    found.restoreRandom(this.learn, found.now)
  }

  override async beforeTrain(): Promise<void> {
    const { learn } = this
    const found = this.#found
    this.#trained = true
    this.#done = 0
    if (found?.epoch && found.position.batch > 0 && found.position.epoch === learn.epoch) {
      found.restoreRandom(learn, found.epoch)
      this.#done = found.position.batch
      learn.passStart = {
        batch: found.position.batch,
        passed: batch => this.#checkBatch(found, batch),
        reached: () => this.#reached(found),
      }
    } else this.#letGo()
    disposeRandom(this.#epoch)
    this.#epoch = await captureRandom(learn)
  }

  /** The epoch's own events are sent again: everything is put back once more. */
  async #reached(found: Restorable): Promise<void> {
    await this.#restore(found)
    this.#letGo()
  }

  async #checkBatch({ batch: expected }: Restorable, batch: Batch): Promise<void> {
    const actual = expected === null ? null : await fingerprint(this.learn.dls.train, batch)
    if (actual === expected || actual === null) return
    throw new TorchLearnerError(
      'ERR_STATE',
      `The training loader gives other batches than it gave before ${this.#file} was saved, so the epoch can't go on in ` +
        "the middle. Draw its order from libtorch's generator (hostRandom, manualSeed), give it getState and setState, " +
        'or save after whole epochs only',
    )
  }

  #letGo(): void {
    this.#found?.dispose()
    this.#found = null
  }

  override async afterBatch(): Promise<void> {
    if (this.#done === null) return
    this.#done += 1
    if (this.everyBatches > 0 && this.#done % this.everyBatches === 0) await this.#save(this.#done)
  }

  override afterTrain(): void {
    this.#done = null
  }

  override async afterEpoch(): Promise<void> {
    if (this.#trained) await this.#save(null)
    this.#trained = false
  }

  /** An abort between two batches; in validation it is the last save that counts. */
  override async afterCancelFit(): Promise<void> {
    if (this.learn.fitting === 'aborted' && this.#done !== null && this.#done > 0) await this.#save(this.#done)
  }

  override async afterFit(): Promise<void> {
    const { learn } = this
    if (!this.#run || learn.fitting !== 'yes') return
    if (this.#found?.position.done) await this.#restore(this.#found)
    else await this.#save(null, true)
    finishFit(this.#base(), this.#run)
    this.#run = null
  }

  override cleanup(): void {
    this.#letGo()
    disposeRandom(this.#epoch)
    this.#epoch = null
    this.#run = null
    this.#done = null
    this.#trained = false
  }

  /** @param batch batches of this epoch that are done, `null` if all of it is */
  async #save(batch: number | null, done = false): Promise<void> {
    const { learn } = this
    const [run, plan] = [this.#run, this.#plan]
    if (!run || !plan) return
    await learn.observed()
    await mark() // what is asked for from here on is there
    const at = learn.epoch ?? 0
    const position = { epoch: batch === null ? at + 1 : at, batch: batch ?? 0, done }
    const now = await captureRandom(learn)
    try {
      const print = batch === null ? null : await fingerprint(learn.dls.train, learn.given)
      const epoch = batch === null ? null : this.#epoch
      await checkStamp(this.#file, this.#stamp)
      await scope(() =>
        explained(this.#file, () =>
          saveCheckpoint(this.#file, learn, { run: run.id, plan, position, now, epoch, batch: print }),
        ),
      )
      this.#stamp = await stampOf(this.#file)
    } finally {
      disposeRandom(now)
    }
  }
}
