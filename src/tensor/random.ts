import { checkValue, field, integer } from '../check/index.js'
import { native } from '../native/index.js'

const seedField = field<number | bigint>('a whole number of at most 53 bits, or a bigint of 64', seed =>
  typeof seed === 'bigint' ? seed >= 0n && seed < 2n ** 64n : Number.isSafeInteger(seed),
)

/** Seeds libtorch's generators, as `torch.manual_seed`: the same seed gives the numbers that PyTorch gives. */
export function manualSeed(seed: number | bigint): void {
  native.seed(checkValue(seedField, seed, 'seed'))
}

/** A source of random numbers of its own for operators which take one: `x.normal_(0, 1, { generator })`. */
export class Generator {
  /** @internal */
  readonly native: object

  constructor(seed = 0) {
    this.native = native.generator(checkValue(integer, seed, 'seed'))
  }
}

/**
 * Numbers drawn on the host from libtorch's CPU generator, in program order and as PyTorch draws them. A draw blocks
 * only while an operator that draws random numbers is still queued; await {@link rng.ready} before it, and it never does.
 */
export const hostRandom = {
  /** `n` samples of Beta(alpha, alpha), as `torch.distributions.Beta(alpha, alpha).sample((n,))`. */
  beta(alpha: number, n: number): Float32Array {
    return native.beta(alpha, n)
  },
  /** The numbers 0..n-1 in random order, as `torch.randperm(n)`. */
  permutation(n: number): Int32Array {
    return native.permutation(n)
  },
  /** An integer from 0 to `maxExclusive` - 1, as `torch.randint(0, maxExclusive, (1,))`. */
  integer(maxExclusive: number): number {
    return native.integer(maxExclusive)
  },
}
