import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { asTensor, scope, Tensor } from '../tensor/index.js'
import { collate, type NumberArray, type Sample } from './collate.js'

/** What a {@link BatchSource} is told about the batch that it prepares. */
export interface LoadContext {
  /** Random numbers in [0, 1) of this batch's own: the same for a seed, however batches overlap in time. */
  readonly random: () => number
  /** A training batch: random crops are random. */
  readonly training: boolean
  /** Aborts when nobody wants the batch any more. */
  readonly signal: AbortSignal
}

/** A batch that is ready but for its tensors. They must be new ones: the loader, or whoever gets them, disposes them. */
export interface PreparedBatch {
  (): Tensor[]
  /** Frees what it holds, when the batch isn't wanted after all. */
  drop?(): void
}

/**
 * Where a {@link DataLoader} draws whole batches from. `load` runs ahead of its turn, several batches at once, while the model is
 * busy with earlier ones: it does the slow work (reading, decoding) and returns a function which makes the tensors when the batch's
 * turn has come, so that prefetched batches hold no tensors.
 */
export interface BatchSource {
  /** How many samples there are. */
  readonly length: number
  /** `load` uses random numbers in training. Default false. */
  readonly usesRandom?: boolean
  /** Its batches lie in memory of their own, not in that of stored data: CutMix then works in place. Default false. */
  readonly writable?: boolean
  /** Other items without targets, prepared alike: for predictions. Default: items are inputs as they are. */
  forItems?(items: readonly unknown[]): BatchSource
  /** Each sample's class number, where it has one, for balanced sampling. */
  classes?(): ArrayLike<number> | undefined | Promise<ArrayLike<number> | undefined>
  load(indices: Int32Array, context: LoadContext): Promise<PreparedBatch> | PreparedBatch
}

/** Samples by index: `[input, target]` each, of numbers, typed arrays, nested arrays or tensors. */
export interface Dataset {
  readonly length: number
  get(index: number): Sample | Promise<Sample>
  /** Each sample's class number, where it has one, for balanced sampling. */
  classes?(): ArrayLike<number> | undefined | Promise<ArrayLike<number> | undefined>
}

/**
 * Tensors that hold all samples, along their first dimension: inputs first, then targets.
 *
 * @example new DataLoader(new TensorDataset(x, y), { bs: 32, shuffle: true })
 */
export class TensorDataset implements BatchSource {
  readonly tensors: readonly Tensor[]
  readonly length: number
  readonly writable = true

  /**
   * @param tensors each `(N, ...)` with the same N; they are kept, not copied
   * @throws TorchLearnerError `ERR_INVALID_ARG` without tensors or when their first dimensions differ
   */
  constructor(...tensors: Tensor[]) {
    if (tensors.length === 0 || tensors.some(tensor => !(tensor instanceof Tensor))) {
      throw invalidArgument('tensors', 'one or more tensors', tensors)
    }
    const sizes = tensors.map(tensor => tensor.shape[0])
    if (sizes.some(size => size === undefined || size !== sizes[0])) {
      throw invalidArgument('tensors', 'tensors of the same first dimension', sizes)
    }
    this.tensors = tensors
    for (const tensor of tensors) tensor.keep()
    this.length = sizes[0]
  }

  /** Arrays of numbers or tensors, in the dtype of this dataset's inputs. */
  forItems(items: readonly unknown[]): TensorDataset {
    const [rows] = collate(items.map(item => [checkItem(item)]))
    return new TensorDataset(rows.to({ dtype: this.tensors[0].dtype }))
  }

  /** The last tensor's numbers, if they are whole and one a sample. */
  async classes(): Promise<ArrayLike<number> | undefined> {
    const target = this.tensors[this.tensors.length - 1]
    if (this.tensors.length < 2 || target.ndim !== 1 || target.dtype !== 'int64') return undefined
    return Int32Array.from(await target.data(), Number)
  }

  load(indices: Int32Array): () => Tensor[] {
    return () => {
      const rows = asTensor(BigInt64Array.from(indices, BigInt), { shape: [indices.length], dtype: 'int64' })
      return this.tensors.map(tensor =>
        tensor.indexSelect(0, tensor.device === 'cpu' ? rows : rows.to({ device: tensor.device })),
      )
    }
  }
}

function checkItem(item: unknown): Sample[number] {
  if (typeof item === 'number' || item instanceof Tensor || Array.isArray(item)) return item
  if (ArrayBuffer.isView(item) && 'length' in item) return item as NumberArray
  throw invalidArgument('item', 'a number, an array of numbers or a tensor', item)
}

/** Samples one by one, put together to batches. */
export class SampleSource implements BatchSource {
  readonly writable = true
  readonly #dataset: Dataset

  constructor(dataset: Dataset) {
    this.#dataset = dataset
  }

  get length(): number {
    return this.#dataset.length
  }

  classes(): ReturnType<NonNullable<Dataset['classes']>> {
    return this.#dataset.classes?.()
  }

  async load(indices: Int32Array): Promise<PreparedBatch> {
    // what the dataset makes for the samples is freed as soon as the batch holds it
    const batch = await scope(async () => collate(await Promise.all(Array.from(indices, index => this.#sample(index)))))
    const drop = () => {
      for (const tensor of batch) tensor.dispose()
    }
    return Object.assign(() => batch, { drop })
  }

  async #sample(index: number): Promise<Sample> {
    const sample: unknown = await this.#dataset.get(index)
    if (Array.isArray(sample) && sample.length > 0) return sample
    throw new TorchLearnerError(
      'ERR_INVALID_ARG',
      `${invalidArgument(`sample ${index}`, 'an array [input, target]', sample).message}`,
    )
  }
}

/** The last values of all samples, if they are whole numbers behind others. */
function lastNumbers(samples: readonly Sample[]): number[] | undefined {
  const last = samples.map(sample => (sample.length > 1 ? sample[sample.length - 1] : undefined))
  return last.every(value => typeof value === 'number' && Number.isInteger(value)) ? last.map(Number) : undefined
}

/** A dataset in any of its forms as a source of batches. */
export function toSource(dataset: BatchSource | Dataset | readonly Sample[]): BatchSource {
  if (Array.isArray(dataset)) {
    return new SampleSource({
      length: dataset.length,
      get: index => dataset[index],
      classes: () => lastNumbers(dataset),
    })
  }
  if (typeof dataset === 'object' && dataset !== null && 'length' in dataset) {
    if ('load' in dataset) return dataset
    if ('get' in dataset) return new SampleSource(dataset)
  }
  throw invalidArgument('dataset', 'a dataset: an array of samples, or an object with length and get(index)', dataset)
}
