import { invalidArgument } from '../../check/index.js'
import { inTurns } from '../../files/index.js'
import { isFloat, ownTensor, scope, Tensor } from '../../tensor/index.js'
import type { Label } from '../labels/blocks.js'
import { Collator, columnsOf, type Sample, type Value } from '../loader/collate.js'
import { wholeOf } from '../loader/sampling.js'
import { isNumberArray, type ShapedArray } from './values.js'

/** What a {@link BatchSource} is told about the batch that it prepares. */
export interface LoadContext {
  /** Random numbers in [0, 1) of this batch's own: the same for a seed, however batches overlap in time. */
  readonly random: () => number
  /** A training batch: random crops are random. */
  readonly training: boolean
  /** Aborts when nobody wants the batch any more. */
  readonly signal: AbortSignal
  /** All samples of the pass in their order; the batch's are a part of it. */
  readonly order: Int32Array
  /** Every batch of the pass must have its size: what would make a smaller last one isn't used. */
  readonly full: boolean
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
  /** How many tensors a batch has, inputs and targets, where that is known beforehand. */
  readonly width?: number
  /** `load` uses random numbers in training. Default false. */
  readonly usesRandom?: boolean
  /** Its batches lie in memory of their own, not in that of stored data: CutMix then works in place. Default false. */
  readonly writable?: boolean
  /**
   * Other items, prepared in the same way: for predictions. Default: items are inputs as they are.
   *
   * @param withLabels with targets too: `true` for those that the items have or that can be found out, else one label an item
   */
  forItems?(items: readonly unknown[], withLabels?: boolean | readonly Label[]): BatchSource
  /**
   * The same items, prepared by other transforms of single items: for `tta`.
   * @throws TorchLearnerError `ERR_INVALID_ARG` for what it can't use
   */
  withItemTfms?(itemTfms: readonly unknown[]): BatchSource
  /** Each sample's class number, where it has one, for balanced sampling. */
  classes?(): ArrayLike<number> | undefined | Promise<ArrayLike<number> | undefined>
  /** Samples come in their own order, by {@link BatchSource.open}, and have no index: weights can't choose them. Default false. */
  readonly sequential?: boolean
  /** Batches of a pass can only be had one after the other, since what one holds depends on those before. Default false. */
  readonly inTurn?: boolean
  /** What counts as one sample is a batch. Default false. */
  readonly batched?: boolean
  /** Prepares the batch of these samples. */
  load(indices: Int32Array, context: LoadContext): Promise<PreparedBatch> | PreparedBatch
  /** Begins a pass whose batches are asked for in order, where a pass has a state of its own: then `load` isn't called. */
  open?(shuffle: boolean, nInp?: number): BatchPass | undefined
}

/** One pass over a {@link BatchSource}. */
export interface BatchPass {
  /** As {@link BatchSource.load}; only the number of indices counts. Nothing: there are no more samples. */
  load(indices: Int32Array, context: LoadContext): Promise<PreparedBatch | undefined>
  /** The pass is over, or nobody wants more of it. */
  close?(): Promise<void>
}

/** Samples by index: `[input, target]` or `{ x, y }` each, of numbers, typed arrays, nested arrays or tensors. */
export interface Dataset {
  /** How many samples there are. */
  readonly length: number
  /** The sample of that number, from 0. */
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
  readonly width: number
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
    this.width = tensors.length
  }

  /** Arrays of numbers or tensors, in the dtypes of this dataset; with labels `[input, target]` each, or `{ x, y }`. */
  forItems(items: readonly unknown[], withLabels: boolean | readonly Label[] = false): TensorDataset {
    const columns = new Collator().stack(samplesOf(items, withLabels))
    return new TensorDataset(
      ...columns.map((column, i) => column.to({ dtype: this.tensors[i]?.dtype ?? column.dtype })),
    )
  }

  /** The last tensor's numbers, if they are whole and one a sample. */
  async classes(): Promise<ArrayLike<number> | undefined> {
    const target = this.tensors[this.tensors.length - 1]
    if (this.tensors.length < 2 || target.ndim !== 1 || isFloat(target.dtype)) return undefined
    return await inTurns(wholeOf(await target.data()))
  }

  load(indices: Int32Array): () => Tensor[] {
    return () => {
      const rows = ownTensor(BigInt64Array.from(indices, BigInt), { shape: [indices.length], dtype: 'int64' })
      return this.tensors.map(tensor =>
        tensor.indexSelect(0, tensor.device === 'cpu' ? rows : rows.to({ device: tensor.device })),
      )
    }
  }
}

/** Items as samples: inputs alone, or with what `withLabels` says. */
export function samplesOf(items: readonly unknown[], withLabels: boolean | readonly Label[]): Sample[] {
  if (withLabels === true) return items.map((item, i) => columnsOf(item, `item ${i}`))
  const inputs = items.map(checkItem)
  return withLabels === false ? inputs.map(x => [x]) : inputs.map((x, i) => [x, withLabels[i] as Value])
}

function checkItem(item: unknown): Value {
  if (typeof item === 'number' || item instanceof Tensor || Array.isArray(item) || isNumberArray(item)) return item
  if (typeof item === 'object' && item !== null && 'shape' in item && 'data' in item) return item as ShapedArray
  throw invalidArgument('item', 'a number, an array of numbers or a tensor', item)
}

/** How many values a sample has; nothing where it is none, which is told when it is asked for. */
function widthOf(sample: Sample): number | undefined {
  if (Array.isArray(sample)) return sample.length
  return typeof sample === 'object' && sample !== null && 'x' in sample
    ? columnsOf(sample, 'sample 0').length
    : undefined
}

/** Samples one by one, put together to batches. */
export class SampleSource implements BatchSource {
  readonly writable = true
  readonly width?: number
  readonly #dataset: Dataset
  readonly #collator: Collator
  readonly #samples?: readonly Sample[]
  #surveyed?: Promise<void>

  /**
   * @param nInp how many values of a sample are inputs
   * @param samples all of them, where they are at hand: then a column has one dtype in all batches
   */
  constructor(dataset: Dataset, nInp?: number, samples?: readonly Sample[]) {
    this.#dataset = dataset
    this.#collator = new Collator(nInp)
    this.#samples = samples
    if (samples && samples.length > 0) this.width = widthOf(samples[0])
  }

  get length(): number {
    return this.#dataset.length
  }

  classes(): ReturnType<NonNullable<Dataset['classes']>> {
    return this.#dataset.classes?.()
  }

  async load(indices: Int32Array): Promise<PreparedBatch> {
    if (this.#samples) this.#surveyed ??= inTurns(this.#collator.survey(this.#samples))
    await this.#surveyed
    // what the dataset makes for the samples is freed as soon as the batch holds it
    const batch = await scope(async () =>
      this.#collator.stack(await Promise.all(Array.from(indices, index => this.#sample(index)))),
    )
    const drop = () => {
      for (const tensor of batch) tensor.dispose()
    }
    return Object.assign(() => batch, { drop })
  }

  async #sample(index: number): Promise<Sample> {
    return columnsOf(await this.#dataset.get(index), `sample ${index}`)
  }
}
