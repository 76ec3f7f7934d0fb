import {
  checkOptions,
  describe,
  flag,
  invalidArgument,
  isCollection,
  strictObject,
  TorchLearnerError,
} from '../../check/index.js'

const Options = strictObject({ sort: flag.default(true) })

/**
 * The classes, each once, in code point order (capitals first, `10` before `9`): fastai's order, so that class numbers agree.
 *
 * @example new Vocab(['cat', 'dog', 'cat', 'Bird']).items // ['Bird', 'cat', 'dog']
 */
export class Vocab {
  readonly items: readonly string[]
  readonly #numbers: ReadonlyMap<string, number>

  /**
   * @param labels each class's name at least once
   * @param options `sort` (default true): false keeps the order of their first appearance
   * @throws TorchLearnerError `ERR_INVALID_ARG` for anything but strings
   */
  constructor(labels: Iterable<string>, options: { sort?: boolean } = {}) {
    const { sort } = checkOptions(Options, options, 'Vocab')
    const isList = isCollection(labels)
    const items = isList ? [...new Set(labels)] : []
    if (!isList || !items.every(label => typeof label === 'string')) {
      throw invalidArgument('labels', 'a list of strings', labels)
    }
    this.items = sort ? items.sort(compareCodePoints) : items
    this.#numbers = new Map(this.items.map((label, i) => [label, i]))
  }

  /** How many classes there are. */
  get length(): number {
    return this.items.length
  }

  /**
   * The number of a class.
   *
   * @param where whose label it is, for the error message
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a label that the training set hasn't
   */
  encode(label: string, where?: string): number {
    const number = this.#numbers.get(label)
    if (number !== undefined) return number
    throw new TorchLearnerError(
      'ERR_INVALID_ARG',
      `Label ${describe(label)}${where === undefined ? '' : ` of ${where}`} was not included in the training dataset, ` +
        `whose labels are ${describe(this.items)}. Give all classes as vocab, or leave it out`,
    )
  }
}

/** Order by code points: UTF-16's own order puts emoji before some letters. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left === right) continue
    // Surrogates stand for code points above all single units
    if (isSurrogate(left) !== isSurrogate(right)) return isSurrogate(left) ? 1 : -1
    return left - right
  }
  return a.length - b.length
}

const isSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdfff
