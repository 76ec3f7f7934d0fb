import { own } from './ops.js'
import { type Deferral, Tensor } from './tensor.js'

/** `(x / divisor - mean) / std` in float32, each step rounded by itself; without a divisor, or means, that step is left out. */
export interface ChannelArithmetic {
  readonly divisor?: number
  /** A number for each channel of `(N, C, H, W)`. */
  readonly mean?: readonly number[]
  /** As many, above 0. */
  readonly std?: readonly number[]
}

const { normalize, normalizeMixup } = own

/** @internal One pass over pictures, bytes or float32, `(N, C, H, W)`: the result lies in memory as they do. */
export function channelwise(x: Tensor, { mean = [], std = [], divisor }: ChannelArithmetic): Tensor {
  return normalize(x, mean, std, { divisor })
}

/** @internal A batch as the loader has it, and what is still to be done to it when someone wants to see it. */
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
