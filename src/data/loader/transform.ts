import type { ChannelArithmetic, Generator, Tensor } from '../../tensor/index.js'

/** Which loaders a transform works on: 0 training only, 1 validation only. */
export type SplitIdx = 0 | 1

/**
 * Something done to the inputs of every batch, as queued native operators. Make your own by extending it; `encodes` must return a
 * new tensor or the one that it was given, and leave the given one unchanged.
 */
export abstract class BatchTransform {
  /** Transforms run from the lowest order to the highest: 10 to float, 30 affine, 40 lighting, 99 normalise. */
  readonly order: number = 0
  /** Default: on both training and validation batches. */
  readonly splitIdx?: SplitIdx

  /**
   * What the model is to see of an input, `(N, C, H, W)` for pictures.
   *
   * @param x asking for its shape, dtype or device would wait until everything before it has been computed
   * @param device where it is
   * @param training the batch is for training: what is random is random
   * @param generator where random numbers come from, when the loader has a `seed`: this batch's own. Default: libtorch's
   */
  abstract encodes(x: Tensor, device: string, training: boolean, generator?: Generator): Tensor

  /**
   * What `encodes` does, where that is nothing but arithmetic by channel: neighbouring transforms, and mixing, then share one pass
   * over the memory, and `encodes` isn't called. Default null: it is something else.
   */
  get arithmetic(): ChannelArithmetic | null {
    return null
  }

  /** The way back, for showing. Default: nothing to undo. */
  decodes(x: Tensor, _device: string): Tensor {
    return x
  }
}

/** Transforms in their order of execution, only those that work on this split. */
export function pipeline(transforms: readonly BatchTransform[], splitIdx: SplitIdx): BatchTransform[] {
  return transforms
    .filter(transform => transform.splitIdx === undefined || transform.splitIdx === splitIdx)
    .sort((a, b) => a.order - b.order)
}
