import { z } from 'zod'
import { invalidArgument, isAbortSignal } from '../native/index.js'
import type { Loss } from '../nn/index.js'
import { type HyperValue, type OptFunc, Slice } from '../optim/index.js'
import { Callback } from './callback.js'
import type { Kind } from './guard.js'
import { Metric } from './metrics/metric.js'
import type { MetricLike } from './metrics/to-metric.js'
import type { Splitter } from './optimizer.js'

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

const func = z.custom(isFunction, { error: 'a function' }).optional()
const text = z.string({ error: 'a string' }).optional()
const weightDecay = number('a number of at least 0', value => value >= 0).optional()
const callbacks = z
  .custom<CallbackList>(value => [value].flat().every(isCallback), {
    error: 'a callback, a class of callbacks, or a list of them',
  })
  .optional()

function number(error: string, fits: (value: number) => boolean) {
  return z.custom<number>(value => typeof value === 'number' && Number.isFinite(value) && fits(value), { error })
}

/** A field that may be left out, for the options of other entry points. */
export const fields = {
  flag: z.boolean({ error: 'true or false' }).optional(),
  lr: z
    .custom<HyperValue>(isRates, {
      error: 'a number of at least 0, an array of one for each group, or slice(start, stop)',
    })
    .optional(),
  moms: z
    .custom<Moms>(value => Array.isArray(value) && value.length === 3 && value.every(isShare), {
      error: 'three numbers from 0 to 1',
    })
    .optional(),
  divisor: number('a number above 0', value => value > 0).optional(),
  count: number('a whole number from 1', value => Number.isInteger(value) && value >= 1).optional(),
  epochs: number('a whole number of at least 0', value => Number.isInteger(value) && value >= 0).optional(),
  share: number('a number between 0 and 1', value => value > 0 && value < 1).optional(),
}

function isRates(value: unknown): boolean {
  if (value instanceof Slice) return true
  const rates = ArrayBuffer.isView(value) ? Array.from(Object.values(value)) : [value].flat()
  return rates.length > 0 && rates.every(rate => typeof rate === 'number' && Number.isFinite(rate) && rate >= 0)
}

function isShare(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= 1
}

export const learnerSchema = z.strictObject({
  lossFunc: func,
  optFunc: func,
  lr: fields.lr,
  splitter: func,
  cbs: callbacks,
  metrics: z
    .custom(value => [value].flat().every(isMetric), { error: 'functions, metrics or classes of metrics' })
    .optional(),
  path: text,
  modelDir: text,
  wd: weightDecay,
  wdBnBias: fields.flag,
  trainBn: fields.flag,
  moms: fields.moms,
  defaultCbs: fields.flag,
  channelsLast: fields.flag,
})

export const fitSchema = z.strictObject({
  lr: fields.lr,
  wd: weightDecay,
  cbs: callbacks,
  resetOpt: fields.flag,
  startEpoch: fields.epochs,
  signal: z.custom<AbortSignal>(isAbortSignal, { error: 'an AbortSignal' }).optional(),
})

/** What a field of a schema may be, for {@link guard}. */
export function kindOf(field: z.ZodType): Kind {
  const what = field.safeParse(Symbol('nothing that fits')).error?.issues[0].message
  return [what ?? 'another value', value => value !== undefined && field.safeParse(value).success]
}

/** Complains of anything but a number of epochs. */
export function checkEpochs(name: string, value: unknown): void {
  if (!(typeof value === 'number' && Number.isInteger(value) && value >= 0))
    throw invalidArgument(name, 'a whole number of at least 0', value)
}
