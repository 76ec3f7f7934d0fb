import { invalidArgument, TorchLearnerError } from '../../check/index.js'
import { each, inTurns, type Steps, sorted } from '../../files/index.js'
import { aten, hostRandom, rng, scope, tensor } from '../../tensor/index.js'
import { Mt19937 } from './random.js'

/** The most categories that torch.multinomial takes. */
const MOST_CATEGORIES = 2 ** 24

/**
 * Weights as they are used: one a sample, finite, none below 0, and not all 0.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` for others
 */
export function checkWeights(weights: ArrayLike<number>, n: number): Float64Array {
  if (weights.length !== n) throw invalidArgument('weights', `${n} numbers, one a sample,`, Array.from(weights))
  const checked = Float64Array.from(weights)
  const wrong = checked.findIndex(weight => !(weight >= 0 && weight < Number.POSITIVE_INFINITY))
  if (wrong >= 0) throw invalidArgument(`weights[${wrong}]`, 'a finite number from 0', weights[wrong])
  if (checked.some(weight => weight > 0)) return checked
  throw invalidArgument('weights', 'at least one number above 0', Array.from(weights))
}

/** Weights by which every class is drawn equally often: one by the number of samples of its class. */
export function* balancedWeights(classes: ArrayLike<number>): Steps<Float64Array> {
  const counts = new Map<number, number>()
  yield* each(classes.length, i => counts.set(classes[i], (counts.get(classes[i]) ?? 0) + 1))
  const weights = new Float64Array(classes.length)
  yield* each(classes.length, i => {
    weights[i] = 1 / (counts.get(classes[i]) ?? 1)
  })
  return weights
}

/** Whole numbers as libtorch gives them. */
export function* wholeOf(values: ArrayLike<number | bigint>): Steps<Int32Array> {
  const numbers = new Int32Array(values.length)
  yield* each(values.length, i => {
    numbers[i] = Number(values[i])
  })
  return numbers
}

/** How samples are drawn. */
export interface Drawing {
  readonly count: number
  readonly replacement: boolean
  /** Default: libtorch's CPU generator. */
  readonly generator?: Mt19937
}

/**
 * Samples by weight: the indices that `torch.utils.data.WeightedRandomSampler` gives for the same seed.
 *
 * @throws TorchLearnerError `ERR_NO_DATA` when without replacement there are fewer weights above 0 than draws
 */
export async function drawByWeight(weights: Float64Array, drawing: Drawing): Promise<Int32Array> {
  const { count, replacement, generator } = drawing
  const possible = weights.reduce((sum, weight) => sum + (weight > 0 ? 1 : 0), 0)
  if (!replacement && possible < count) {
    throw new TorchLearnerError(
      'ERR_NO_DATA',
      `Without replacement ${count} samples can't be drawn from ${possible} whose weight is above 0: lower numSamples`,
    )
  }
  if (generator) return await inTurns((replacement ? withReplacement : race)(weights, count, generator))
  await rng.ready()
  if (weights.length > MOST_CATEGORIES) {
    return await drawByWeight(weights, { ...drawing, generator: new Mt19937(hostRandom.integer(2 ** 31)) })
  }
  return await scope(async () => {
    const drawn = aten.multinomial(tensor(weights), count, replacement)
    return await inTurns(wholeOf(await drawn.data()))
  })
}

/** As libtorch's CPU kernel does it: a uniform number looked up among the cumulated shares. */
function* withReplacement(weights: Float64Array, count: number, generator: Mt19937): Steps<Int32Array> {
  const drawn = doubles(count, generator)
  const reached = new Float64Array(weights.length)
  let sum = 0
  yield* each(weights.length, i => {
    sum += weights[i]
    reached[i] = sum
  })
  yield* each(reached.length, i => {
    reached[i] /= sum
  })
  reached[reached.length - 1] = 1
  const indices = new Int32Array(count)
  yield* each(count, i => {
    indices[i] = firstFrom(reached, drawn[i])
  })
  return indices
}

/** All at once: nobody else draws from the generator in between. */
function doubles(count: number, generator: Mt19937): Float64Array {
  const drawn = new Float64Array(count)
  for (let i = 0; i < count; i++) drawn[i] = generator.double()
  return drawn
}

/** The first index whose value isn't below `wanted`. */
function firstFrom(sorted: Float64Array, wanted: number): number {
  let [left, right] = [0, sorted.length]
  while (left < right) {
    const middle = left + Math.floor((right - left) / 2)
    if (sorted[middle] < wanted) left = middle + 1
    else right = middle
  }
  return left
}

/** Everybody waits an exponential time at the rate of their weight; the first ones are drawn. */
function* race(weights: Float64Array, count: number, generator: Mt19937): Steps<Int32Array> {
  const times = doubles(weights.length, generator)
  const possible: number[] = []
  yield* each(weights.length, i => {
    times[i] = -Math.log1p(-times[i]) / weights[i]
    if (weights[i] > 0) possible.push(i)
  })
  const order = yield* sorted(possible, (a, b) => times[a] - times[b])
  return Int32Array.from(order.slice(0, count))
}
