import { checkOptions, figureFile, string, TorchLearnerError, theme } from '../../check/index.js'
import { areClasses, labelsOf, type ShowBatchOptions, showBatch } from '../../data/index.js'
import { mark, scope, type Tensor } from '../../tensor/index.js'
import { Learner } from '../learner.js'
import { type Batch, type BatchLoader, batches } from '../loop/data.js'
import { fields } from '../options.js'
import { chosenLoader, validateSchema } from './preds.js'

/** Options of {@link Learner.showResults}. */
export interface ShowResultsOptions extends Pick<ShowBatchOptions, 'rows' | 'cols' | 'file' | 'theme' | 'title'> {
  /** 0 for the training set, 1 (default) for the validation set. */
  dsIdx?: 0 | 1
  /** A loader of your own instead. */
  dl?: BatchLoader
  /** At most so many pictures, of one batch. Default 9. */
  maxN?: number
  /** Take random pictures, if the loader can; else the first ones. Default true. */
  shuffle?: boolean
}

declare module '../learner.js' {
  interface Learner {
    /**
     * Draws pictures with what they are and what the model takes them for to a PNG or SVG file: each title is the target
     * and below it the prediction, green where they agree and red where they don't. Several labels a picture are compared
     * as a whole; numbers, which are never quite equal, keep the plain colour.
     *
     * @returns the file's path; default `results.png`
     * @throws TorchLearnerError `ERR_INVALID_ARG` when the inputs aren't pictures; `ERR_NO_DATA` when there are none
     * @example await learn.showResults({ maxN: 16, file: 'results.png' })
     */
    showResults(options?: ShowResultsOptions): Promise<string>
  }
}

const schema = validateSchema.pick('dsIdx', 'dl').extend({
  maxN: fields.count,
  shuffle: fields.flag,
  file: figureFile.optional(),
  rows: fields.count,
  cols: fields.count,
  theme: theme.optional(),
  title: string().optional(),
})

Learner.prototype.showResults = async function (this: Learner, options = {}) {
  checkOptions(schema, options, 'showResults')
  const { dsIdx = 1, dl, maxN = 9, shuffle = true, file = 'results.png', title, ...layout } = options
  const { dls } = this
  const loader = chosenLoader(this, { dsIdx, dl })
  return scope(async () => {
    const batch = await firstRows(loader.new?.({ shuffle, dropLast: false }) ?? loader, maxN)
    const { decoded, preds, targs } = await this.getPreds({ dl: [batch], withDecoded: true })
    await mark() // from here on shapes are known
    const n = preds.shape[0]
    const names = await labelsOf(decoded ?? preds, n, dls.vocab)
    const truth = targs ? await labelsOf(targs, n, dls.vocab) : null
    const titles = names.map((name, i) => (truth ? `${truth[i]}\n${name}` : name))
    // numbers are never quite equal: they keep the plain colour
    const judged = targs && areClasses(targs, dls.vocab) ? truth : null
    const tones = judged?.map((name, i): 'good' | 'bad' => (name === names[i] ? 'good' : 'bad'))
    const origin = { vocab: dls.vocab, train: { decode: (part: readonly Tensor[]) => decode(loader, part) } }
    const heading = title ?? (truth ? 'Actual / predicted' : 'Predicted')
    return showBatch(batch, origin, { ...layout, title: heading, maxN, file, titles, tones })
  })
}

function decode(loader: BatchLoader, batch: Batch): Tensor[] {
  return loader.decode?.(batch) ?? [...batch]
}

/** The first rows of the first batch. */
async function firstRows(loader: BatchLoader, n: number): Promise<Tensor[]> {
  for await (const batch of batches(loader)) {
    const rows = batch[batch.length - 1].shape[0] // targets are there already: asking for their shape doesn't wait
    return batch.map(tensor => tensor.narrow(0, 0, Math.min(n, rows)).clone())
  }
  throw new TorchLearnerError('ERR_NO_DATA', 'showResults: the loader has no batches')
}
