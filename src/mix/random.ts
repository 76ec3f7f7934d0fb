import {
  between,
  checkArguments,
  checkValue,
  field,
  invalidArgument,
  isTyped,
  oneOfQuoted,
  probability,
  strictObject,
  whole,
} from '../check/index.js'
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
  /** `n` normally distributed numbers. Only FMix asks for them; without this method it takes libtorch's. */
  normal?(n: number): Float32Array
  /** Where it stands, as JSON can say it: for checkpoints ({@link Checkpoint}), which can't resume bit by bit without. */
  getState?(): unknown
  /** Goes on from what {@link getState} gave. */
  setState?(state: unknown): void
}

/** libtorch's CPU generator, seeded by `manualSeed`. */
export const defaultRandom: MixRandom = hostRandom

const alphaField = between(Number.MIN_VALUE, Number.MAX_VALUE, 'a finite number above 0')

/**
 * The parameter of Beta(alpha, alpha), checked. `1` and `1.0` are the same here, unlike in fastai.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` unless it is a finite number above 0
 */
export function checkAlpha(alpha: unknown): number {
  return checkValue(alphaField, alpha, 'alpha')
}

function isRandom(value: unknown): value is MixRandom {
  if (typeof value !== 'object' || value === null) return false
  return ['beta', 'permutation', 'integer'].every(method => typeof Reflect.get(value, method) === 'function')
}

/**
 * Which samples share a weight (and, for CutMix, a box): none (`elem`), the two of a pair, each the other's partner
 * (`pair`), or all of them (`batch`).
 */
export type MixMode = 'elem' | 'pair' | 'batch'

/** How a batch's weights and partners are drawn. */
export interface DrawOptions {
  /** See {@link MixMode}. */
  mode?: MixMode
  /** How probable it is that a sample, pair or batch (by `mode`) is mixed at all, 0 to 1. Default 1, without a draw. */
  prob?: number
  /** Default: libtorch's CPU generator. */
  random?: MixRandom
}

/** @internal A generator, as a field of a schema. */
export const randomField = field<MixRandom>('an object with the methods beta, permutation and integer', isRandom)
/** @internal Which samples share a weight, likewise. */
export const modeField = oneOfQuoted('elem', 'pair', 'batch')
/** @internal The fields of {@link DrawOptions}. */
export const drawFields = {
  mode: modeField.optional(),
  prob: probability.default(1),
  random: randomField.optional(),
}
const drawSchema = strictObject(drawFields)
const samples = whole(0, Infinity, 'a number of samples')

/** What is drawn for a batch to be mixed. */
export interface MixDraw {
  /** Weight of each sample itself, its partner has the rest: `(N)`, or `(1)` for all. */
  lam: Float32Array
  /** `(N)` number of each sample's partner. */
  perm: Int32Array
}

/** What MixUp draws for a batch. */
export type MixupDraw = MixDraw

/** @internal What every way of mixing draws first. */
export interface Shares {
  /** One number a group. */
  values: Float32Array
  /** Whether a group is mixed at all. */
  hits: boolean[]
  /** The group of each sample, or of all of them (one entry); -1: of none, it is left as it is. */
  groups: Int32Array
  perm: Int32Array
}

function checkedDraw<K extends 'Float32Array' | 'Int32Array'>(name: string, drawn: unknown, kind: K, n: number) {
  if (isTyped(drawn, kind) && drawn.length === n) return drawn
  throw invalidArgument(`random.${name}`, `${kind === 'Int32Array' ? 'an' : 'a'} ${kind} of ${n} numbers`, drawn)
}

/** Numbers of Beta(alpha, alpha); alpha = 1 gives uniform ones. */
export function drawBeta(alpha: number, n: number, random: MixRandom): Float32Array {
  return checkedDraw('beta(alpha, n)', random.beta(alpha, n), 'Float32Array', n)
}

/**
 * @internal Draws, in this order: who is mixed (with `prob` below 1), one value a group, the permutation.
 *
 * @param values draws that many
 * @param draws checked, by {@link drawFields}
 * @returns null when nobody is mixed
 */
export function drawShares(
  n: number,
  values: (count: number, random: MixRandom) => Float32Array,
  draws: Required<DrawOptions>,
): Shares | null {
  checkValue(samples, n, 'n')
  const { mode, prob, random } = draws
  const count = mode === 'batch' ? 1 : mode === 'pair' ? n >> 1 : n
  const hits = prob < 1 ? Array.from(drawBeta(1, count, random), u => u < prob) : new Array<boolean>(count).fill(true)
  if (!hits.includes(true)) return null
  const drawn = values(count, random)
  const order = checkedDraw('permutation(n)', random.permutation(n), 'Int32Array', n)
  if (mode === 'batch') return { values: drawn, hits, groups: Int32Array.of(0), perm: order }
  if (mode === 'elem') return { values: drawn, hits, groups: Int32Array.from({ length: n }, (_, i) => i), perm: order }
  return { values: drawn, hits, ...paired(order) }
}

/** Neighbours in a random order become partners; of an odd number the last one is left alone. */
function paired(order: Int32Array): { groups: Int32Array; perm: Int32Array } {
  const perm = Int32Array.from({ length: order.length }, (_, i) => i)
  const groups = new Int32Array(order.length).fill(-1)
  for (let k = 0; 2 * k + 1 < order.length; k++) {
    const [a, b] = [order[2 * k], order[2 * k + 1]]
    perm[a] = b
    perm[b] = a
    groups[a] = k
    groups[b] = k
  }
  return { groups, perm }
}

/** @internal One entry for each of the shares' `groups`: `of(group)`, or `unmixed` where nothing is mixed. */
export function spread<T>({ groups, hits }: Shares, of: (group: number) => T, unmixed: T): T[] {
  const made = hits.map((hit, group) => (hit ? of(group) : unmixed))
  return Array.from(groups, group => (group < 0 ? unmixed : made[group]))
}

/**
 * Draws weights of Beta(alpha, alpha) and partners.
 *
 * @param n number of samples
 * @param alpha above 0: near 0 hardly anything is mixed, 1 mixes evenly, large values mix half and half
 * @param options see {@link DrawOptions}; `mode` is `elem` by default
 * @returns null when, by `prob`, nothing is to be mixed
 */
export function drawMix(n: number, alpha: number, options: DrawOptions = {}): MixDraw | null {
  const { mode = 'elem', prob, random = defaultRandom } = checkArguments(drawSchema, options, 'drawMix')
  checkAlpha(alpha)
  const shares = drawShares(n, (count, source) => drawBeta(alpha, count, source), { mode, prob, random })
  if (shares === null) return null
  return { lam: Float32Array.from(spread(shares, group => shares.values[group], 1)), perm: shares.perm }
}

/**
 * Draws how MixUp mixes a batch, in fastai's order: the weights `b` of Beta(alpha, alpha), then the permutation. Weights
 * become `max(b, 1 - b)`, so that a sample always outweighs its partner and no pair is mixed twice in the same way.
 *
 * @param n number of samples
 * @param alpha above 0: near 0 hardly anything is mixed, 1 mixes evenly, large values mix half and half
 * @param random default: libtorch's CPU generator
 */
export function drawMixup(n: number, alpha: number, random: MixRandom = defaultRandom): MixupDraw {
  const draw = drawMix(n, alpha, { random })
  if (draw === null) return { lam: new Float32Array(), perm: new Int32Array() } // of a batch of none
  return { lam: foldWeights(draw.lam), perm: draw.perm }
}

/** `max(b, 1 - b)`. */
export function foldWeights(weights: Float32Array): Float32Array {
  return weights.map(b => Math.max(b, 1 - b))
}
