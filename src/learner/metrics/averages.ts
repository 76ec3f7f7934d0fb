import { checkValue, invalidArgument, oneOf, positive, strictObject, whole } from '../../check/index.js'

/** What is known of one class, or one label. */
export interface ClassCounts {
  /** Predicted, and rightly so. */
  right: number
  predicted: number
  actual: number
}

/** Options of scores that exist for each class. */
export interface AverageOptions {
  /**
   * - `binary`: the score of the class `posLabel`, where there are two
   * - `macro`: the mean over classes
   * - `weighted`: the mean over classes, each by how often it occurs
   * - `micro`: of all classes' counts together
   */
  average?: 'binary' | 'macro' | 'micro' | 'weighted'
  /** The class that `binary` is about. Default 1. */
  posLabel?: number
}

export const averageSchema = strictObject({
  average: oneOf('binary', 'macro', 'micro', 'weighted').optional(),
  posLabel: whole(0, Infinity, 'the number of a class').optional(),
})

/** A number between 0 and 1 from one class's counts; 0 where it isn't defined, as scikit-learn has it. */
export type Score = (counts: ClassCounts) => number

export const precision: Score = ({ right, predicted }) => ratio(right, predicted)
export const recall: Score = ({ right, actual }) => ratio(right, actual)

export function fBeta(beta: number): Score {
  checkValue(positive, beta, 'beta')
  const weight = beta * beta
  return ({ right, predicted, actual }) => ratio((1 + weight) * right, weight * actual + predicted)
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}

/**
 * One score for all classes.
 *
 * @param name the metric's, for the error
 * @param known which classes occur at all; the others have no part in a mean
 * @throws TorchLearnerError `ERR_INVALID_ARG` when `binary` is asked of other than two classes
 */
export function average(
  name: string,
  classes: readonly ClassCounts[],
  known: readonly boolean[],
  score: Score,
  { average: how, posLabel = 1 }: AverageOptions,
): number {
  if (how === 'binary') {
    if (classes.length !== 2 || posLabel > 1) {
      throw invalidArgument(`${name}'s average`, `macro, weighted or micro for ${classes.length} classes`, how)
    }
    return score(classes[posLabel])
  }
  const occurring = classes.filter((_, i) => known[i])
  if (how === 'micro') return score(total(occurring))
  const weights = occurring.map(({ actual }) => (how === 'weighted' ? actual : 1))
  const sum = weights.reduce((all, weight) => all + weight, 0)
  return ratio(
    occurring.reduce((all, counts, i) => all + weights[i] * score(counts), 0),
    sum,
  )
}

function total(classes: readonly ClassCounts[]): ClassCounts {
  const sum = (name: keyof ClassCounts) => classes.reduce((all, counts) => all + counts[name], 0)
  return { right: sum('right'), predicted: sum('predicted'), actual: sum('actual') }
}
