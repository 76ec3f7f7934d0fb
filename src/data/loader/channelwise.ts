import { type ChannelArithmetic, channelwise, PendingChannels, Tensor } from '../../tensor/index.js'
import { BatchTransform } from './transform.js'

/** Several transforms that are nothing but arithmetic, as one. */
class Channelwise extends BatchTransform {
  readonly #arithmetic: ChannelArithmetic

  constructor(arithmetic: ChannelArithmetic) {
    super()
    this.#arithmetic = arithmetic
  }

  override get arithmetic(): ChannelArithmetic {
    return this.#arithmetic
  }

  override encodes(x: Tensor): Tensor {
    return channelwise(x, this.#arithmetic)
  }
}

/** What a loader does for `transforms`, in their order: a division by one number goes together with the normalisation after it. */
export function fuse(transforms: readonly BatchTransform[]): BatchTransform[] {
  const steps: BatchTransform[] = []
  for (const transform of transforms) {
    const before = steps.at(-1)?.arithmetic
    const { arithmetic } = transform
    if (before && !before.mean && arithmetic && arithmetic.divisor === undefined) {
      steps[steps.length - 1] = new Channelwise({ ...before, ...arithmetic })
    } else {
      steps.push(transform)
    }
  }
  return steps
}

/**
 * The batch after `steps`, in a tensor that is computed when it is first used where arithmetic by channel is all there is to do:
 * `mixup` can then do that on its way.
 *
 * @param x in memory of its own; taken over unless the result is null
 */
export function deferred(x: Tensor, steps: readonly BatchTransform[], device: string): Tensor | null {
  const arithmetic = steps.length === 1 ? steps[0].arithmetic : null
  return arithmetic && Tensor.deferred(new PendingChannels(x, arithmetic, device))
}
