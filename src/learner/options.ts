import {
  checkValue,
  count,
  type Field,
  field,
  flag,
  fraction,
  func,
  nonNegative,
  positive,
  signal,
  strictObject,
  string,
  whole,
} from '../check/index.js'
import type { Loss } from '../nn/index.js'
import { type HyperValue, type OptFunc, Slice } from '../optim/index.js'
import { Callback } from './loop/callback.js'
import { Metric } from './metrics/metric.js'
import type { MetricLike } from './metrics/to-metric.js'
import type { Splitter } from './state/optimizer.js'

/** A callback, or a class of callbacks that needs no arguments. */
export type CallbackLike = Callback | (new () => Callback)

/** A class of callbacks, whatever its constructor takes. */
export type CallbackClass = abstract new (...args: never[]) => Callback

/** Callbacks that are to be found: themselves, or by their classes. */
export type CallbackRefs = Callback | CallbackClass | readonly (Callback | CallbackClass)[]

/** One callback or several. */
export type CallbackList = CallbackLike | readonly CallbackLike[]

/** Momentum at the start, the middle and the end of a one-cycle. */
export type Moms = readonly [number, number, number]

/** Options of a {@link Learner}. */
export interface LearnerOptions {
  /** `lossFunc(pred, ...targets)`; default: the data's. */
  lossFunc?: Loss
  /** Makes the optimizer; default: Adam. */
  optFunc?: OptFunc
  /** The learning rate when a fit gives none. Default 1e-3. */
  lr?: HyperValue
  /** Splits the parameters into groups. Default: everything trainable, one group. */
  splitter?: Splitter
  /** Callbacks that stay; those for one fit are given to `fit`. */
  cbs?: CallbackList
  /** Measured in validation: functions `(pred, ...targets)`, or {@link Metric}s. */
  metrics?: MetricLike | readonly MetricLike[]
  /** Where models are saved; default: the data's path, or `.`. */
  path?: string
  /** The folder for models under `path`. Default `models`. */
  modelDir?: string
  /** Weight decay; default: the optimizer's own. */
  wd?: number
  /** Whether normalisation layers and biases decay too. Default false. */
  wdBnBias?: boolean
  /** Whether normalisation layers train while frozen. Default true. */
  trainBn?: boolean
  /** Momentum at the start, the middle and the end of a one-cycle. Default [0.95, 0.85, 0.95]. */
  moms?: Moms
  /** Add the standard callbacks: train/eval, recorder, progress. Default true. */
  defaultCbs?: boolean
  /** Lay out convolutional models channels-last, which is faster and changes results by rounding only. Default true. */
  channelsLast?: boolean
}

/** Options of {@link Learner.fit}. */
export interface FitOptions {
  /** Default: the Learner's. */
  lr?: HyperValue
  /** Weight decay; default: the Learner's. */
  wd?: number
  /** Callbacks for this fit only. */
  cbs?: CallbackList
  /** Start with a fresh optimizer. Default false. */
  resetOpt?: boolean
  /** Skip the epochs before this one. Default 0. */
  startEpoch?: number
  /** Stops the fit within one batch; the promise then rejects with the signal's reason. */
  signal?: AbortSignal
}

const isFunction = (value: unknown): boolean => typeof value === 'function'
const isCallback = (value: unknown): boolean =>
  value instanceof Callback || (typeof value === 'function' && value.prototype instanceof Callback)
const isMetric = (value: unknown): boolean => isFunction(value) || value instanceof Metric

/** A function, needed. */
export const functionField = func()
const maybeFunc = functionField.optional()
const maybeText = string().optional()
const weightDecay = nonNegative.optional()
const epochs = whole(0, Infinity, 'a whole number of at least 0')
const callbacks = field<CallbackList>('a callback, a class of callbacks, or a list of them', value =>
  [value].flat().every(isCallback),
).optional()

/** A field that may be left out, for the options of other entry points. */
export const fields = {
  flag: flag.optional(),
  lr: field<HyperValue>(
    'a number of at least 0, an array of one for each group, or slice(start, stop)',
    isRates,
  ).optional(),
  moms: field<Moms>(
    'three numbers from 0 to 1',
    value => Array.isArray(value) && value.length === 3 && value.every(isShare),
  ).optional(),
  divisor: positive.optional(),
  count: count.optional(),
  epochs: epochs.optional(),
  fraction: fraction.optional(),
}

function isRates(value: unknown): boolean {
  if (value instanceof Slice) return true
  const rates = ArrayBuffer.isView(value) ? Array.from(Object.values(value)) : [value].flat()
  return rates.length > 0 && rates.every(rate => typeof rate === 'number' && Number.isFinite(rate) && rate >= 0)
}

function isShare(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= 1
}

export const learnerSchema = strictObject({
  lossFunc: maybeFunc,
  optFunc: maybeFunc,
  lr: fields.lr,
  splitter: maybeFunc,
  cbs: callbacks,
  metrics: field('functions, metrics or classes of metrics', value => [value].flat().every(isMetric)).optional(),
  path: maybeText,
  modelDir: maybeText,
  wd: weightDecay,
  wdBnBias: fields.flag,
  trainBn: fields.flag,
  moms: fields.moms,
  defaultCbs: fields.flag,
  channelsLast: fields.flag,
})

export const fitSchema = strictObject({
  lr: fields.lr,
  wd: weightDecay,
  cbs: callbacks,
  resetOpt: fields.flag,
  startEpoch: fields.epochs,
  signal: signal.optional(),
})

/** A field of a schema where a value is needed: for {@link guard}. */
export function needed<T>(given: Field<T>): Field<T> {
  return given.and(given.what, value => value !== undefined)
}

/** Complains of anything but a number of epochs. */
export function checkEpochs(name: string, value: unknown): void {
  checkValue(epochs, value, name)
}
