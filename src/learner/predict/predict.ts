import {
  anything,
  between,
  checkOptions,
  instance,
  invalidArgument,
  list,
  strictObject,
  TorchLearnerError,
} from '../../check/index.js'
import { BatchTransform } from '../../data/index.js'
import { withReduction } from '../../mix/index.js'
import { isFloat, noGrad, scope, Tensor } from '../../tensor/index.js'
import { Learner } from '../learner.js'
import { type BatchLoader, isLoader } from '../loop/data.js'
import { fields } from '../options.js'
import { chosenLoader, type Preds, type ValidateOptions, validateSchema } from './preds.js'

/** What {@link Learner.predict} returns. */
export interface Prediction {
  /**
   * For people to read: the class's name where there is a vocab (of several labels: an array of names), else the numbers
   * of `decoded`.
   */
  label: string | string[] | number | unknown[]
  /** What the loss function's `decodes` makes of `probs`: the class's number, `()`, for cross entropy. */
  decoded: Tensor
  /** The model's output after the loss function's activation: probabilities `(C)` for cross entropy. */
  probs: Tensor
  /** The further outputs of a model that has several, after the loss function's activation; `label` is of the first. */
  otherProbs?: Tensor[]
  /** The further outputs, decoded. */
  otherDecoded?: Tensor[]
  /** With `withInput`: what the model saw, before normalisation, `(C, H, W)` for pictures. */
  input?: Tensor
}

/** Options of {@link Learner.tta}. */
export interface TtaOptions extends ValidateOptions {
  /** Passes with the transforms of training: a whole number from 1. Default 4. */
  n?: number
  /** Transforms of single items (of pictures: `Resize`...) for all passes, instead of the loader's. Default: the loader's. */
  itemTfms?: unknown
  /**
   * Transforms of batches for all passes, instead of all of the loader's: of pictures also `new IntToFloatTensor()` and
   * `Normalize`. Default: the loader's.
   */
  batchTfms?: readonly BatchTransform[]
  /**
   * The weight of the pass without them, 0 to 1; the others share the rest. Default 0.25. `null`: they aren't mixed, and
   * come apart: the mean of the others as `augmented`.
   */
  beta?: number | null
  /** Take the highest value of all passes instead of a mean. Default false. */
  useMax?: boolean
}

/** What {@link Learner.tta} returns. */
export interface TtaPreds extends Preds {
  /** With `beta: null`: the mean (with `useMax`, the highest) of the passes with transforms, where `preds` are without. */
  augmented?: Tensor
  /** The same of the further outputs. */
  otherAugmented?: Tensor[]
}

declare module '../learner.js' {
  interface Learner {
    /**
     * Predicts one item. An item is what the dataset is made of: a picture's path for `ImageDataLoaders`, an array of
     * numbers...; it is prepared like those of validation. A tensor goes to the model as it is, without a batch dimension:
     * `(C, H, W)`.
     *
     * @param options `withInput` (default false): return the input too
     * @throws TorchLearnerError `ERR_STATE` for items when `dls` can't prepare any
     * @example const { label, probs } = await learn.predict('cat.jpg')
     */
    predict(item: unknown, options?: { withInput?: boolean }): Promise<Prediction>
    /**
     * Predictions with augmentation at test time: the mean of `n` passes with the random transforms of training, and of
     * one without, weighted `1 - beta` and `beta`.
     *
     * @returns predictions (of each output, where a model has several) and targets, in the dataset's order
     * @throws TorchLearnerError `ERR_INVALID_ARG` for a loader that can't change its transforms
     * @example const { preds, targs } = await learn.tta({ n: 8 })
     */
    tta(options?: TtaOptions): Promise<TtaPreds>
    /**
     * Runs `body`, which may be async, while the loss isn't reduced: it is one value per sample. Afterwards, however
     * `body` ends, it is as it was. A loss without a property `reduction` is called with `{ reduction: 'none' }` as its
     * last argument.
     *
     * @example const losses = await learn.lossNotReduced(() => learn.lossFunc(pred, y)) // (N)
     */
    lossNotReduced<T>(body: () => T): T
  }
}

Learner.prototype.lossNotReduced = function (this: Learner, body) {
  return withReduction(this, 'none', body)
}

const predictSchema = strictObject({ withInput: fields.flag })

Learner.prototype.predict = async function (this: Learner, item, options = {}) {
  const { withInput } = checkOptions(predictSchema, options, 'predict')
  return scope(async () => {
    const dl = item instanceof Tensor ? [[item.detach().unsqueeze(0)]] : itemLoader(this, item)
    const found = await this.getPreds({ dl, withDecoded: true, withInput })
    const { preds, decoded, inputs, otherPreds, otherDecoded } = found
    const sole = (rows: Tensor): Tensor => noGrad(() => rows.select(0, 0).clone())
    const answer = sole(decoded ?? preds)
    return {
      label: await labelOf(answer, this.dls.vocab),
      decoded: answer,
      probs: sole(preds),
      ...(otherPreds && { otherProbs: otherPreds.map(sole) }),
      ...(otherDecoded && { otherDecoded: otherDecoded.map(sole) }),
      ...(inputs && { input: sole(decodedInputs(dl, inputs)) }),
    }
  })
}

function itemLoader({ dls }: Learner, item: unknown): BatchLoader {
  if (dls.testDl) return dls.testDl([item])
  throw new TorchLearnerError(
    'ERR_STATE',
    'predict: these data loaders can prepare no items (they have no testDl): pass a tensor as the model takes it',
  )
}

function decodedInputs(dl: BatchLoader, inputs: Tensor): Tensor {
  return noGrad(() => dl.decode?.([inputs])[0] ?? inputs)
}

/** Names for class numbers and for flags, the numbers themselves otherwise. */
async function labelOf(decoded: Tensor, vocab?: readonly string[]): Promise<Prediction['label']> {
  const [data, value] = [await decoded.data(), (await decoded.toArray()) as number | unknown[]]
  const whole = !isFloat(decoded.dtype)
  if (!vocab || !whole) return value
  if (typeof value === 'number') return vocab[value] ?? value
  return data.length === vocab.length ? vocab.filter((_, i) => Number(data[i]) !== 0) : value
}

const ttaSchema = validateSchema.extend({
  n: fields.count,
  beta: between(0, 1, 'a number from 0 to 1, or null').nullish(),
  itemTfms: anything.optional(), // the loader knows what it can use
  batchTfms: list(instance(BatchTransform, 'a BatchTransform'), 'an array of transforms').optional(),
  useMax: fields.flag,
})

Learner.prototype.tta = async function (this: Learner, options = {}) {
  checkOptions(ttaSchema, options, 'tta')
  const { n = 4, beta = 0.25, useMax = false, dsIdx = 1, dl, itemTfms, batchTfms, ...rest } = options
  const given = chosenLoader(this, { dsIdx, dl })
  const loader = itemTfms === undefined ? given : withItemTfms(given, [itemTfms].flat())
  if (!isLoader(loader) || !loader.new) {
    throw invalidArgument('dl', 'a DataLoader, which can apply the transforms of training,', loader)
  }
  const pass = (training: boolean): Promise<Preds> => {
    const changes = { shuffle: false, dropLast: false, training, ...(batchTfms && { batchTfms }) }
    const inOrder = loader.new?.(changes)
    return this.getPreds({ ...rest, dl: inOrder, reorder: false })
  }
  return scope(async () => {
    let augmented: Tensor[] | null = null
    for (let i = 0; i < n; i++) augmented = together(augmented, outputsOf(await pass(true)), useMax)
    const plain = await pass(false)
    const own = outputsOf(plain)
    const made = augmented ?? own
    const others = useMax ? made : made.map(sum => noGrad(() => sum.div(n)))
    if (beta === null) {
      const [mean, ...otherAugmented] = others
      return { ...plain, augmented: mean, ...(otherAugmented.length > 0 && { otherAugmented }) }
    }
    const [preds, ...otherPreds] = useMax
      ? together(others, own, true)
      : own.map((output, i) => noGrad(() => others[i].lerp(output, beta)))
    const { targs, otherTargs } = plain
    return { preds, targs, ...(otherPreds.length > 0 && { otherPreds }), ...(otherTargs && { otherTargs }) }
  })
}

function withItemTfms(loader: BatchLoader, itemTfms: readonly unknown[]): BatchLoader {
  if (loader.withItemTfms) return loader.withItemTfms(itemTfms)
  throw invalidArgument('itemTfms', 'nothing, as this loader has no transforms of single items,', itemTfms)
}

function outputsOf({ preds, otherPreds = [] }: Preds): Tensor[] {
  return [preds, ...otherPreds]
}

/** Sums, or the higher values, of the outputs of two passes. */
function together(a: readonly Tensor[] | null, b: Tensor[], useMax: boolean): Tensor[] {
  if (a === null) return b
  return b.map((output, i) => noGrad(() => (useMax ? a[i].maximum(output) : a[i].add(output))))
}
