import {
  checkOptions,
  count,
  describe,
  flag,
  invalidArgument,
  list,
  strictObject,
  TorchLearnerError,
  text,
} from '../../check/index.js'
import { atOnce, each, inSteps, mapped, type Steps, withSteps } from '../../files/index.js'
import { BCEWithLogitsLossFlat, CrossEntropyLossFlat, type Loss, MSELossFlat } from '../../nn/index.js'
import { type Targets, targetsOfClasses, targetsOfNumbers, targetsOfSeveralClasses } from './targets.js'
import { Vocab } from './vocab.js'

/** What data say of a sample: a class, several classes, a number or several. */
export type Label = string | number | readonly string[] | readonly number[]

/** What a {@link TargetBlock} has learned from the training labels. */
export interface TargetEncoder {
  /** The classes by number. */
  readonly vocab?: readonly string[]
  /** How many outputs a model needs. */
  readonly c: number
  /** The loss that suits the targets. */
  readonly lossFunc: Loss
  /**
   * @param where names each label's sample in errors: a file, a row
   * @throws TorchLearnerError `ERR_INVALID_ARG` for labels that training has not, or of another kind
   */
  encode(labels: readonly Label[], where: (index: number) => string): Targets
}

type Where = (index: number) => string

function checkSetup(labels: unknown, where: unknown): void {
  if (!Array.isArray(labels)) throw invalidArgument('labels', 'an array of labels', labels)
  if (typeof where !== 'function') throw invalidArgument('where', "a function that names each label's sample", where)
}

/** A kind of target: how labels become tensors, how many outputs a model needs and which loss suits. */
export abstract class TargetBlock {
  /**
   * @param labels those of the training samples
   * @param where names each label's sample in errors
   */
  abstract setup(labels: readonly Label[], where: (index: number) => string): TargetEncoder
}

const names = list(text("a class's name"), 'an array of class names', 1)
  .and('an array of different class names', names => new Set(names).size === names.length)
  .optional()
const CategoryOptions = strictObject({ vocab: names })
const MultiOptions = strictObject({ vocab: names, encoded: flag.default(false) })
const RegressionOptions = strictObject({ nOut: count.optional() })

/** Options of {@link CategoryBlock}. */
export interface CategoryBlockOptions {
  /** All classes, in the order of their numbers. Default: those of the training samples, sorted. */
  vocab?: readonly string[]
}

/**
 * One class a sample: targets are class numbers, int64 `(N)`, and the loss cross entropy. Labels are strings, or numbers, which are
 * sorted as such.
 *
 * @example yBlock: new CategoryBlock({ vocab: ['small', 'medium', 'large'] })
 */
export class CategoryBlock extends TargetBlock {
  readonly vocab?: readonly string[]

  constructor(options: CategoryBlockOptions = {}) {
    super()
    this.vocab = checkOptions(CategoryOptions, options, 'CategoryBlock').vocab
  }

  override setup(labels: readonly Label[], where: Where): TargetEncoder {
    return atOnce(this.#learn(labels, where))
  }

  static {
    withSteps(CategoryBlock.prototype.setup, function (this: CategoryBlock, labels, where) {
      return this.#learn(labels, where)
    })
  }

  *#learn(labels: readonly Label[], where: Where): Steps<TargetEncoder> {
    checkSetup(labels, where)
    const names = new Set<string | number>()
    if (!this.vocab) yield* each(labels.length, i => names.add(className(labels[i], i, where)))
    const vocab = this.vocab ? new Vocab(this.vocab, { sort: false }) : vocabOf(names)
    return {
      vocab: vocab.items,
      c: vocab.length,
      lossFunc: new CrossEntropyLossFlat(),
      encode: inSteps(function* (labels, where) {
        const classes = new Int32Array(labels.length)
        yield* each(labels.length, i => {
          classes[i] = vocab.encode(String(className(labels[i], i, where)), where(i))
        })
        return targetsOfClasses(classes)
      }),
    }
  }
}

function className(label: Label, index: number, where: Where): string | number {
  if (isClassName(label)) return label
  throw invalidArgument(`the label of ${where(index)}`, "a class's name", label, hintFor(label))
}

const isClassName = (label: unknown): label is string | number =>
  (typeof label === 'string' && label !== '') || (typeof label === 'number' && Number.isFinite(label))

function hintFor(label: unknown): string | undefined {
  if (label === '') return 'Leave the sample out, or give it a class'
  return Array.isArray(label) ? 'Several labels a sample need yBlock: MultiCategoryBlock' : undefined
}

/** Numbers in their own order, names in that of code points. */
function vocabOf(names: ReadonlySet<string | number>): Vocab {
  const different = [...names]
  if (different.length > 0 && different.every(label => typeof label === 'number')) {
    return new Vocab(different.sort((a, b) => a - b).map(String), { sort: false })
  }
  return new Vocab(different.map(String))
}

/** Options of {@link MultiCategoryBlock}. */
export interface MultiCategoryBlockOptions extends CategoryBlockOptions {
  /** Labels are rows of zeros and ones already, one for each class of `vocab`, which must be given. Default false. */
  encoded?: boolean
}

/**
 * Any number of classes a sample, none too: targets are float32 `(N, C)` of zeros and ones, the loss is binary cross entropy. Labels
 * are arrays of names, or of numbers, which are sorted as such.
 *
 * @example await ImageDataLoaders.fromLists(path, files, [['cat', 'grass'], ['dog'], []], { yBlock: MultiCategoryBlock })
 */
export class MultiCategoryBlock extends TargetBlock {
  readonly vocab?: readonly string[]
  readonly encoded: boolean

  /** @throws TorchLearnerError `ERR_INVALID_ARG` for `encoded` without `vocab` */
  constructor(options: MultiCategoryBlockOptions = {}) {
    super()
    const { vocab, encoded } = checkOptions(MultiOptions, options, 'MultiCategoryBlock')
    if (encoded && !vocab) throw invalidArgument("MultiCategoryBlock's vocab", 'the names of the classes', vocab)
    this.vocab = vocab
    this.encoded = encoded
  }

  override setup(labels: readonly Label[], where: Where): TargetEncoder {
    return atOnce(this.#learn(labels, where))
  }

  static {
    withSteps(MultiCategoryBlock.prototype.setup, function (this: MultiCategoryBlock, labels, where) {
      return this.#learn(labels, where)
    })
  }

  *#learn(labels: readonly Label[], where: Where): Steps<TargetEncoder> {
    checkSetup(labels, where)
    const names = new Set<string | number>()
    const note = (i: number) => {
      for (const name of this.#classes(labels[i], i, where)) names.add(name)
    }
    if (!this.vocab) yield* each(labels.length, note)
    const vocab = this.vocab ? new Vocab(this.vocab, { sort: false }) : vocabOf(names)
    if (vocab.length === 0) {
      throw new TorchLearnerError('ERR_NO_DATA', `None of the ${labels.length} training samples has a label`)
    }
    return {
      vocab: vocab.items,
      c: vocab.length,
      lossFunc: new BCEWithLogitsLossFlat(),
      encode: inSteps((labels, where) => this.#encode(vocab, labels, where)),
    }
  }

  *#encode(vocab: Vocab, labels: readonly Label[], where: Where): Steps<Targets> {
    const numbers = (label: Label, i: number) =>
      this.#classes(label, i, where).map(name => vocab.encode(String(name), where(i)))
    return targetsOfSeveralClasses(yield* mapped(labels, numbers), vocab.length)
  }

  #classes(label: Label, index: number, where: Where): readonly (string | number)[] {
    const name = `the labels of ${where(index)}`
    if (!this.encoded) {
      if (Array.isArray(label) && label.every(isClassName)) return label
      throw invalidArgument(name, 'an array of class names', label)
    }
    const { vocab = [] } = this
    const flags = Array.isArray(label) ? label.map(flagOf) : []
    if (flags.length === vocab.length && flags.every(flag => flag === 0 || flag === 1)) {
      return vocab.filter((_, i) => flags[i] === 1)
    }
    throw invalidArgument(name, `${vocab.length} zeros and ones`, label)
  }
}

/** Tables write flags as words, too. */
function flagOf(flag: string | number): number {
  const at = typeof flag === 'string' ? ['false', 'true'].indexOf(flag.toLowerCase()) : -1
  return at === -1 ? Number(flag) : at
}

/** Options of {@link RegressionBlock}. */
export interface RegressionBlockOptions {
  /** How many numbers each sample has. Default: as many as the training samples have. */
  nOut?: number
}

/**
 * A number a sample, or several: targets are float32 `(N)` or `(N, nOut)`, the loss is the squared error. Labels are numbers or arrays
 * of numbers; strings of a table are read as numbers.
 *
 * @example await ImageDataLoaders.fromLists(path, files, [[0.3, 0.7], [0.1, 0.9]], { yBlock: RegressionBlock })
 */
export class RegressionBlock extends TargetBlock {
  readonly nOut?: number

  constructor(options: RegressionBlockOptions = {}) {
    super()
    this.nOut = checkOptions(RegressionOptions, options, 'RegressionBlock').nOut
  }

  override setup(labels: readonly Label[]): TargetEncoder {
    const single = labels.length > 0 && !Array.isArray(labels[0])
    const c = this.nOut ?? (labels.length === 0 ? 1 : [labels[0]].flat().length)
    return {
      c,
      lossFunc: new MSELossFlat(),
      encode: inSteps(function* (labels, where) {
        const values = new Float32Array(labels.length * c)
        yield* each(labels.length, i => values.set(numbers(labels[i], c, where(i)), i * c))
        return targetsOfNumbers(values, single && c === 1 ? undefined : c)
      }),
    }
  }
}

function numbers(label: Label, c: number, where: string): number[] {
  const values = [label]
    .flat()
    .map(value => (typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value)))
  if (values.length === c && values.every(Number.isFinite)) return values
  throw invalidArgument(`the label of ${where}`, c === 1 ? 'a finite number' : `${c} finite numbers`, label)
}

/**
 * What labels look like: strings are classes, arrays of strings several classes each, numbers with fractions and arrays of numbers are
 * values.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` for whole numbers, which may be either
 */
export function blockFor(labels: readonly Label[]): TargetBlock {
  const isNumber = (label: unknown) => typeof label === 'number'
  if (labels.some(label => Array.isArray(label) && label.some(isNumber))) return new RegressionBlock()
  if (labels.some(label => Array.isArray(label))) return new MultiCategoryBlock()
  if (labels.length === 0 || !labels.every(isNumber)) return new CategoryBlock()
  if (!labels.every(Number.isInteger)) return new RegressionBlock()
  throw new TorchLearnerError(
    'ERR_INVALID_ARG',
    `Labels that are whole numbers, such as ${describe(labels[0])}, may be classes or values: ` +
      'say which with yBlock: CategoryBlock or yBlock: RegressionBlock',
  )
}
