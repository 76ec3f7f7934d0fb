import {
  anything,
  checkOptions,
  decayRate,
  finite,
  flag,
  invalidArgument,
  list,
  object,
  record,
  strictObject,
  string,
} from '../../check/index.js'
import { type Tensor, tensor } from '../../tensor/index.js'
import { Callback, type CallbackFlags } from '../loop/callback.js'
import { type CallbackState, nest, readState, type SavedCallbackState, unnest } from '../loop/callback-state.js'
import { asPart } from '../loop/parts-at-work.js'
import { lacksTargets, noTargetsError, warnNoTargets } from '../loop/targets.js'
import { AvgLoss, type Metric } from '../metrics/metric.js'
import { formatTime } from './format.js'
import { SmoothLoss } from './smooth-loss.js'
import { warnNanLoss } from './warnings.js'

const schema = strictObject({
  addTime: flag.default(true),
  trainMetrics: flag.default(false),
  validMetrics: flag.default(true),
  beta: decayRate.default(0.98),
})

/** Options of the {@link Recorder}. */
export interface RecorderOptions extends CallbackFlags {
  /** Add the epoch's time, `mm:ss`, to the logged row. Default true. */
  addTime?: boolean
  /** Compute the metrics in training too; under MixUp against the mixed truth. Default false. */
  trainMetrics?: boolean
  /** Compute the metrics in validation. Default true. */
  validMetrics?: boolean
  /** Smoothing of the training loss, 0 to 1. Default 0.98. */
  beta?: number
}

/** A row of the table, without the epoch's number and the time; `null` where an epoch has no such value. */
export type RecordRow = (number | null)[]

/** What a training left in the {@link Recorder}. */
export type TrainingRecord = Readonly<Pick<Recorder, 'lrs' | 'losses' | 'iters' | 'values' | 'metricNames' | 'hps'>>

/** Values on their way; settled, so that a failure waits for whoever reads them. */
type Pending = Promise<PromiseSettledResult<number | null>[]>

/**
 * Keeps what happened: learning rates, smoothed losses, and a row of values for each epoch. Everything is computed
 * natively and read when it is there, so that recording never makes JavaScript wait.
 *
 * During an epoch the newest entries of {@link losses} may still be NaN, two batches at most; from `afterEpoch` on all
 * numbers are in.
 */
export class Recorder extends Callback {
  override order = 50
  override removeOnFetch = true
  readonly addTime: boolean
  readonly trainMetrics: boolean
  readonly validMetrics: boolean
  /** The learning rate of the last group at each training batch. */
  lrs: number[] = []
  /** The smoothed training loss at each training batch. */
  losses: number[] = []
  /** Training batches so far, at the end of each epoch. */
  iters: number[] = []
  /** A row for each epoch; columns as {@link metricNames}, without `epoch` and `time`. */
  values: RecordRow[] = []
  /** The head of the table: `epoch`, `train_loss`, `valid_loss`, the metrics, `time`. */
  metricNames: string[] = []
  /** What a scheduler set, at each training batch, for the last group: `hps.lr`, `hps.mom`. */
  hps: Record<string, number[]> = {}

  #before: TrainingRecord | null = null
  readonly #smooth: SmoothLoss
  readonly #loss = new AvgLoss()
  #train: Pending | null = null
  #valid: Pending | null = null
  #trained = false
  #cancelled = false
  #warned = false
  #started = 0
  /** What has been said about batches without targets. */
  #untargeted: { train?: boolean; valid?: boolean } = {}

  constructor(options: RecorderOptions = {}) {
    if (typeof options !== 'object' || options === null) throw invalidArgument('options', 'an object', options)
    const { addTime, trainMetrics, validMetrics, beta, ...flags } = options
    const own = checkOptions(schema, { addTime, trainMetrics, validMetrics, beta }, 'Recorder')
    super(flags)
    this.addTime = own.addTime
    this.trainMetrics = own.trainMetrics
    this.validMetrics = own.validMetrics
    this.#smooth = new SmoothLoss(own.beta)
  }

  /**
   * What the last training left. Validations and predictions empty the lists of the Recorder itself, as in fastai, but leave
   * this, so that curves can be drawn afterwards too.
   */
  get training(): TrainingRecord {
    return this.losses.length > 0 ? this : (this.#before ?? this)
  }

  override beforeFit(): void {
    const { lrs, losses, iters, values, metricNames, hps } = this
    if (losses.length > 0) this.#before = { lrs, losses, iters, values, metricNames, hps }
    this.lrs = []
    this.losses = []
    this.iters = []
    this.values = []
    this.hps = {}
    this.#warned = false
    this.#untargeted = {}
    this.#smooth.reset()
    this.metricNames = this.#names()
    const { learn } = this
    if (learn.purpose === 'fit' && lacksTargets(learn.dls)) this.#checkMetrics()
  }

  override beforeEpoch(): void {
    this.#started = performance.now()
    this.#train = null
    this.#valid = null
    this.#trained = false
  }

  override beforeTrain(): void {
    this.#trained = true
    this.#cancelled = false
    if (this.trainMetrics) each(this.learn.metrics, metric => metric.reset())
  }

  override beforeValidate(): void {
    this.#cancelled = false
    each(this.#validMets(), metric => metric.reset())
  }

  /** A batch whose loss was never computed (`CancelBatch` in `beforeBatch` or `afterPred`) counts for nothing. */
  override afterBatch(): void {
    const { learn } = this
    if (!learn.loss || learn.yb.length === 0) {
      this.#withoutLoss()
      return
    }
    if (!learn.training) {
      each(this.#validMets(), metric => metric.accumulate(learn))
      return
    }
    if (this.trainMetrics) each(learn.metrics, metric => metric.accumulate(learn))
    this.lrs.push(learn.opt?.paramGroups.at(-1)?.lr ?? Number.NaN)
    const { losses } = this
    const at = losses.push(Number.NaN) - 1
    learn.observe(this.#smooth.next(learn.loss), value => {
      losses[at] = value
      learn.smoothLoss = value
      if (!Number.isFinite(value)) this.#warnOnce(value, at)
    })
  }

  override afterCancelTrain(): void {
    this.#cancelled = true
  }

  override afterCancelValidate(): void {
    this.#cancelled = true
  }

  override afterTrain(): void {
    this.#trained = true
    if (this.#cancelled) return
    const metrics = this.trainMetrics ? this.learn.metrics : []
    this.#train = Promise.allSettled([this.#smooth.current(), ...valuesOf(metrics)])
  }

  override afterValidate(): void {
    if (!this.#cancelled) this.#valid = Promise.allSettled(valuesOf(this.#validMets()))
  }

  override async afterEpoch(): Promise<void> {
    const { learn } = this
    await learn.observed()
    const train = await settled(this.#train)
    const valid = await settled(this.#valid)
    const row = this.#trained
      ? [...(train ?? blanks(this.#trainWidth())), ...(valid ?? blanks(this.#validMets().length))]
      : (valid ?? [])
    learn.finalRecord = row
    this.values.push(row)
    this.iters.push(this.#smooth.count)
    const time = this.addTime ? [formatTime((performance.now() - this.#started) / 1000)] : []
    // where nothing was measured (an epoch skipped, a session by hand) there is no row to show
    if (row.some(value => value !== null)) learn.logger([learn.epoch ?? 0, ...row, ...time])
  }

  /** @internal Why a column of the table can't get a value in any epoch of the fit that begins, or `null`. */
  missing(column: string): string | null {
    const { trainMetrics, validMetrics } = this
    const isOfTraining = column === 'train_loss' || (trainMetrics && (!validMetrics || column.startsWith('train_')))
    if (isOfTraining) return null
    if (!validMetrics) return 'the Recorder measures no metrics (trainMetrics and validMetrics are false)'
    const { dls } = this.learn
    if (dls.valid === undefined || dls.valid.length === 0) return 'there is no validation set'
    return this.#untargeted.valid || lacksTargets(dls) ? 'the validation set has no targets' : null
  }

  /** Of a batch that was predicted and for which nobody gave a target. */
  #withoutLoss(): void {
    const { learn } = this
    if (learn.loss || learn.yb.length > 0 || learn.output === null || learn.purpose === 'predict') return
    const part = learn.training ? 'train' : 'valid'
    if (part === 'valid') this.#checkMetrics()
    if (!this.#untargeted[part]) warnNoTargets(learn.training)
    this.#untargeted[part] = true
  }

  /** Of a validation set without targets: refuses what it was to be measured by. */
  #checkMetrics(): void {
    const { metrics } = this.learn
    if (this.validMetrics && metrics.length > 0) throw noTargetsError(metrics.map(({ name }) => name))
  }

  override cleanup(): void {
    this.#smooth.release()
  }

  override saveState(): CallbackState {
    const { lrs, losses, iters, values, hps } = this
    const { sum, count } = this.#smooth
    const lists: Record<string, number[]> = { lrs, losses }
    for (const [name, list] of Object.entries(hps)) lists[`hps.${name}`] = list
    const tensors = Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, asTensor(list)]))
    const metrics = nest(this.trainMetrics ? this.learn.metrics.map(savedMetric) : [])
    for (const [name, tensor] of Object.entries(metrics.tensors)) tensors[METRICS + name] = tensor
    if (sum) tensors.sum = sum
    return { values: { iters, values: values.map(spell), count, metrics: metrics.values }, tensors }
  }

  override async loadState(state: SavedCallbackState): Promise<void> {
    const { values, tensors } = readState(this.label, state, savedSchema)
    const { sum, ...all } = tensors
    const entries = Object.entries(all)
    const lists = Object.fromEntries(entries.filter(([name]) => !name.startsWith(METRICS)))
    const counted = entries.filter(([name]) => name.startsWith(METRICS))
    const numbers: Record<string, number[]> = {}
    for (const [name, list] of Object.entries(lists)) numbers[name] = Array.from(await list.data(), Number)
    const { lrs = [], losses = [], ...hps } = numbers
    Object.assign(this, { lrs, losses, iters: [...values.iters] })
    this.values = values.values.map(unspell)
    this.hps = Object.fromEntries(Object.entries(hps).map(([name, list]) => [name.replace(/^hps\./, ''), list]))
    this.#smooth.load(sum, values.count)
    if (!this.trainMetrics) return
    const metrics = {
      values: values.metrics,
      tensors: Object.fromEntries(counted.map(([name, tensor]) => [name.slice(METRICS.length), tensor])),
    }
    for (const [i, metric] of this.learn.metrics.entries()) metric.loadState?.(unnest(metrics, i))
  }

  #validMets(): Metric[] {
    return this.validMetrics ? [this.#loss, ...this.learn.metrics] : []
  }

  #trainWidth(): number {
    return 1 + (this.trainMetrics ? this.learn.metrics.length : 0)
  }

  #names(): string[] {
    const metrics = this.learn.metrics.map(metric => metric.name)
    const time = this.addTime ? ['time'] : []
    if (!this.validMetrics) return ['epoch', 'train_loss', ...metrics, ...time]
    if (!this.trainMetrics) return ['epoch', 'train_loss', 'valid_loss', ...metrics, ...time]
    const both = ['loss', ...metrics]
    return ['epoch', ...both.map(name => `train_${name}`), ...both.map(name => `valid_${name}`), ...time]
  }

  #warnOnce(value: number, batch: number): void {
    if (!this.#warned && !this.learn.silent) warnNanLoss(value, batch)
    this.#warned = true
  }
}

/** Where a state keeps what the metrics have counted. */
const METRICS = 'metrics/'

const savedSchema = object({
  iters: list(finite),
  values: list(list(finite.or(string()).nullable())),
  count: finite,
  metrics: record(anything),
})

function savedMetric(metric: Metric): CallbackState {
  return metric.saveState?.() ?? {}
}

/** Does something with every metric, each as a part of its own. */
function each<T>(metrics: readonly Metric[], act: (metric: Metric) => T): T[] {
  return metrics.map(metric => asPart(`the metric ${metric.name}`, () => act(metric)))
}

function valuesOf(metrics: readonly Metric[]): Promise<number | null>[] {
  return each(metrics, metric => metric.value())
}

async function settled(pending: Pending | null): Promise<RecordRow | null> {
  if (!pending) return null
  return (await pending).map(result => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}

function asTensor(list: number[]): Tensor {
  return tensor(Float64Array.from(list), { dtype: 'float64' })
}

/** JSON has no NaN and no infinity. */
function spell(row: RecordRow): (number | string | null)[] {
  return row.map(value => (value === null || Number.isFinite(value) ? value : String(value)))
}

function unspell(row: readonly (number | string | null)[]): RecordRow {
  return row.map(value => (typeof value === 'string' ? Number(value) : value))
}

function blanks(count: number): RecordRow {
  return new Array<null>(count).fill(null)
}
