import { invalidArgument, type Output, TorchLearnerError } from '../../check/index.js'
import { inTurns } from '../../files/index.js'
import { hostRandom, rng } from '../../tensor/index.js'
import type { BatchSource } from '../source/source.js'
import type { Options } from './loader-options.js'
import { type Mt19937, wholeNumbers } from './random.js'
import { balancedWeights, checkWeights, drawByWeight } from './sampling.js'

/** Which samples a pass has, and in which order. */
export class SampleOrder {
  /** A new order for every pass. */
  readonly shuffle: boolean
  readonly #dataset: BatchSource
  readonly #options: Output<typeof Options>
  #weights?: Float64Array

  /** @throws TorchLearnerError `ERR_INVALID_ARG` for options that don't go together, or with this dataset */
  constructor(dataset: BatchSource, options: Output<typeof Options>) {
    const { shuffle, weights } = options
    const weighted = weights !== undefined
    if (dataset.batched && shuffle) throw invalidArgument('shuffle', 'nothing where batches come ready', true)
    if (dataset.sequential && weighted) {
      throw invalidArgument('weights', 'nothing for samples that come in their own order', weights)
    }
    if (weighted && shuffle === false) {
      throw invalidArgument('shuffle', 'nothing or true together with weights, which draw at random,', false)
    }
    for (const name of ['numSamples', 'replacement'] as const) {
      if (weighted || options[name] === undefined) continue
      throw invalidArgument(name, 'nothing without weights', options[name])
    }
    if (weights !== undefined && weights !== 'balanced') this.#weights = checkWeights(weights, dataset.length)
    this.shuffle = shuffle ?? weighted
    this.#dataset = dataset
    this.#options = options
  }

  /** How many samples a pass has. */
  get n(): number {
    return this.#options.numSamples ?? this.#dataset.length
  }

  /** Of one pass. @param generator default: libtorch's */
  async indices(generator?: Mt19937): Promise<Int32Array> {
    const { n } = this
    if (this.#dataset.sequential) return new Int32Array(n)
    if (!this.shuffle) return wholeNumbers(n)
    const { weights, replacement = true } = this.#options
    if (weights !== undefined) {
      this.#weights ??= await inTurns(balancedWeights(await this.#classes()))
      return await drawByWeight(this.#weights, { count: n, replacement, generator })
    }
    if (generator) return await inTurns(generator.permuting(n))
    await rng.ready()
    return hostRandom.permutation(n)
  }

  async #classes(): Promise<ArrayLike<number>> {
    const classes = await this.#dataset.classes?.()
    if (classes) return classes
    throw new TorchLearnerError(
      'ERR_INVALID_ARG',
      "weights: 'balanced' needs one class number a sample as the target, which this dataset doesn't give: pass an array of weights",
    )
  }
}
