import { invalidArgument } from '../../check/index.js'
import { BatchTransform } from '../../data/index.js'
import { type ChannelArithmetic, channelwise, Tensor, tensor } from '../../tensor/index.js'

/** Means and standard deviations of the channels, of pixels in 0 to 1. */
export type ChannelStats = readonly [mean: readonly number[], std: readonly number[]]

/** Of ImageNet's pictures: what models trained on it expect. */
export const imagenetStats: ChannelStats = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
]

/** Of the MNIST digits, the same for each of three channels. */
export const mnistStats: ChannelStats = [
  [0.1307, 0.1307, 0.1307],
  [0.3081, 0.3081, 0.3081],
]

const TO_FLOAT = { divisor: 255 }

/** Bytes to float32 in 0 to 1. `ImageDataLoaders` put it first by themselves. */
export class IntToFloatTensor extends BatchTransform {
  override readonly order = 10

  /** A subclass that encodes in another way is something else. */
  override get arithmetic(): ChannelArithmetic | null {
    return this.encodes === IntToFloatTensor.prototype.encodes ? TO_FLOAT : null
  }

  override encodes(x: Tensor): Tensor {
    return channelwise(x, TO_FLOAT)
  }
}

/**
 * `(x - mean) / std` for each channel of `(N, C, H, W)`.
 *
 * @example ImageDataLoaders.fromFolder(path, { batchTfms: [Normalize.fromStats(imagenetStats)] })
 */
export class Normalize extends BatchTransform {
  override readonly order = 99
  readonly mean: readonly number[]
  readonly std: readonly number[]
  // one pair a device, made when first needed, for as long as the transform lives
  readonly #stats = new Map<string, { mean: Tensor; std: Tensor }>()

  /**
   * @param mean,std a number for each channel
   * @throws TorchLearnerError `ERR_INVALID_ARG` when they are not as many, or a standard deviation isn't above 0
   */
  constructor(mean: readonly number[], std: readonly number[]) {
    super()
    if (!isNumbers(mean)) throw invalidArgument('mean', 'an array of numbers, one a channel,', mean)
    if (!isNumbers(std) || std.length !== mean.length || !std.every(value => value > 0)) {
      throw invalidArgument('std', `${mean.length} numbers above 0, one a channel,`, std)
    }
    this.mean = mean
    this.std = std
  }

  /** From a pair such as {@link imagenetStats}. */
  static fromStats(stats: ChannelStats): Normalize {
    if (!Array.isArray(stats) || stats.length !== 2)
      throw invalidArgument('stats', '[means, standard deviations]', stats)
    return new Normalize(stats[0], stats[1])
  }

  /** A subclass that encodes in another way is something else. */
  override get arithmetic(): ChannelArithmetic | null {
    return this.encodes === Normalize.prototype.encodes ? { mean: this.mean, std: this.std } : null
  }

  override encodes(x: Tensor, _device?: string): Tensor {
    return channelwise(x, { mean: this.mean, std: this.std })
  }

  override decodes(x: Tensor, device: string): Tensor {
    if (!(x instanceof Tensor)) throw invalidArgument('x', 'a tensor', x)
    const { mean, std } = this.#on(device)
    return x.mul(std).add_(mean)
  }

  #on(device: string): { mean: Tensor; std: Tensor } {
    const known = this.#stats.get(device)
    if (known) return known
    const shape = [1, this.mean.length, 1, 1]
    const column = (values: readonly number[]) => tensor(Float32Array.from(values), { shape, device }).keep()
    const made = { mean: column(this.mean), std: column(this.std) }
    this.#stats.set(device, made)
    return made
  }
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every(Number.isFinite)
}
