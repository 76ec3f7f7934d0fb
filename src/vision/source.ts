import type { BatchSource, Label, LoadContext, PreparedBatch, TargetEncoder, Targets } from '../data/index.js'
import { invalidArgument, type PictureRequest, TorchLearnerError } from '../native/index.js'
import { asTensor } from '../tensor/index.js'
import { decodeInto } from './decode.js'

/** Fewer pictures than this aren't worth a work item of their own. */
const SMALLEST_CHUNK = 8

export interface ImageSourceOptions {
  /** Paths. */
  readonly files: readonly string[]
  /** What they show, where that is known. */
  readonly targets?: Targets
  /** How labels of other pictures become targets, and what a picture's label is by its path. */
  readonly encode?: TargetEncoder['encode']
  readonly label?: (file: string) => Label
  /** What becomes of each picture. */
  readonly request: PictureRequest
  /** Into how many pieces a batch is cut, to be decoded at the same time. */
  readonly workers: number
  /** Bad files are left out, and named here with what is wrong with them. Default: they are errors. */
  readonly badFiles?: Map<string, string>
}

/**
 * Batches of pictures, uint8 `(N, 3, H, W)` in channels_last order, and targets; of pictures alone where those aren't known.
 *
 * The decoder writes into one buffer, which becomes the tensor without a copy.
 */
export class ImageSource implements BatchSource {
  readonly writable = true
  readonly files: readonly string[]
  readonly targets?: Targets
  readonly request: PictureRequest
  readonly #options: ImageSourceOptions
  readonly #workers: number
  readonly #badFiles?: Map<string, string>

  constructor(options: ImageSourceOptions) {
    const { files, targets, request, workers, badFiles } = options
    this.#options = options
    this.#badFiles = badFiles
    this.files = files
    this.targets = targets
    this.request = request
    this.#workers = workers
  }

  get length(): number {
    return this.files.length
  }

  get usesRandom(): boolean {
    return this.request.method === 'crop' || this.request.method === 'pad'
  }

  classes(): ArrayLike<number> | undefined {
    return this.targets?.classes
  }

  /** Other pictures, prepared alike. */
  forItems(items: readonly unknown[], withLabels: boolean | readonly Label[] = false): ImageSource {
    const files = items.map(item => {
      if (typeof item === 'string') return item
      throw invalidArgument('item', "a picture's path", item)
    })
    const labels = withLabels === true ? files.map(file => this.#labelOf(file)) : withLabels
    const targets = labels === false ? undefined : this.#options.encode?.(labels, i => files[i])
    return new ImageSource({ ...this.#options, files, targets, badFiles: undefined })
  }

  #labelOf(file: string): Label {
    if (this.#options.label) return this.#options.label(file)
    throw new TorchLearnerError(
      'ERR_STATE',
      'withLabels: the labels of these data came from a list or table, not from paths: pass an array of labels instead of true',
    )
  }

  async load(indices: Int32Array, { random, training, signal }: LoadContext): Promise<PreparedBatch> {
    const { width, height } = this.request
    const n = indices.length
    const pixels = new Uint8Array(n * height * width * 3)
    const places = new Float64Array(2 * n).fill(0.5)
    if (training && this.usesRandom) for (let i = 0; i < places.length; i++) places[i] = random()
    const bad = await this.#decode(indices, places, pixels, signal)
    const kept = bad.size === 0 ? indices : this.#leaveOut(bad, indices, pixels)
    const shown = pixels.subarray(0, kept.length * height * width * 3)
    const pictures = () => asTensor(shown, { shape: [kept.length, height, width, 3] }).permute([0, 3, 1, 2])
    const targets = this.targets?.rows(kept)
    return () => (targets ? [pictures(), targets()] : [pictures()])
  }

  /** Moves the good pictures together. */
  #leaveOut(bad: ReadonlySet<number>, indices: Int32Array, pixels: Uint8Array): Int32Array {
    const bytes = this.request.height * this.request.width * 3
    let next = 0
    for (let i = 0; i < indices.length; i++) {
      if (bad.has(i)) continue
      if (next < i) pixels.copyWithin(next * bytes, i * bytes, (i + 1) * bytes)
      next++
    }
    if (next > 0) return indices.filter((_, i) => !bad.has(i))
    const first = this.files[indices[0]]
    const message = `None of the ${indices.length} pictures of a batch can be read, the first: ${this.#badFiles?.get(first)}`
    throw new TorchLearnerError('ERR_NO_DATA', message)
  }

  /** Told once a file. */
  #note(path: string, { message }: TorchLearnerError): void {
    if (!this.#badFiles?.has(path)) process.emitWarning(`${message}. It is skipped`, 'TorchLearnerWarning')
    this.#badFiles?.set(path, message)
  }

  async #decode(
    indices: Int32Array,
    places: Float64Array,
    pixels: Uint8Array,
    signal: AbortSignal,
  ): Promise<Set<number>> {
    const bad = new Set<number>()
    const n = indices.length
    const chunk = Math.max(SMALLEST_CHUNK, Math.ceil(n / this.#workers))
    const bytes = this.request.height * this.request.width * 3
    const starts = Array.from({ length: Math.ceil(n / chunk) }, (_, i) => i * chunk)
    await Promise.all(
      starts.map(async start => {
        if (signal.aborted) return
        const paths = Array.from(indices.subarray(start, start + chunk), index => this.files[index])
        await decodeInto(
          paths,
          places.slice(2 * start, 2 * (start + paths.length)),
          pixels,
          start * bytes,
          this.request,
          this.#badFiles &&
            ((index, error) => {
              bad.add(start + index)
              this.#note(paths[index], error)
            }),
        )
      }),
    )
    return bad
  }
}
