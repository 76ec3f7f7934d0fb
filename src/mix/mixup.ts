import {
  checkArguments,
  instance,
  invalidArgument,
  isDetached,
  isTyped,
  probability,
  strictObject,
} from '../check/index.js'
import { own, PendingChannels, Tensor, tensor } from '../tensor/index.js'

/** Who is mixed with whom: `(N)` sample numbers from 0 to N - 1. */
export type Partners = Tensor | Int32Array | readonly number[]
/** Weight of the samples themselves: `(N)`, `(1)`, or one number for all. */
export type MixWeights = Tensor | Float32Array | readonly number[] | number

const mixupOperator = own.mixup

/** @internal Where to write, as a field of a schema. */
export const outField = instance<Tensor>(Tensor, 'a tensor').optional()
const schema = strictObject({ out: outField })

const isSampleNumber = (value: unknown) => Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 31

/** {@link Partners} as the native operators take them. */
export function partnersTensor(perm: Partners): Tensor {
  if (perm instanceof Tensor) return perm
  if (isTyped(perm, 'Int32Array')) return tensor(perm)
  if (!Array.isArray(perm) || perm.length > 2 ** 24 || !perm.every(isSampleNumber)) {
    throw invalidArgument('perm', 'a tensor, an Int32Array or an array of sample numbers', perm)
  }
  return tensor(Int32Array.from(perm))
}

/**
 * {@link Partners} for libtorch's operators, which take any number of them: there must be `n`. Of a tensor that is found out on
 * the stream, since its shape may not be there yet.
 */
export function partnersFor(n: number, perm: Partners): Tensor {
  if (perm instanceof Tensor) return perm.view([n])
  const partners = partnersTensor(perm)
  if (perm.length === n) return partners
  partners.dispose()
  throw invalidArgument('perm', `${n} sample numbers, one for each sample`, perm)
}

/** {@link MixWeights} as the native operators take them. */
export function weightsTensor(lam: MixWeights): Tensor {
  if (lam instanceof Tensor) return lam
  const values = typeof lam === 'number' ? [lam] : lam
  if (isTyped(values, 'Float32Array') ? isDetached(values) : !Array.isArray(values)) {
    throw invalidArgument('lam', 'a tensor, a Float32Array, an array of numbers or a number', lam)
  }
  const wrong = values.findIndex(value => !probability.takes(value))
  if (wrong >= 0) throw invalidArgument('lam', 'weights from 0 to 1', values[wrong])
  return tensor(Float32Array.from(values))
}

/**
 * Mixes every sample of a batch with another one: `out[i] = lam[i] * x[i] + (1 - lam[i]) * x[perm[i]]`
 * (Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization").
 *
 * One native pass, with the rounding of `torch.lerp(x[perm], x, lam)`. `x` stays as it is, and the result lies in
 * memory as `x` does (`channels_last` included). Differentiable. Mix soft targets with the same call; for hard ones
 * take {@link partnersOf} and {@link mixedLoss}.
 *
 * @param x `(N, ...)` of one to any number of dimensions, float32, float64, float16 or bfloat16 (computed in float32).
 * Integer pictures have to be converted first: what mixing them means depends on their scale
 * @param perm `(N)` partner of each sample
 * @param lam `(N)` or one weight for all, 0 to 1: the share of the sample itself
 * @param options `out`: write there instead of into a new tensor; of `x`'s shape and dtype, in memory of its own
 * @throws TorchLearnerError for arguments that don't fit: at once, or (shapes, dtypes) when the result is read
 * @example
 * const mixed = mixup(x, [2, 0, 1], [0.9, 0.6, 0.75])
 */
export function mixup(x: Tensor, perm: Partners, lam: MixWeights, options: { out?: Tensor } = {}): Tensor {
  if (!(x instanceof Tensor)) throw invalidArgument('x', 'a tensor', x)
  const { out } = checkArguments(schema, options, 'mixup')
  if (out === undefined) {
    const { deferral } = x // a loader's batch that nobody has used yet is normalised and mixed in one pass
    if (deferral instanceof PendingChannels) return deferral.mixed(partnersTensor(perm), weightsTensor(lam))
    return mixupOperator(x, partnersTensor(perm), weightsTensor(lam))
  }
  return mixupOperator(x, partnersTensor(perm), weightsTensor(lam), { out })
}

/**
 * The partners' rows, `y[perm]`: the second targets of a batch whose targets are class numbers.
 *
 * @param y `(N, ...)` of any dtype
 * @param perm `(N)` as for {@link mixup}
 */
export function partnersOf(y: Tensor, perm: Partners): Tensor {
  if (!(y instanceof Tensor)) throw invalidArgument('y', 'a tensor', y)
  return y.indexSelect(0, partnersTensor(perm))
}
