import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { aten, hostRandom, rng, scope, tensor } from '../tensor/index.js'
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
export function balancedWeights(classes: ArrayLike<number>): Float64Array {
  const counts = new Map<number, number>()
  for (const one of Array.from(classes)) counts.set(one, (counts.get(one) ?? 0) + 1)
  return Float64Array.from(classes, one => 1 / (counts.get(one) ?? 1))
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
  if (generator) return replacement ? withReplacement(weights, count, generator) : race(weights, count, generator)
  await rng.ready()
  if (weights.length > MOST_CATEGORIES) {
    return await drawByWeight(weights, { ...drawing, generator: new Mt19937(hostRandom.integer(2 ** 31)) })
  }
  return await scope(async () => {
    const drawn = aten.multinomial(tensor(weights), count, replacement)
    return Int32Array.from(await drawn.data(), Number)
  })
}

/** As libtorch's CPU kernel does it: a uniform number looked up among the cumulated shares. */
function withReplacement(weights: Float64Array, count: number, generator: Mt19937): Int32Array {
  const reached = new Float64Array(weights.length)
  let sum = 0
  for (const [i, weight] of weights.entries()) {
    sum += weight
    reached[i] = sum
  }
  for (const i of reached.keys()) reached[i] /= sum
  reached[reached.length - 1] = 1
  return Int32Array.from({ length: count }, () => firstFrom(reached, generator.double()))
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
function race(weights: Float64Array, count: number, generator: Mt19937): Int32Array {
  const times = Float64Array.from(weights, weight => -Math.log1p(-generator.double()) / weight)
  const order = Int32Array.from(weights, (_, i) => i).filter(i => weights[i] > 0)
  return order.sort((a, b) => times[a] - times[b]).subarray(0, count)
}
