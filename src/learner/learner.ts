import { checkOptions, checkValue, invalidArgument, TorchLearnerError } from '../check/index.js'
import type { Loss, Module } from '../nn/index.js'
import { Adam, type HyperValue, type OptFunc, type Optimizer } from '../optim/index.js'
import { at, refuseAbandoned, Tensor } from '../tensor/index.js'
import { acting, blaming, type Callback, runCallback } from './loop/callback.js'
import { CallbackSet } from './loop/callback-set.js'
import { Creation } from './loop/creation.js'
import { type Batch, type BatchLoader, inOrder, type LearnerData } from './loop/data.js'
import { endingWith, throwFirst } from './loop/ending.js'
import { type Awaitable, EVENTS, type EventName, isEventName } from './loop/events.js'
import { runBatch, runFit, runValidation } from './loop/loop.js'
import { hush, LoopState, type ModelOutput } from './loop/loop-state.js'
import { checkParts, type OutputsLearnerOptions, type OutputsModule, useChannelsLast } from './loop/parts.js'
import { Pipeline, withOwnPipeline } from './loop/pipeline.js'
import { openSession } from './loop/session.js'
import { CancelFit } from './loop/signals.js'
import { SkipToEpoch } from './loop/skip-to-epoch.js'
import { TrainEvalCallback } from './loop/train-eval.js'
import { innerRun, placeOf, type RunPurpose, type Task, Work } from './loop/working.js'
import type { Metric } from './metrics/metric.js'
import { type MetricLike, toMetric } from './metrics/to-metric.js'
import {
  type CallbackList,
  type CallbackRefs,
  checkEpochs,
  type FitOptions,
  fitSchema,
  functionField,
  type LearnerOptions,
  type Moms,
} from './options.js'
import {
  checkPreds,
  chosenLoader,
  GatherPreds,
  type Preds,
  type PredsOptions,
  type PredsWithout,
  predsSchema,
  type ValidateOptions,
  validateSchema,
} from './predict/preds.js'
import { ProgressCallback } from './report/progress.js'
import { Recorder, type RecordRow } from './report/recorder.js'
import { createOptimizer, type Splitter, trainableParams } from './state/optimizer.js'
import { type LoadOptions, loadLearner, type SaveOptions, saveLearner } from './state/save.js'

/**
 * Ties data, a model, a loss and an optimizer together and runs the training loop, in which {@link Callback}s act:
 * {@link EVENTS} shows the loop.
 *
 * @example
 * const learn = new Learner(dls, model, { lossFunc: new CrossEntropyLossFlat(), metrics: [errorRate] })
 * await learn.fitOneCycle(1, { lrMax: 3e-3, cbs: new MixUp(0.4) })
 */
export class Learner extends LoopState {
  /** Typed as of one output: where there are several, keep your own reference to the model for calling it. */
  declare readonly model: Module
  /** `lossFunc(pred, ...yb)`; MixUp replaces it while it trains. */
  declare lossFunc: Loss
  declare optFunc: OptFunc
  /** Made by the first fit, or by {@link createOpt}. */
  declare opt: Optimizer | null
  declare lr: HyperValue
  declare wd: number | null
  declare moms: Moms
  declare splitter: Splitter
  declare path: string
  declare modelDir: string
  /** @internal What the loop has queued; a pass within a pass has its own. */
  pipeline = new Pipeline()

  readonly #cbs = new CallbackSet(this)
  readonly #flags: { wdBnBias: boolean; trainBn: boolean }
  readonly #work = new Work()
  readonly #creation: Creation
  #metrics: Metric[] = []

  /**
   * @param dls training and validation data
   * @param model any {@link Module}; inputs of a batch are its arguments. It returns a tensor, or several in an array
   * @param options see {@link LearnerOptions}, and {@link OutputsLearnerOptions} for a model of several outputs
   * @throws TorchLearnerError `ERR_INVALID_ARG` for wrong options, or if neither options nor data name a loss
   */
  constructor(dls: LearnerData, model: Module, options?: LearnerOptions)
  constructor(dls: LearnerData, model: OutputsModule, options: OutputsLearnerOptions)
  constructor(
    dls: LearnerData,
    net: Module<Tensor[], ModelOutput>,
    given: LearnerOptions | OutputsLearnerOptions = {},
  ) {
    const { model, options, lossFunc } = checkParts(dls, net, given)
    super(dls)
    this.model = model
    this.opt = null
    this.lossFunc = lossFunc
    this.optFunc = options.optFunc ?? ((groups, { lr }) => new Adam(groups, { lr }))
    this.lr = options.lr ?? 1e-3
    this.wd = options.wd ?? null
    this.moms = options.moms ?? [0.95, 0.85, 0.95]
    this.splitter = options.splitter ?? trainableParams
    this.metrics = options.metrics ?? []
    this.path = options.path ?? dls.path ?? '.'
    this.modelDir = options.modelDir ?? 'models'
    this.#flags = { wdBnBias: options.wdBnBias ?? false, trainBn: options.trainBn ?? true }
    if (options.channelsLast !== false) useChannelsLast(model)
    if (options.defaultCbs !== false) this.addCb([TrainEvalCallback, Recorder, ProgressCallback])
    this.addCb(options.cbs ?? [])
    this.#creation = new Creation(this.#cbs.ordered(), callback => placeOf(this, callback, 'afterCreate'))
  }

  #act(callback: Callback, event: EventName): Awaitable<void> {
    return runCallback(callback, event, () => placeOf(this, callback, event))
  }

  /** Whether a fit, a validation or a session is under way. */
  get isRunning(): boolean {
    return this.#work.isUnderWay
  }

  /**
   * What the run under way is for, so that a callback can leave alone what doesn't concern it: see {@link RunPurpose}.
   * From `beforeFit` to `cleanup` of a run it is the same, except that a pass within a pass (`getPreds({ inner: true })`,
   * {@link FetchPreds}) is `predict` while it lasts. `null` when nothing runs, and in a session by hand, which is for what
   * only its user knows. It can only be read.
   *
   * @example beforeFit() { this.run = this.learn.purpose === 'fit' }
   */
  get purpose(): RunPurpose | null {
    return this.#work.purpose
  }

  /** What is measured. Set it to functions, metrics or classes of metrics. */
  get metrics(): Metric[] {
    return this.#metrics
  }

  set metrics(list: MetricLike | readonly MetricLike[]) {
    this.#metrics = [list].flat().map(toMetric)
  }

  /** The callbacks, in order of insertion; {@link addCb} and {@link removeCb} change them. */
  get cbs(): Callback[] {
    return [...this.#cbs]
  }

  /**
   * The callback of a class, or with a name (`mixUp`); the last one if there are several.
   * @example learn.callback(MixUp)?.lam
   */
  callback<T extends Callback>(type: abstract new (...args: never[]) => T): T | undefined
  callback(name: string): Callback | undefined
  callback(which: string | (abstract new (...args: never[]) => Callback)): Callback | undefined {
    return this.#cbs.find(which)
  }

  /**
   * What happened so far: losses, learning rates, rows of the table.
   * @throws TorchLearnerError `ERR_STATE` if the Learner was made without one
   */
  get recorder(): Recorder {
    const recorder = this.callback(Recorder)
    if (recorder) return recorder
    throw new TorchLearnerError('ERR_STATE', 'This Learner has no Recorder: add one with learn.addCb(Recorder)')
  }

  /** Adds callbacks for good. */
  addCb(cbs: CallbackList): this {
    this.#cbs.add(cbs)
    return this
  }

  /** Removes callbacks; a class stands for all its instances. */
  removeCb(cbs: CallbackRefs): this {
    this.#cbs.remove(cbs)
    return this
  }

  /** Runs `body` with callbacks added, and removes them however it ends. */
  async addedCbs<T>(cbs: CallbackList, body: () => Awaitable<T>): Promise<T> {
    checkValue(functionField, body, 'body')
    const added = this.#cbs.add(cbs)
    return endingWith(body, () => void this.#cbs.remove(added))
  }

  /** Runs `body` without some callbacks; afterwards they stand at the end of the list. */
  async removedCbs<T>(cbs: CallbackRefs, body: () => Awaitable<T>): Promise<T> {
    checkValue(functionField, body, 'body')
    const { removed, failures } = this.#cbs.take(cbs)
    const run = () => {
      throwFirst(failures)
      return body()
    }
    return endingWith(run, () => void this.#cbs.add(removed))
  }

  /**
   * Dispatches an event, or several, to the callbacks: what the loop does, by hand.
   * @throws TorchLearnerError `ERR_INVALID_ARG` for an unknown name; `ERR_CALLBACK` if a callback fails
   */
  async emit(event: EventName | readonly EventName[]): Promise<void> {
    for (const name of [event].flat()) await this.#work.within(name, () => this.#emit(name))
  }

  async #emit(name: EventName): Promise<void> {
    if (!isEventName(name)) throw invalidArgument('event', `one of ${EVENTS.join(', ')}`, name)
    for (const callback of this.#cbs.ordered()) {
      if (callback.takesPart(name, this.training)) {
        const pending = this.#act(callback, name)
        if (pending) await this.#work.patiently(pending, callback, name)
      }
      if (name === 'afterFit') callback.run = true
    }
  }

  /** One batch by hand, all its events included; its tensors stay until the next. */
  async oneBatch(i: number, batch: Batch): Promise<void> {
    this.clearBatch()
    if (this.training && !this.opt) this.createOpt()
    await this.#work.within('oneBatch', () => runBatch(this, i, batch))
  }

  /** Hands the number in a one-element tensor to `sink` once it has been computed; failures surface in the loop. */
  observe(scalar: Tensor, sink: (value: number) => void): void {
    if (!(scalar instanceof Tensor)) throw invalidArgument('scalar', 'a tensor of one element', scalar)
    checkValue(functionField, sink, 'sink')
    this.pipeline.observe(scalar, blaming(sink))
  }

  /** Waits until all numbers handed to {@link observe} have arrived. */
  observed(): Promise<void> {
    return this.pipeline.observed()
  }

  /**
   * Makes a new optimizer; fits do it when there is none.
   * @throws TorchLearnerError `ERR_STATE` during a fit, whose schedules and state belong to the one it began with
   */
  createOpt(): Optimizer {
    refuseAbandoned('createOpt')
    const hint = 'call it before, or fit with resetOpt: true'
    if (this.fitting !== 'no') throw new TorchLearnerError('ERR_STATE', `createOpt: a fit is under way; ${hint}`)
    const { splitter, optFunc, lr } = this
    this.opt?.dispose()
    const options = { splitter, optFunc, lr, ...this.#flags }
    this.opt = at({ part: 'the optimizer' }, () => createOptimizer(this.model, options))
    return this.opt
  }

  /**
   * Saves the model, and the optimizer's state unless `withOpt` is false, as `path`/`modelDir`/`name`.safetensors. The
   * values are those of the moment in which everything queued so far has run; the file appears whole or not at all.
   * Without the optimizer's tensors (named `optimizer/...`) it is the model's state dict, as Python's safetensors reads
   * it.
   *
   * @param name file name without extension; may lead to other folders, which are made
   * @returns the file
   */
  save(name: string, options: SaveOptions = {}): Promise<string> {
    return saveLearner(this, name, options)
  }

  /**
   * Loads what {@link save} wrote, or a `.pth` file of PyTorch or fastai (the model alone). An optimizer's state that
   * doesn't fit this Learner's optimizer is left with a warning.
   *
   * @param name as for {@link save}; with an extension, that very file
   * @throws TorchLearnerError `ERR_NOT_FOUND`; `ERR_FILE_FORMAT`; `ERR_STATE_DICT` if the file doesn't fit the model,
   * which then stays as it was
   */
  load(name: string, options: LoadOptions = {}): Promise<this> {
    return loadLearner(this, name, options).then(() => this)
  }

  /**
   * Trains for `nEpoch` epochs, each followed by a validation.
   *
   * @param nEpoch how many epochs (passes over the training set), 0 or more
   * @param options see {@link FitOptions}
   * @throws TorchLearnerError `ERR_CALLBACK` for an error in a callback, `ERR_OP_FAILED` for one in an operator; the
   * signal's reason after an abort. Whatever the outcome, the Learner can be used again.
   */
  async fit(nEpoch: number, options: FitOptions = {}): Promise<void> {
    await this.train('fit', nEpoch, options)
  }

  /** @internal A fit, for this purpose. */
  async train(purpose: 'fit' | 'find', nEpoch: number, options: FitOptions): Promise<void> {
    checkEpochs('nEpoch', nEpoch)
    checkOptions(fitSchema, options, 'fit')
    const { lr = this.lr, wd = this.wd, cbs = [], resetOpt = false, startEpoch = 0, signal } = options
    signal?.throwIfAborted()
    const all = [cbs, startEpoch > 0 ? new SkipToEpoch(startEpoch) : []].flat(2)
    const body = async () => {
      const opt = resetOpt || !this.opt ? this.createOpt() : this.opt
      if (wd !== null) opt.setHyper('wd', wd)
      opt.setHyper('lr', lr)
      this.nEpoch = nEpoch
      await runFit(this, signal)
    }
    await this.#run({ what: 'fit', purpose, signal }, all, body)
  }

  /**
   * Runs `body` between `beforeFit`, `beforeEpoch` and `afterEpoch`, `afterFit`, so that events may be sent by hand:
   * fastai's `with learn:`. Without `body`, returns what `await using` closes.
   */
  session<T>(body: (learn: this) => Awaitable<T>): Promise<T>
  session(): Promise<AsyncDisposable>
  async session<T>(body?: (learn: this) => Awaitable<T>): Promise<T | AsyncDisposable> {
    if (body !== undefined) checkValue(functionField, body, 'body')
    if (!body) return openSession(open => this.session(open))
    return this.#run({ what: 'session', purpose: null }, [], () => this.#between(() => body(this)))
  }

  async #between<T>(body: () => Awaitable<T>): Promise<T> {
    await this.emit(['beforeFit', 'beforeEpoch'])
    const result = await body()
    await this.emit(['afterEpoch', 'afterFit'])
    return result
  }

  /**
   * Measures the model on the validation set, or another one.
   * @returns the validation loss, and the metrics
   * @throws TorchLearnerError `ERR_INVALID_ARG` when there is no validation set, `ERR_NO_DATA` when the set is empty
   */
  async validate(options: ValidateOptions = {}): Promise<RecordRow | null> {
    checkOptions(validateSchema, options, 'validate')
    chosenLoader(this, options)
    const { cbs = [], signal } = options
    const body = () => this.#between(() => this.#validation(options))
    await this.#run({ what: 'validate', purpose: 'validate', signal }, cbs, body)
    return this.finalRecord
  }

  /** The model's predictions for a whole set, with their targets. See {@link PredsOptions}. */
  getPreds(options: PredsOptions & { withPreds: false }): Promise<PredsWithout>
  getPreds(options?: PredsOptions): Promise<Preds>
  async getPreds(options: PredsOptions = {}): Promise<Preds | PredsWithout> {
    checkOptions(predsSchema, options, 'getPreds')
    checkPreds(options)
    chosenLoader(this, options)
    const gather = new GatherPreds(options)
    const cbs = [options.cbs ?? [], gather].flat()
    const prepare = options.reorder === false && options.dl ? undefined : inOrder
    const body = () => gather.collect(this, () => this.#validation(options, prepare))
    if (options.inner) return this.#inner(() => this.addedCbs(cbs, body).finally(() => gather.cleanup()))
    const task: Task = { what: 'getPreds', purpose: 'predict', signal: options.signal }
    return this.#run(task, cbs, () => this.#between(body))
  }

  /** A pass within a pass: if it rejects, all that failed in it is told with that. */
  #inner<T>(body: () => Promise<T>): Promise<T> {
    return withOwnPipeline(this, () => this.#work.withPurpose('predict', () => innerRun('getPreds').whole(body)))
  }

  async #validation(options: ValidateOptions, prepare = (loader: BatchLoader) => loader): Promise<void> {
    const loader = chosenLoader(this, options)
    try {
      await runValidation(this, prepare(loader), options.signal)
      await this.pipeline.drain()
    } catch (error) {
      if (error instanceof CancelFit) options.signal?.throwIfAborted()
      throw error
    }
  }

  /** Everything that runs the loop goes through here: whatever happens inside, the Learner is usable afterwards. */
  async #run<T>(task: Task, cbs: CallbackList, body: () => Promise<T>): Promise<T> {
    let added: Callback[] = []
    let unhush = (): void => undefined
    const whole = async () => {
      if (task.purpose !== 'fit' && task.purpose !== null) unhush = hush(this)
      await this.#creation.settled((pending, callback) => this.#work.patiently(pending, callback, 'afterCreate'))
      added = this.#cbs.add(cbs)
      this.#cbs.attachAll()
      const result = await body()
      await this.pipeline.drain()
      return result
    }
    return this.#work.do(task, whole, () => this.#cleanUp(added).finally(unhush))
  }

  async #cleanUp(added: readonly Callback[]): Promise<void> {
    await this.pipeline.abandon()
    this.clearBatch()
    this.dl = null
    const failures: unknown[] = []
    for (const callback of this.#cbs.ordered()) {
      callback.run = true
      const place = placeOf(this, callback, 'cleanup')
      const pending = (async () => acting(callback, 'cleanup', place, () => callback.cleanup?.()))()
      await this.#work.patiently(pending, callback, 'cleanup').catch(error => failures.push(error))
    }
    throwFirst([...failures, ...this.#cbs.take(added).failures])
  }
}
