import { z } from 'zod'
import { checkOptions, DataLoaders, type ShowBatchOptions } from '../data/index.js'
import { labelsOf, showBatch } from '../data/show.js'
import { type Batch, batches, isLoader, type LearnerData } from '../learner/data.js'
import { Learner } from '../learner/learner.js'
import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { CrossEntropyLossFlat, Identity } from '../nn/index.js'
import { mark, rng, scope, type Tensor } from '../tensor/index.js'
import { MixChoice } from './mix-choice.js'
import { MixHandler } from './mix-handler.js'

/** Options of {@link showMixed}. */
export interface ShowMixedOptions extends Pick<ShowBatchOptions, 'file' | 'rows' | 'cols' | 'title' | 'theme'> {
  /** The batch to mix, inputs then targets. Default: the first one of the training data. */
  b?: Batch
  /** How much of the training is done, 0 to 1, for an alpha that depends on it. Default 0. */
  pct?: number
}

const WHOLE = { error: 'a whole number from 1' }
const schema = z.strictObject({
  file: z.string({ error: 'a path that ends in .png or .svg' }).optional(),
  rows: z.int(WHOLE).min(1, WHOLE).optional(),
  cols: z.int(WHOLE).min(1, WHOLE).optional(),
  title: z.string({ error: 'a string' }).optional(),
  theme: z.enum(['light', 'dark', 'auto'], { error: 'light, dark or auto' }).optional(),
  b: z.array(z.any(), { error: 'an array of tensors: inputs, then targets,' }).readonly().optional(),
  pct: z.number({ error: 'a number from 0 to 1' }).min(0).max(1, { error: 'a number from 0 to 1' }).optional(),
})

/**
 * Draws what a mixing callback makes of a training batch: pictures with both labels and lambda, the share of the first.
 * Neither the Learner nor its random numbers are touched: training goes on as it would have.
 *
 * @param from a Learner, whose loss decides how targets are mixed, or DataLoaders
 * @param callback `MixUp`, `CutMix`, ..., `MixChoice`; it need not belong to the Learner, and may
 * @param options see {@link ShowMixedOptions}; default: 3 x 3 pictures in `mixed.png`
 * @returns the file's path
 * @throws TorchLearnerError `ERR_INVALID_ARG` when the inputs aren't pictures `(N, 1, H, W)` or `(N, 3, H, W)`
 * @example await showMixed(dls, new CutMix(1), { file: 'cutmix.png', rows: 2, cols: 4 })
 */
export async function showMixed(
  from: Learner | DataLoaders,
  callback: MixHandler | MixChoice,
  options: ShowMixedOptions = {},
): Promise<string> {
  if (!(from instanceof Learner) && !(from instanceof DataLoaders)) {
    throw invalidArgument('from', 'a Learner or DataLoaders', from)
  }
  if (!(callback instanceof MixHandler || callback instanceof MixChoice)) {
    throw invalidArgument('callback', 'a callback that mixes: MixUp, CutMix, ...', callback)
  }
  checkOptions(schema, options, 'showMixed')
  const { b, pct = 0, file = 'mixed.png', rows = 3, cols = 3, title = TITLE, theme } = options
  const dls: LearnerData & { vocab?: readonly string[] } = from instanceof Learner ? from.dls : from
  const lossFunc = from instanceof Learner ? from.lossFunc : (from.lossFunc ?? new CrossEntropyLossFlat())
  await rng.ready()
  const state = rng.getState()
  const preview = new Learner(dls, new Identity(), { lossFunc, defaultCbs: false, cbs: callback })
  try {
    return await preview.session(learn =>
      scope(async () => {
        learn.epoch = 0
        learn.pctTrain = pct
        learn.training = true
        learn.split(b ?? (await firstBatch(dls)))
        await learn.emit(['beforeTrain', 'beforeBatch'])
        await mark() // from here on shapes are known
        const n = Math.min(learn.bs, rows * cols)
        const titles = await titlesOf(learn, callback, n, dls.vocab)
        const { train } = dls
        const decode = (batch: readonly Tensor[]) => train.decode?.(batch) ?? [...batch]
        const shown = { rows, cols, file, title, titles, ...(theme === undefined ? {} : { theme }) }
        return showBatch([learn.xb, learn.yb], { vocab: dls.vocab, train: { decode } }, shown)
      }),
    )
  } finally {
    rng.setState(state)
    state.dispose()
    if (from instanceof Learner && from.cbs.includes(callback)) callback.attach(from)
  }
}

const TITLE = 'λ and label, 1 − λ and partner’s label'

async function firstBatch({ train }: LearnerData): Promise<Batch> {
  if (isLoader(train)) for await (const batch of batches(train)) return batch
  throw new TorchLearnerError('ERR_NO_DATA', 'showMixed: the training loader has no batch')
}

/** Both labels by their shares where they are class numbers; mixed shares of classes as they are. */
async function titlesOf(
  learn: Learner,
  { lam, yb1 }: MixHandler | MixChoice,
  n: number,
  vocab?: readonly string[],
): Promise<string[]> {
  const [y] = learn.yb
  const values = lam === null ? [] : Array.from(await lam.data(), Number)
  const shares = Array.from({ length: n }, (_, i) => values[values.length > 1 ? i : 0] ?? 1)
  if (y === undefined || y.ndim > 2) return shares.map(share => `λ ${share.toFixed(2)}`)
  const own = await labelsOf(y, n, vocab)
  if (learn.mixed === null) return lam === null ? own : own.map((name, i) => `${name} (λ ${shares[i].toFixed(2)})`)
  const partner = await labelsOf(yb1[0], n, vocab)
  // shares first: a long name is cut at its end
  return own.map((name, i) => {
    const share = shares[i].toFixed(2)
    return shares[i] === 1 ? name : `${share} ${name}\n${(1 - Number(share)).toFixed(2)} ${partner[i]}`
  })
}
