import { invalidArgument } from '../../check/index.js'
import { drawsOf, type PictureRequest, type PictureStep } from '../../native/index.js'
import type { ReadOptions, RgbPicture } from '../decode/picture.js'

/**
 * Something done to each picture by itself, before it becomes part of a batch. The package's own ({@link Resize},
 * {@link RandomResizedCrop}, {@link RandomCrop}, {@link CropPad}) are carried out by the decoder, on its threads, one on the result of
 * the other, by their `order`.
 *
 * Make your own by extending it with `encodes`: that runs on JavaScript's thread, after the decoder has done the others.
 *
 * @example
 * class Noise extends ItemTransform {
 *   encodes({ data, width, height }: RgbPicture, random: () => number) {
 *     return { data: data.map(value => value + 8 * random()), width, height }
 *   }
 * }
 */
export abstract class ItemTransform {
  /** Transforms run from the lowest order to the highest. */
  readonly order: number = 1

  /** What the decoder has to do, in training or in validation. Both must end in the same size. */
  steps(_training: boolean): readonly PictureStep[] {
    return []
  }

  /**
   * What becomes of the decoded picture: one of the same size, or the given one changed in place.
   *
   * @param picture its bytes belong to the batch: copy what is to be kept
   * @param random numbers in [0, 1), the same for the same seed
   * @param training false in validation, where nothing should be random
   */
  encodes?(picture: RgbPicture, random: () => number, training: boolean): RgbPicture | Promise<RgbPicture>
}

/** What becomes of pictures on their way into a batch. */
export interface PicturePlan {
  readonly train: PictureRequest
  readonly valid: PictureRequest
  /** Transforms with `encodes`, in order. */
  readonly encoders: readonly ItemTransform[]
}

/** All transforms together, of files read as `reading` says; `exact` is the size of all pictures where no transform brings them to one. */
export function planOf(
  transforms: readonly ItemTransform[],
  reading: ReadOptions,
  exact: { width: number; height: number },
): PicturePlan {
  const sorted = [...transforms].sort((a, b) => a.order - b.order)
  const request = (training: boolean): PictureRequest => {
    const steps = sorted.flatMap(transform => transform.steps(training))
    if (steps.length > 0) return { ...reading, steps }
    return { ...reading, steps: [{ ...exact, method: 'exact', padMode: 'zeros', random: false }] }
  }
  const plan = { train: request(true), valid: request(false), encoders: sorted.filter(({ encodes }) => encodes) }
  const [train, valid] = [sizeOf(plan.train), sizeOf(plan.valid)]
  if (train.width !== valid.width || train.height !== valid.height) {
    throw invalidArgument('itemTfms', 'transforms that end in one size in training and validation', [train, valid])
  }
  return plan
}

/** The transforms bring pictures of any size to one. */
export function bringToOneSize(transforms: readonly ItemTransform[]): boolean {
  return transforms.some(transform => transform.steps(false).length > 0)
}

/** The size of the pictures that come out. */
export function sizeOf({ steps }: PictureRequest): { width: number; height: number } {
  const { width, height } = steps[steps.length - 1]
  return { width, height }
}

/** How many random numbers each picture takes. */
export function drawCount({ steps }: PictureRequest): number {
  return steps.reduce((count, step) => count + drawsOf(step), 0)
}

/** `[height, width]` of one number for a square, or of both. */
export function sidesOf(size: unknown): [height: number, width: number] {
  const sides: unknown[] = Array.isArray(size) ? size : [size, size]
  if (sides.length === 2 && sides.every(side => Number.isInteger(side) && Number(side) > 0 && Number(side) <= 16384)) {
    return [Number(sides[0]), Number(sides[1])]
  }
  throw invalidArgument('size', 'a whole number from 1 to 16384 or [height, width]', size)
}
