import { flag, invalidArgument, type Shape } from '../../check/index.js'
import type { Awaitable } from '../../learner/index.js'
import { type Tensor, tensor } from '../../tensor/index.js'
import { MixHandler, type MixOptions } from './mix-handler.js'

/** Options of the callbacks that mix regions of pictures. */
export interface RegionMixOptions extends MixOptions {
  /**
   * Targets that are pictures themselves, `(N, H, W)` or `(N, K, H, W)` of the inputs' height and width (segmentation
   * masks), are mixed like the inputs, which makes their loss the plain one. Default false: as fastai does, the loss is
   * taken against both masks and weighed.
   */
  masks?: boolean
}

/** How one batch is mixed. */
export interface Region {
  /** `(N)` partner of each sample. */
  perm: Int32Array
  /** Share of each picture that stays: `(N)`, or `(1)` for all. */
  lam: Float32Array
  /** Pictures with their partners in them. `own`: they may be changed in place; `isMask`: their values can't be blended. */
  paste(pictures: Tensor, how: { own: boolean; isMask: boolean }): Tensor
}

const pictureLike = (dims: number) => dims === 4 || dims === 5

/**
 * Base of the callbacks that give a region of each picture to its partner. Of several inputs, all pictures are mixed
 * in the same way: those of 4 or 5 dimensions, which have to be of one height and width; the others stay as they are.
 */
export abstract class RegionMix extends MixHandler {
  readonly masks: boolean

  /** @param own fields that a subclass adds to the options */
  constructor(options: number | RegionMixOptions, defaultAlpha: number, own: Shape = {}) {
    super(options, defaultAlpha, { mode: 'batch', fields: { masks: flag.optional(), ...own } })
    this.masks = typeof options === 'object' && (options.masks ?? false)
  }

  /**
   * Draws how `n` pictures are mixed.
   *
   * @param alpha above 0
   * @returns null: not at all
   */
  protected abstract drawRegion(n: number, width: number, height: number, alpha: number): Awaitable<Region | null>

  override async beforeBatch(): Promise<void> {
    const { learn } = this
    const alpha = this.alphaNow()
    if (alpha === 0) return this.leaveTargets()
    await computed(learn.xb) // boxes depend on the pictures' size, and asking for it would hold up the event loop
    const { isPicture, height, width } = picturesOf(learn.xb)
    const region = await this.drawRegion(learn.bs, width, height, alpha)
    if (region === null) return this.leaveTargets()
    learn.xb = learn.xb.map(x => (isPicture(x) ? region.paste(x, { own: learn.owns(x), isMask: false }) : x))
    const masks = new Set<Tensor>()
    if (this.masks) {
      learn.yb = learn.yb.map(y => {
        if (y.ndim < 3 || y.shape.slice(-2).join() !== `${height},${width}`) return y
        const mixed = region.paste(y, { own: learn.owns(y), isMask: true })
        masks.add(mixed)
        return mixed
      })
    }
    this.mixTargets(tensor(region.perm), tensor(region.lam), y => masks.has(y))
  }
}

/** @internal Resolves when tensors have been computed, so that their shapes are known; rejects if one can't be. */
export async function computed(tensors: readonly Tensor[]): Promise<void> {
  await Promise.all(tensors.map(x => x.newEmpty([0]).data()))
}

function picturesOf(xb: readonly Tensor[]): { isPicture(x: Tensor): boolean; height: number; width: number } {
  const first = xb.find(x => pictureLike(x.ndim))
  if (!first) {
    const shapes = xb.map(x => `[${x.shape.join(', ')}]`).join(' and ')
    throw invalidArgument('the inputs', 'pictures of shape (N, C, H, W) or (N, C, D, H, W)', shapes)
  }
  const [height, width] = first.shape.slice(-2)
  const other = xb.find(x => pictureLike(x.ndim) && x.shape.slice(-2).join() !== `${height},${width}`)
  if (other) throw invalidArgument('the inputs', `pictures of one size, ${height} x ${width}`, other.shape)
  return { isPicture: x => pictureLike(x.ndim), height, width }
}
