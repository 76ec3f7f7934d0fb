import { invalidArgument } from '../native/index.js'
import { checkRandom, defaultRandom, type MixRandom } from './random.js'

/** Left, top, right and bottom of a box; right and bottom are the first pixels outside. */
export type Box = [x1: number, y1: number, x2: number, y2: number]

/** Where the centre of {@link randBbox} comes from: given, or drawn. */
export interface BboxOptions {
  /** Column of the centre, 0 to W - 1. Default: drawn. */
  cx?: number
  /** Row of the centre, 0 to H - 1. Default: drawn, after `cx`. */
  cy?: number
  /** Default: libtorch's CPU generator. */
  random?: MixRandom
}

const { fround } = Math

/** To the nearest integer, halves to the even one, as `torch.round`. */
function roundHalfEven(value: number): number {
  const below = Math.floor(value)
  const rest = value - below
  if (rest !== 0.5) return Math.round(value)
  return below % 2 === 0 ? below : below + 1
}

/** Length of a side of the box. In float32, as the reference computes it: that decides which way ties fall. */
function cut(size: number, lam: number): number {
  return roundHalfEven(fround(size * fround(Math.sqrt(fround(1 - fround(lam))))))
}

function clamp(value: number, max: number): number {
  return Math.min(Math.max(value, 0), max)
}

function checkCentre(name: string, value: number, size: number): number {
  if (Number.isSafeInteger(value) && value >= 0 && value < size) return value
  throw invalidArgument(name, `an integer from 0 to ${size - 1}`, value)
}

/**
 * A random box that covers 1 - lam of a picture, as CutMix pastes it (Yun et al. 2019): its sides are those of the
 * picture times sqrt(1 - lam), its centre is anywhere in the picture, and what sticks out is cut off. As in fastai an
 * odd side loses a pixel, and a side of one all of it.
 *
 * @param W width in pixels
 * @param H height in pixels
 * @param lam 0 to 1, the share of the picture that stays
 * @returns plain integers `[x1, y1, x2, y2]`, with 0 <= x1 <= x2 <= W and 0 <= y1 <= y2 <= H
 * @example randBbox(224, 224, 0.75, { cx: 100, cy: 60 }) // [44, 4, 156, 116]
 */
export function randBbox(W: number, H: number, lam: number, options: BboxOptions = {}): Box {
  if (!Number.isSafeInteger(W) || W < 1) throw invalidArgument('W', 'a width in pixels', W)
  if (!Number.isSafeInteger(H) || H < 1) throw invalidArgument('H', 'a height in pixels', H)
  if (!(typeof lam === 'number' && lam >= 0 && lam <= 1)) throw invalidArgument('lam', 'a number from 0 to 1', lam)
  if (typeof options !== 'object' || options === null) throw invalidArgument('options', 'an object', options)
  const random = checkRandom(options.random ?? defaultRandom)
  const cx = checkCentre('cx', options.cx ?? random.integer(W), W)
  const cy = checkCentre('cy', options.cy ?? random.integer(H), H)
  const halfWidth = Math.floor(cut(W, lam) / 2)
  const halfHeight = Math.floor(cut(H, lam) / 2)
  return [clamp(cx - halfWidth, W), clamp(cy - halfHeight, H), clamp(cx + halfWidth, W), clamp(cy + halfHeight, H)]
}
