import {
  checkArguments,
  checkOptions,
  classNames,
  field,
  figureFile,
  flag,
  invalidArgument,
  strictObject,
  string,
  TorchLearnerError,
  theme,
  whole,
} from '../../check/index.js'
import { DataLoader, showBatch } from '../../data/index.js'
import { type BatchLoader, chosenLoader, dsIdx, type Learner } from '../../learner/index.js'
import { matrixChart, saveFigure, type Theme } from '../../plot/index.js'
import { mark, scope, type Tensor } from '../../tensor/index.js'
import { type ClassScores, classScores, ratio, reportTable, sum } from './report.js'

/** What {@link ClassificationInterpretation} is made from. */
export interface InterpretationOptions {
  /** 0 for the training set, 1 (default) for the validation set. */
  dsIdx?: 0 | 1
  /** A loader of your own instead, with targets. */
  dl?: BatchLoader
  /** Which output and which target, where a model has several. Default 0, the first. */
  output?: number
  /** The classes by number. Default: those of `learn.dls`, or the numbers. */
  vocab?: readonly string[]
}

const Options = strictObject({
  dsIdx: dsIdx.default(1),
  dl: field<BatchLoader>('a loader', () => true).optional(), // getPreds looks at it
  output: whole(0).default(0),
  vocab: classNames.optional(),
})
const TableOptions = strictObject({ digits: whole(0, 6).default(2) })
const figure = {
  file: figureFile.optional(),
  title: string().optional(),
  theme: theme.optional(),
}
const MatrixOptions = strictObject({ ...figure, normalize: flag.optional() })
const LossesOptions = strictObject({ ...figure, largest: flag.optional() })

/** Where and how a picture is drawn. */
export interface FigureOptions {
  /** Where to write, `.png` or `.svg`. */
  file?: string
  /** Above the picture. Default: what it shows. */
  title?: string
  /** Default `auto`: as the viewer's settings say, which an SVG can follow; a PNG is light. */
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
    const { dsIdx, dl, output, vocab: given } = checkOptions(Options, options, 'ClassificationInterpretation')
    const loader = chosenLoader(learn, { dsIdx, dl })
    return await scope(async () => {
      const results = await learn.getPreds({ dl: loader, withLoss: true })
      const preds = [results.preds, ...(results.otherPreds ?? [])][output]
      const targs = [results.targs, ...(results.otherTargs ?? [])][output]
      const { losses } = results
      if (!preds) throw invalidArgument('output', 'the number of an output that the model has', output)
      await mark() // from here on shapes are known
      if (!targs || !losses) throw invalidArgument('dl', 'batches with targets', 'batches without targets')
      if (preds.ndim !== 2 || targs.ndim !== 1) throw noClassifier(preds, targs)
      const [n, c] = preds.shape
      const numbers = async (x: Tensor) => Float64Array.from(await x.to({ dtype: 'float64' }).data(), Number)
      const vocab = given ?? learn.dls.vocab ?? Array.from({ length: c }, (_, i) => String(i))
      if (vocab.length !== c) throw invalidArgument('vocab', `${c} classes, as many as the model has outputs,`, vocab)
      const actual = await numbers(targs)
      const odd = actual.find(value => !(Number.isInteger(value) && value >= 0 && value < c))
      if (odd !== undefined) throw invalidArgument('targets', `class numbers from 0 to ${c - 1}`, odd)
      return new ClassificationInterpretation({
        vocab,
        loader,
        probabilities: await numbers(preds),
        actual: Int32Array.from(actual),
        predicted: Int32Array.from(n === 0 ? [] : await numbers(preds.argmax(1))),
        losses: await numbers(losses),
      })
    })
  }

  /**
   * How often each class (row) was taken for each (column).
   *
   * @param options `normalize`: shares of each row instead of counts; default false
   */
  confusionMatrix(options: { normalize?: boolean } = {}): number[][] {
    const { actual, predicted } = this.#results
    const matrix = this.vocab.map(() => this.vocab.map(() => 0))
    for (const [i, row] of actual.entries()) matrix[row][predicted[i]]++
    return options.normalize ? matrix.map(row => row.map(count => ratio(count, sum(row)))) : matrix
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

  /** Precision, recall, F1 and number of samples of each class. */
  scores(): ClassScores[] {
    return classScores(this.confusionMatrix(), this.vocab)
  }

  /**
   * The same as a table in text, with the accuracy and the means, laid out like scikit-learn's `classification_report`.
   *
   * @param options `digits` behind the point; default 2
   */
  perClass(options: { digits?: number } = {}): string {
    const { digits } = checkArguments(TableOptions, options, 'perClass')
    const { actual, predicted } = this.#results
    const right = actual.reduce((count, value, i) => count + Number(value === predicted[i]), 0)
    return reportTable(this.scores(), ratio(right, actual.length), digits)
  }

  /** Prints {@link perClass} to the console. */
  printClassificationReport(options: { digits?: number } = {}): void {
    console.log(this.perClass(options))
  }

  /**
   * Draws the confusion matrix.
   *
   * @param options `normalize`: shares of each row instead of counts, default false; `file`: default `confusion.png`
   * @returns the file's path
   */
  async plotConfusionMatrix(options: FigureOptions & { normalize?: boolean } = {}): Promise<string> {
    checkOptions(MatrixOptions, options, 'plotConfusionMatrix')
    const { file = 'confusion.png', title = 'Confusion matrix', theme, normalize = false } = options
    const matrix = this.confusionMatrix({ normalize })
    const text = normalize ? (value: number) => (value === 0 ? '' : value.toFixed(2)) : undefined
    const look = { text, title, xLabel: 'Predicted', yLabel: 'Actual', theme: theme ?? 'auto' }
    return await saveFigure(file, matrixChart({ matrix, labels: this.vocab, ...look }))
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
    checkOptions(LossesOptions, options, 'plotTopLosses')
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
    const context = { training: false, random: () => 0.5, signal, order: indices, full: false }
    const make = await loader.dataset.load(indices, context)
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

function noClassifier(preds: Tensor, targs: Tensor): TorchLearnerError {
  const shapes = `outputs of shape [${preds.shape}] and targets of shape [${targs.shape}]`
  return new TorchLearnerError(
    'ERR_INVALID_ARG',
    `Expected a classifier with one class number a sample, outputs (N, C) and targets (N), but it has ${shapes}`,
  )
}
