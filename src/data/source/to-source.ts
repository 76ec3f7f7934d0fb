import { invalidArgument } from '../../check/index.js'
import { inTurns, mapped, type Steps } from '../../files/index.js'
import { columnsOf, type Sample } from '../loader/collate.js'
import { IterableDataset, isStream } from './iterable.js'
import { type BatchSource, type Dataset, SampleSource } from './source.js'
import type { SampleStream } from './stream.js'

/** The last values of all samples, if they are whole numbers behind others. */
function* lastNumbers(samples: readonly Sample[]): Steps<number[] | undefined> {
  const last = yield* mapped(samples, (sample, i) => {
    const columns = columnsOf(sample, `sample ${i}`)
    return columns.length > 1 ? columns[columns.length - 1] : undefined
  })
  return last.every(value => typeof value === 'number' && Number.isInteger(value)) ? last.map(Number) : undefined
}

/**
 * A dataset in any of its forms as a source of batches.
 *
 * @param nInp how many values of a sample are inputs; default: all but the last, or the only one
 */
export function toSource(
  dataset: BatchSource | Dataset | readonly Sample[] | SampleStream,
  nInp?: number,
): BatchSource {
  if (Array.isArray(dataset)) {
    const { length } = dataset
    return new SampleSource(
      { length, get: index => dataset[index], classes: () => inTurns(lastNumbers(dataset)) },
      nInp,
      dataset,
    )
  }
  if (typeof dataset === 'object' && dataset !== null && 'length' in dataset) {
    if ('load' in dataset) return dataset
    if ('get' in dataset) return new SampleSource(dataset, nInp)
  }
  if (isStream(dataset)) return new IterableDataset(dataset)
  throw invalidArgument(
    'dataset',
    'a dataset: an array of samples, an object with length and get(index), or something to iterate over',
    dataset,
  )
}
