import { DataLoader } from '../data/index.js'
import { showBatch } from '../data/show.js'
import type { BatchLoader, Learner } from '../learner/index.js'
import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { matrixChart, saveFigure, type Theme } from '../plot/index.js'
import { scope, type Tensor } from '../tensor/index.js'

/** What {@link ClassificationInterpretation} is made from. */
export interface InterpretationOptions {
  /** 0 for the training set, 1 (default) for the validation set. */
  dsIdx?: 0 | 1
  /** A loader of your own instead. */
  dl?: BatchLoader
}

/** Where and how a picture is drawn. */
export interface FigureOptions {
  /** Where to write, `.png` or `.svg`. */
  file?: string
  title?: string
  /** Default `light`. */
  theme?: Theme
}

/** One sample as the model sees it. */
export interface Judged {
  /** In the loader's dataset. */
  readonly index: number
  readonly loss: number
  readonly actual: string
  readonly predicted: string
  /** That the model gives to what it predicts. */
  readonly probability: number
}

interface Results {
  vocab: readonly string[]
  probabilities: Float64Array
  actual: Int32Array
  predicted: Int32Array
  losses: Float64Array
  loader: BatchLoader
}

/**
 * Where a classifier is right and where it is wrong, over a whole set.
 *
 * @example
 * const interp = await ClassificationInterpretation.fromLearner(learn)
 * await interp.plotConfusionMatrix({ file: 'confusion.png' })
 * console.log(interp.mostConfused(2), interp.perClass())
 */
export class ClassificationInterpretation {
  readonly vocab: readonly string[]
  readonly #results: Results

  private constructor(results: Results) {
    this.vocab = results.vocab
    this.#results = results
  }

  /**
   * Runs the model over a set once.
   *
   * @throws TorchLearnerError `ERR_INVALID_ARG` when there is no such set, or its targets aren't one class number a sample
   */
  static async fromLearner(learn: Learner, options: InterpretationOptions = {}): Promise<ClassificationInterpretation> {
    const { dsIdx = 1, dl } = options
    const loader = dl ?? (dsIdx === 0 ? learn.dls.train : learn.dls.valid)
    if (!loader) throw invalidArgument('dsIdx', '0: there is no validation set', dsIdx)
    return await scope(async () => {
      const { preds, targs, losses } = await learn.getPreds({ dl: loader, withLoss: true })
      if (preds.ndim !== 2 || targs?.ndim !== 1 || !losses) {
        throw invalidArgument('learn', 'a classifier: one class number a sample', targs?.shape)
      }
      const [n, c] = preds.shape
      const numbers = async (x: Tensor) => Float64Array.from(await x.to({ dtype: 'float64' }).data(), Number)
      const vocab = learn.dls.vocab ?? Array.from({ length: c }, (_, i) => String(i))
      if (vocab.length !== c || n === 0) throw invalidArgument('learn', `${c} outputs for a vocab as large`, vocab)
      return new ClassificationInterpretation({
        vocab,
        loader,
        probabilities: await numbers(preds),
        actual: Int32Array.from(await numbers(targs)),
        predicted: Int32Array.from(await numbers(preds.argmax(1))),
        losses: await numbers(losses),
      })
    })
  }

  /** How often each class (row) was taken for each (column). */
  confusionMatrix(): number[][] {
    const { actual, predicted } = this.#results
    const matrix = this.vocab.map(() => this.vocab.map(() => 0))
    for (const [i, row] of actual.entries()) matrix[row][predicted[i]]++
    return matrix
  }

  /** Pairs of classes that were mistaken for each other, most often first. @param minVal at least so often; default 1 */
  mostConfused(minVal = 1): [actual: string, predicted: string, count: number][] {
    return this.confusionMatrix()
      .flatMap((row, a) => row.map((count, p) => ({ a, p, count })))
      .filter(({ a, p, count }) => a !== p && count >= minVal)
      .sort((x, y) => y.count - x.count)
      .map(({ a, p, count }) => [this.vocab[a], this.vocab[p], count])
  }

  /**
   * Samples by their loss, the worst first.
   *
   * @param k how many; default all
   * @param options `largest: false` gives the best first
   */
  topLosses(k?: number, options: { largest?: boolean } = {}): Judged[] {
    const { losses, actual, predicted, probabilities } = this.#results
    const sign = options.largest === false ? 1 : -1
    const rank = (loss: number) => (Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss)
    const order = Array.from(losses.keys()).sort((a, b) => sign * (rank(losses[a]) - rank(losses[b])) || a - b)
    return order.slice(0, k).map(index => ({
      index,
      loss: losses[index],
      actual: this.vocab[actual[index]],
      predicted: this.vocab[predicted[index]],
      probability: probabilities[index * this.vocab.length + predicted[index]],
    }))
  }

  /** Precision, recall, F1 and number of samples of each class, their means and the accuracy, as a table in text. */
  perClass(): string {
    const matrix = this.confusionMatrix()
    const rows = this.vocab.map((name, c) => {
      const support = sum(matrix[c])
      const recall = ratio(matrix[c][c], support)
      const precision = ratio(matrix[c][c], sum(matrix.map(row => row[c])))
      return { name, precision, recall, f1: ratio(2 * precision * recall, precision + recall), support }
    })
    const total = sum(rows.map(({ support }) => support))
    const mean = (key: 'precision' | 'recall' | 'f1', weight: (support: number) => number) =>
      sum(rows.map(row => row[key] * weight(row.support)))
    const average = (name: string, weight: (support: number) => number) => [
      name,
      ...(['precision', 'recall', 'f1'] as const).map(key => mean(key, weight).toFixed(3)),
      String(total),
    ]
    return table([
      ['', 'precision', 'recall', 'f1', 'support'],
      ...rows.map(({ name, precision, recall, f1, support }) => [
        name,
        ...[precision, recall, f1].map(value => value.toFixed(3)),
        String(support),
      ]),
      average('mean', () => 1 / rows.length),
      average('weighted mean', support => support / total),
      ['accuracy', '', '', ratio(sum(matrix.map((row, c) => row[c])), total).toFixed(3), String(total)],
    ])
  }

  /**
   * Draws the confusion matrix.
   *
   * @param options `normalize`: shares of each row instead of counts, default false; `file`: default `confusion.png`
   * @returns the file's path
   */
  async plotConfusionMatrix(options: FigureOptions & { normalize?: boolean } = {}): Promise<string> {
    const { file = 'confusion.png', title = 'Confusion matrix', theme, normalize = false } = options
    const counts = this.confusionMatrix()
    const matrix = normalize ? counts.map(row => row.map(count => ratio(count, sum(row)))) : counts
    const text = normalize ? (value: number) => (value === 0 ? '' : value.toFixed(2)) : undefined
    const chart = matrixChart({ matrix, labels: this.vocab, text, title, xLabel: 'Predicted', yLabel: 'Actual', theme })
    return await saveFigure(file, chart)
  }

  /**
   * Draws the pictures with the highest losses: predicted / actual, then loss / probability of the prediction.
   *
   * @param k how many; default 9
   * @param options `file`: default `top-losses.png`
   * @returns the file's path
   * @throws TorchLearnerError `ERR_UNSUPPORTED` when the set isn't a `DataLoader`, whose pictures can be had by number
   */
  async plotTopLosses(k = 9, options: FigureOptions & { largest?: boolean } = {}): Promise<string> {
    const { file = 'top-losses.png', title = 'Predicted / actual / loss / probability', theme, largest } = options
    const { loader } = this.#results
    if (!(loader instanceof DataLoader)) {
      throw new TorchLearnerError('ERR_UNSUPPORTED', 'Top losses can be shown of a DataLoader only')
    }
    if (loader.n !== this.#results.losses.length) {
      const counts = `${this.#results.losses.length} predictions for ${loader.n} samples`
      throw new TorchLearnerError(
        'ERR_UNSUPPORTED',
        `Top losses can't be shown: there are ${counts}, as with skipped files`,
      )
    }
    const worst = this.topLosses(k, { largest })
    const indices = Int32Array.from(worst, ({ index }) => index)
    const { signal } = new AbortController()
    const make = await loader.dataset.load(indices, { training: false, random: () => 0.5, signal })
    const titles = worst.map(
      ({ predicted, actual, loss, probability }) =>
        `${predicted} / ${actual}\n${loss.toFixed(2)} / ${probability.toFixed(2)}`,
    )
    const tones = worst.map(({ predicted, actual }): 'good' | 'bad' => (predicted === actual ? 'good' : 'bad'))
    return await scope(async () => {
      const [x] = make()
      return await showBatch([x], { vocab: this.vocab, train: {} }, { file, title, theme, titles, tones, maxN: k })
    })
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole)

/** The first column to the left, the others to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map(row => row[c].length)))
  return rows
    .map(row =>
      row
        .map((text, c) => (c === 0 ? text.padEnd(widths[c]) : text.padStart(widths[c])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
