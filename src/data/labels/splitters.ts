import { basename, dirname } from 'node:path'
import { checkArguments, checkValue, integer, invalidArgument, probability, strictObject } from '../../check/index.js'
import { each, inSteps } from '../../files/index.js'
import { hostRandom } from '../../tensor/index.js'
import { Mt19937 } from '../loader/random.js'

/** Divides items, by their indices, into a training and a validation part. */
export type ItemSplitter<T> = (items: readonly T[]) => readonly [train: ArrayLike<number>, valid: ArrayLike<number>]

type IndexSplit<T> = (items: readonly T[]) => [train: Int32Array, valid: Int32Array]

const schema = strictObject({ seed: integer.optional() })

/**
 * A random part for validation. With a seed the division is PyTorch's for that seed, and fastai's when the items come in the same
 * order; libtorch's own generator is left alone.
 *
 * @param validPct the share for validation, in [0, 1]; default 0.2, rounded down to whole items
 * @param options `seed`: the same division every time. Without it libtorch's generator decides (see `manualSeed`)
 * @throws TorchLearnerError `ERR_INVALID_ARG` for a share outside [0, 1]
 * @example const [train, valid] = RandomSplitter(0.2, { seed: 42 })(files)
 */
export function RandomSplitter(validPct = 0.2, options: { seed?: number } = {}): IndexSplit<unknown> {
  checkValue(probability, validPct, 'validPct')
  const { seed } = checkArguments(schema, options, 'RandomSplitter')
  return inSteps(function* (items) {
    checkList(items)
    const { length } = items
    const order = seed === undefined ? hostRandom.permutation(length) : yield* new Mt19937(seed).permuting(length)
    const cut = Math.trunc(validPct * length)
    return [order.slice(cut), order.slice(0, cut)]
  })
}

/**
 * By the folder above the class folder: `train/cat/1.png` is for training, `valid/cat/2.png` for validation, anything else for neither.
 *
 * @param train that folder's name; default `train`
 * @param valid default `valid`
 * @throws TorchLearnerError `ERR_INVALID_ARG` for what are no names and, when used, no paths
 */
export function GrandparentSplitter(train = 'train', valid = 'valid'): IndexSplit<string> {
  for (const [name, value] of Object.entries({ train, valid })) {
    if (typeof value !== 'string' || value === '') throw invalidArgument(name, "a folder's name", value)
  }
  return inSteps(function* (paths) {
    checkList(paths)
    const inTrain: number[] = []
    const inValid: number[] = []
    yield* each(paths.length, i => {
      if (typeof paths[i] !== 'string') throw invalidArgument(`paths[${i}]`, 'a path', paths[i])
      const name = basename(dirname(dirname(paths[i])))
      if (name === train) inTrain.push(i)
      if (name === valid) inValid.push(i)
    })
    return [Int32Array.from(inTrain), Int32Array.from(inValid)]
  })
}

function checkList(items: unknown): void {
  if (!Array.isArray(items)) throw invalidArgument('items', 'an array', items)
}
