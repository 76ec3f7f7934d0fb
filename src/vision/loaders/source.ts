import { invalidArgument, isTyped, TorchLearnerError } from '../../check/index.js'
import type {
  BatchPass,
  BatchSource,
  Label,
  LoadContext,
  PreparedBatch,
  TargetEncoder,
  Targets,
} from '../../data/index.js'
import { native, type PictureRequest } from '../../native/index.js'
import { asTensor, ownTensor, Tensor } from '../../tensor/index.js'
import { type BadFiles, type Decode, PassReader, type Row } from '../decode/bad-files.js'
import { decodeInto, type RgbPicture } from '../decode/decode.js'
import { drawCount, ItemTransform, type PicturePlan, planOf, sizeOf } from '../transforms/item-transform.js'

export interface ImageSourceOptions {
  /** Paths. */
  readonly files: readonly string[]
  /** What they show, where that is known. */
  readonly targets?: Targets
  /** How labels of other pictures become targets, and what a picture's label is by its path. */
  readonly encode?: TargetEncoder['encode']
  readonly label?: (file: string) => Label
  /** What becomes of each picture. */
  readonly plan: PicturePlan
  /** How many pictures of a batch are decoded at the same time. */
  readonly workers: number
  /** Bad files are left out, and noted here. Default: they are errors. */
  readonly badFiles?: BadFiles
}

/** The memory of a batch: a tensor, or JavaScript's where transforms written in JavaScript work on it. */
type Pixels = Tensor | Uint8Array

/**
 * Batches of pictures, uint8 `(N, 3, H, W)` in channels_last order, and targets; of pictures alone where those aren't known.
 *
 * The decoder writes straight into the tensor, whose memory comes warm from the batches before.
 */
export class ImageSource implements BatchSource {
  readonly writable = true
  readonly files: readonly string[]
  readonly targets?: Targets
  readonly plan: PicturePlan
  readonly #options: ImageSourceOptions
  readonly #workers: number
  readonly #badFiles?: BadFiles

  constructor(options: ImageSourceOptions) {
    const { files, targets, plan, workers, badFiles } = options
    this.#options = options
    this.#badFiles = badFiles
    this.files = files
    this.targets = targets
    this.plan = plan
    this.#workers = workers
  }

  get length(): number {
    return this.files.length
  }

  get width(): number {
    return this.targets ? 2 : 1
  }

  get usesRandom(): boolean {
    return drawCount(this.plan.train) > 0 || this.plan.encoders.length > 0
  }

  /** Where files are left out, those of a batch depend on how many were before. */
  get inTurn(): boolean {
    return this.#badFiles !== undefined
  }

  classes(): ArrayLike<number> | undefined {
    return this.targets?.classes
  }

  /** Other pictures, prepared in the same way. */
  forItems(items: readonly unknown[], withLabels: boolean | readonly Label[] = false): ImageSource {
    const files = items.map(item => {
      if (typeof item === 'string') return item
      throw invalidArgument('item', "a picture's path", item)
    })
    const labels = withLabels === true ? files.map(file => this.#labelOf(file)) : withLabels
    const targets = labels === false ? undefined : this.#options.encode?.(labels, i => files[i])
    return new ImageSource({ ...this.#options, files, targets, badFiles: undefined })
  }

  /** The same pictures prepared otherwise; without a transform that sets the size they keep theirs. */
  withItemTfms(itemTfms: readonly unknown[]): ImageSource {
    const transforms = itemTfms.filter(transform => transform instanceof ItemTransform)
    if (transforms.length < itemTfms.length) throw invalidArgument('itemTfms', 'transforms such as Resize', itemTfms)
    const { plan } = this
    return new ImageSource({ ...this.#options, plan: planOf(transforms, plan.valid, sizeOf(plan.valid)) })
  }

  #labelOf(file: string): Label {
    if (this.#options.label) return this.#options.label(file)
    throw new TorchLearnerError(
      'ERR_STATE',
      'withLabels: the labels of these data came from a list or table, not from paths: pass an array of labels instead of true',
    )
  }

  async load(indices: Int32Array, context: LoadContext): Promise<PreparedBatch> {
    return await this.#prepare(indices.length, context, async decode => {
      const rows = Array.from(indices, (index, slot) => ({ index, slot }))
      await decode(rows)
      return rows
    })
  }

  /** With bad files to be left out a pass has a state: how far it has come in its order. */
  open(): BatchPass | undefined {
    const bad = this.#badFiles
    if (bad === undefined) return undefined
    let reader: PassReader | undefined
    return {
      load: async (indices, context) => {
        const { length } = indices
        reader ??= new PassReader(this.files, context.order, context.full, bad)
        const turn = reader
        const batch = await this.#prepare(length, context, decode => turn.fill(length, decode))
        if (batch.size > 0) return batch
        batch.drop()
        return undefined
      },
      close: async () => bad.warn(),
    }
  }

  async #prepare(n: number, context: LoadContext, fill: (decode: Decode) => Promise<readonly Row[]>) {
    const { training, random, signal } = context
    const request = training ? this.plan.train : this.plan.valid
    const { width, height } = sizeOf(request)
    const draws = Float64Array.from({ length: n * drawCount(request) }, random)
    const pixels: Pixels =
      this.plan.encoders.length > 0
        ? new Uint8Array(n * height * width * 3)
        : new Tensor(native.pictureBatch(n, height, width), null)
    const free = () => {
      if (pixels instanceof Tensor) pixels.dispose()
    }
    // a decoder that is still at work holds the memory by itself
    signal.addEventListener('abort', free, { once: true })
    const forget = () => signal.removeEventListener('abort', free)
    try {
      const rows = await fill(this.#decoder(draws, pixels, request, signal))
      if (isTyped(pixels, 'Uint8Array')) await this.#encode(pixels, rows, request, context)
      const targets = this.targets?.rows(Int32Array.from(rows, ({ index }) => index))
      const pictures = picturesOf(pixels, rows, n, request)
      const make = () => {
        forget()
        return targets ? [pictures(), targets()] : [pictures()]
      }
      return Object.assign(make, { drop: free, size: rows.length })
    } catch (error) {
      free()
      throw error
    }
  }

  /** Decodes samples into their places of the batch. */
  #decoder(draws: Float64Array, pixels: Pixels, request: PictureRequest, signal: AbortSignal): Decode {
    const each = drawCount(request)
    const out = pixels instanceof Tensor ? pixels.handle : pixels
    return async (rows, onBad) => {
      const chosen = new Float64Array(rows.length * each)
      for (const [i, { slot }] of rows.entries()) {
        chosen.set(draws.subarray(slot * each, (slot + 1) * each), i * each)
      }
      const paths = rows.map(({ index }) => this.files[index])
      const slots = rows.map(({ slot }) => slot)
      await decodeInto(paths, chosen, out, slots, request, { threads: this.#workers, signal, onBad })
      return !signal.aborted
    }
  }

  async #encode(pixels: Uint8Array, rows: readonly Row[], request: PictureRequest, context: LoadContext) {
    const { width, height } = sizeOf(request)
    const bytes = width * height * 3
    for (const { slot } of rows) {
      const own = pixels.subarray(slot * bytes, (slot + 1) * bytes)
      let picture: RgbPicture = { data: own, width, height }
      for (const transform of this.plan.encoders) {
        const made = await transform.encodes?.(picture, context.random, context.training)
        picture = checkPicture(made, width, height, transform)
      }
      if (picture.data !== own) own.set(picture.data)
    }
  }
}

/** Makes the tensor `(N, 3, H, W)`: of all places, or of those that are filled, in the samples' order. */
function picturesOf(pixels: Pixels, rows: readonly Row[], n: number, request: PictureRequest): () => Tensor {
  const { width, height } = sizeOf(request)
  const inPlace = rows.length === n && rows.every(({ slot }, i) => slot === i)
  return () => {
    const whole = pixels instanceof Tensor ? pixels : asTensor(pixels, { shape: [n, height, width, 3] })
    const slots = inPlace ? undefined : ownTensor(BigInt64Array.from(rows, ({ slot }) => BigInt(slot)))
    const chosen = slots ? whole.indexSelect(0, slots) : whole
    const pictures = chosen.permute([0, 3, 1, 2])
    for (const part of new Set([whole, chosen, slots])) part?.dispose()
    return pictures
  }
}

function checkPicture(made: unknown, width: number, height: number, by: ItemTransform): RgbPicture {
  const given = (typeof made === 'object' && made !== null ? made : {}) as Partial<RgbPicture>
  const { data } = given
  if (isTyped(data, 'Uint8Array') && given.width === width && given.height === height) {
    if (data.length === width * height * 3) return { data, width, height }
  }
  const wanted = `a picture { data, width: ${width}, height: ${height} } with 3 bytes a pixel`
  throw new TorchLearnerError(
    'ERR_INVALID_ARG',
    invalidArgument(`${by.constructor.name}.encodes's result`, wanted, made).message,
  )
}
