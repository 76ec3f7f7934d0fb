import { tensorOperator } from '../nn/operators.js'
import { type Deferral, Tensor } from '../tensor/index.js'
import { BatchTransform } from './transform.js'

/** `(x / divisor - mean) / std` in float32, each step rounded by itself; without a divisor, or means, that step is left out. */
export interface ChannelArithmetic {
  readonly divisor?: number
  /** A number for each channel of `(N, C, H, W)`. */
  readonly mean?: readonly number[]
  /** As many, above 0. */
  readonly std?: readonly number[]
}

const normalize = tensorOperator('torch_learner::normalize')
const normalizeMixup = tensorOperator('torch_learner::normalize_mixup')

/** One pass over pictures, bytes or float32, `(N, C, H, W)`: the result lies in memory as they do. */
export function channelwise(x: Tensor, { mean = [], std = [], divisor }: ChannelArithmetic): Tensor {
  return normalize(x, mean, std, { divisor })
}

/** A batch as the loader has it, and what is still to be done to it when somebody wants to see it. */
export class PendingChannels implements Deferral {
  readonly #x: Tensor
  readonly #arithmetic: ChannelArithmetic
  readonly device: string

  /** @param x in memory of its own; taken over, and as good as disposed for others */
  constructor(x: Tensor, arithmetic: ChannelArithmetic, device: string) {
    this.#x = new Tensor(x.take(), null)
    this.#arithmetic = arithmetic
    this.device = device
  }

  make(): Tensor {
    return channelwise(this.#x, this.#arithmetic)
  }

  /** `mixup(make(), perm, lam)` bit for bit, in one pass that reads the batch as the loader has it. */
  mixed(perm: Tensor, lam: Tensor): Tensor {
    const { mean = [], std = [], divisor } = this.#arithmetic
    return normalizeMixup(this.#x, mean, std, perm, lam, { divisor })
  }

  drop(): void {
    this.#x.dispose()
  }
}

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
