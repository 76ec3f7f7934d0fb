import { invalidArgument } from '../native/index.js'
import { hostRandom } from '../tensor/index.js'

/**
 * Where mixing gets its random numbers from. They are drawn on the host as plain numbers, so that a test, a replay or
 * another library's generator can stand in. By default libtorch's CPU generator: a seed gives the numbers Python gives.
 */
export interface MixRandom {
  /** `n` samples of Beta(alpha, alpha), each from 0 to 1. */
  beta(alpha: number, n: number): Float32Array
  /** The numbers 0..n-1 in random order. */
  permutation(n: number): Int32Array
  /** An integer from 0 to `maxExclusive` - 1. */
  integer(maxExclusive: number): number
}

/** libtorch's CPU generator, seeded by `manualSeed`. */
export const defaultRandom: MixRandom = hostRandom

/**
 * The parameter of Beta(alpha, alpha), checked. `1` and `1.0` are alike here, unlike in fastai.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` unless it is a finite number above 0
 */
export function checkAlpha(alpha: unknown): number {
  if (typeof alpha === 'number' && Number.isFinite(alpha) && alpha > 0) return alpha
  throw invalidArgument('alpha', 'a finite number above 0', alpha)
}

/** @internal A generator that somebody passed, checked. */
export function checkRandom(random: unknown): MixRandom {
  if (isRandom(random)) return random
  throw invalidArgument('random', 'an object with the methods beta, permutation and integer', random)
}

function isRandom(value: unknown): value is MixRandom {
  if (typeof value !== 'object' || value === null) return false
  return ['beta', 'permutation', 'integer'].every(method => typeof Reflect.get(value, method) === 'function')
}

/** What MixUp draws for a batch. */
export interface MixupDraw {
  /** `(N)` weight of each sample itself, 0.5 to 1; its partner has the rest. */
  lam: Float32Array
  /** `(N)` number of each sample's partner. */
  perm: Int32Array
}

/**
 * Draws how a batch is mixed, in fastai's order: the weights `b` of Beta(alpha, alpha), then the permutation. Weights
 * become `max(b, 1 - b)`, so that a sample always outweighs its partner and no pair is mixed twice alike.
 *
 * @param n number of samples
 * @param alpha above 0: near 0 hardly anything is mixed, 1 mixes evenly, large values mix half and half
 * @param random default: libtorch's CPU generator
 */
export function drawMixup(n: number, alpha: number, random: MixRandom = defaultRandom): MixupDraw {
  if (!Number.isSafeInteger(n) || n < 0) throw invalidArgument('n', 'a number of samples', n)
  checkRandom(random)
  const lam = random.beta(checkAlpha(alpha), n)
  if (!(lam instanceof Float32Array) || lam.length !== n) {
    throw invalidArgument('random.beta(alpha, n)', `a Float32Array of ${n} numbers`, lam)
  }
  const perm = random.permutation(n)
  if (!(perm instanceof Int32Array) || perm.length !== n) {
    throw invalidArgument('random.permutation(n)', `an Int32Array of ${n} numbers`, perm)
  }
  return { lam: lam.map(b => Math.max(b, 1 - b)), perm }
}
