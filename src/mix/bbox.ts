import {
  anything,
  checkArguments,
  checkValue,
  field,
  invalidArgument,
  probability,
  strictObject,
  whole,
} from '../check/index.js'
import { defaultRandom, type MixRandom, randomField } from './random.js'

/** Left, top, right and bottom of a box; right and bottom are the first pixels outside. */
export type Box = [x1: number, y1: number, x2: number, y2: number]

/** @internal Nothing is pasted. */
export const NO_BOX: Box = [0, 0, 0, 0]

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

const widths = whole(1, Infinity, 'a width in pixels')
const heights = whole(1, Infinity, 'a height in pixels')
// what they may be depends on the picture
const side = anything.optional()
const schema = strictObject({ cx: side, cy: side, random: randomField.optional() })

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

function checkCentre(name: string, value: unknown, size: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < size) return value
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
  checkValue(widths, W, 'W')
  checkValue(heights, H, 'H')
  checkValue(probability, lam, 'lam')
  const { random = defaultRandom, ...centre } = checkArguments(schema, options, 'randBbox')
  const cx = checkCentre('cx', centre.cx ?? random.integer(W), W)
  const cy = checkCentre('cy', centre.cy ?? random.integer(H), H)
  const halfWidth = Math.floor(cut(W, lam) / 2)
  const halfHeight = Math.floor(cut(H, lam) / 2)
  return [clamp(cx - halfWidth, W), clamp(cy - halfHeight, H), clamp(cx + halfWidth, W), clamp(cy + halfHeight, H)]
}

/** {@link randBbox} by its sides: shortest and longest as shares of the picture's, 0 to 1. */
export type MinMax = readonly [min: number, max: number]

function isMinMax(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length === 2 && value.every(one => probability.takes(one)) && value[0] <= value[1]
  )
}

/** @internal Two shares in order, as a field of a schema. */
export const minMaxField = field<MinMax>('two numbers from 0 to 1, the smaller one first,', isMinMax)

/** An integer from `from` to `to`, both possible. */
function between(from: number, to: number, random: MixRandom): number {
  return from + random.integer(to - from + 1)
}

/**
 * A random box that lies in the picture as a whole: its height and width are between `min` and `max` of the picture's,
 * each drawn by itself, and then every position is equally likely. Draws height, width, top, left.
 *
 * @param W width in pixels
 * @param H height in pixels
 * @param minmax shares of the picture's sides, `[0.2, 0.8]`; the box gets whole pixels, rounded down
 */
export function randBboxMinMax(W: number, H: number, minmax: MinMax, random: MixRandom = defaultRandom): Box {
  const [min, max] = checkValue(minMaxField, minmax, 'minmax')
  checkValue(widths, W, 'W')
  checkValue(heights, H, 'H')
  checkValue(randomField, random, 'random')
  const height = between(Math.floor(H * min), Math.floor(H * max), random)
  const width = between(Math.floor(W * min), Math.floor(W * max), random)
  return randomlyPlaced(W, H, width, height, random)
}

/** @internal A box of a given size anywhere in the picture. Draws top, then left. */
export function randomlyPlaced(W: number, H: number, width: number, height: number, random: MixRandom): Box {
  const y = random.integer(H - height + 1)
  const x = random.integer(W - width + 1)
  return [x, y, x + width, y + height]
}

/** The share of a picture that a box leaves: 1 - area / (W H), in float32 as the reference computes it. */
export function keptShare([x1, y1, x2, y2]: Box, W: number, H: number): number {
  return fround(1 - fround(((x2 - x1) * (y2 - y1)) / (W * H)))
}
