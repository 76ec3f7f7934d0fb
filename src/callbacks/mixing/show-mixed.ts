import {
  checkOptions,
  count,
  field,
  figureFile,
  invalidArgument,
  probability,
  strictObject,
  string,
  TorchLearnerError,
  theme,
} from '../../check/index.js'
import { batchTiles, DataLoaders, labelsOf, type ShowBatchOptions } from '../../data/index.js'
import { type Batch, batches, isLoader, Learner, type LearnerData } from '../../learner/index.js'
import { CrossEntropyLossFlat, Identity } from '../../nn/index.js'
import { gridShape, imageGrid, saveFigure, type Tile } from '../../plot/index.js'
import { mark, rng, scope, type Tensor } from '../../tensor/index.js'
import { MixChoice } from './mix-choice.js'
import { MixHandler } from './mix-handler.js'

/** Options of {@link showMixed}. */
export interface ShowMixedOptions extends Pick<ShowBatchOptions, 'file' | 'rows' | 'cols' | 'title' | 'theme'> {
  /** The batch to mix, inputs then targets. Default: the first one of the training data. */
  b?: Batch
  /** How much of the training is done, 0 to 1, for an alpha that depends on it. Default 0. */
  pct?: number
}

const schema = strictObject({
  file: figureFile.optional(),
  rows: count.optional(),
  cols: count.optional(),
  title: string().optional(),
  theme: theme.optional(),
  b: field<Batch>('an array of tensors: inputs, then targets,', Array.isArray).optional(),
  pct: probability.optional(),
})

type Mixer = MixHandler | MixChoice

/**
 * Draws what a mixing callback makes of a training batch: pictures with both labels and the share of each. Several callbacks get a
 * row each, of the same pictures. Neither the Learner nor its random numbers are touched: training goes on as it would have.
 *
 * @param from a Learner, whose loss decides how targets are mixed, or DataLoaders
 * @param callback `MixUp`, `CutMix`, ..., `MixChoice`, or an array of them; it need not belong to the Learner, and may
 * @param options see {@link ShowMixedOptions}; default: 3 x 3 pictures in `mixed.png`, or a row of 3 for each of several callbacks
 * @returns the file's path
 * @throws TorchLearnerError `ERR_INVALID_ARG` when the inputs aren't pictures `(N, 1, H, W)` or `(N, 3, H, W)`; for `rows` with several
 * callbacks
 * @example await showMixed(dls, new CutMix(1), { file: 'cutmix.png', rows: 2, cols: 4 })
 * @example await showMixed(dls, [new MixUp(1), new CutMix(1), new FMix(1)], { file: 'all.png' })
 */
export async function showMixed(
  from: Learner | DataLoaders,
  callback: Mixer | readonly Mixer[],
  options: ShowMixedOptions = {},
): Promise<string> {
  if (!(from instanceof Learner) && !(from instanceof DataLoaders)) {
    throw invalidArgument('from', 'a Learner or DataLoaders', from)
  }
  const callbacks = callbacksOf(callback)
  checkOptions(schema, options, 'showMixed')
  const several = Array.isArray(callback)
  if (several && options.rows !== undefined) {
    throw invalidArgument("showMixed's rows", 'no value with several callbacks, which get a row each,', options.rows)
  }
  const { b, pct = 0, file = 'mixed.png', rows = several ? 1 : 3, cols = 3, title, theme = 'auto' } = options
  await rng.ready()
  const state = rng.getState()
  try {
    const tiles = await scope(async () => {
      const batch = b ?? (await firstBatch(from instanceof Learner ? from.dls : from))
      const drawn: Tile[] = []
      for (const one of callbacks) drawn.push(...(await mixedTiles(from, one, batch, { pct, most: rows * cols })))
      return drawn
    })
    const shown = several
      ? { rowTitles: callbacks.map(({ name }) => titled(name)), cols: tiles.length / callbacks.length, title }
      : {
          ...gridShape(tiles.length, rows, cols),
          title: title ?? `${titled(callbacks[0].name)}: labels and their shares`,
        }
    return await saveFigure(file, await imageGrid(tiles, { ...shown, theme }))
  } finally {
    rng.setState(state)
    state.dispose()
  }
}

function callbacksOf(callback: unknown): readonly Mixer[] {
  const list: unknown[] = Array.isArray(callback) ? callback : [callback]
  const isMixer = (one: unknown): one is Mixer => one instanceof MixHandler || one instanceof MixChoice
  if (list.length > 0 && list.every(isMixer)) return list
  throw invalidArgument('callback', 'a callback that mixes: MixUp, CutMix, ..., or several in an array', callback)
}

/** mixUp's class is MixUp. */
const titled = (name: string) => name.charAt(0).toUpperCase() + name.slice(1)

/** What one callback makes of a batch, which it leaves as it is. */
async function mixedTiles(
  from: Learner | DataLoaders,
  callback: Mixer,
  batch: Batch,
  { pct, most }: { pct: number; most: number },
): Promise<Tile[]> {
  const dls: LearnerData & { vocab?: readonly string[] } = from instanceof Learner ? from.dls : from
  const lossFunc = from instanceof Learner ? from.lossFunc : (from.lossFunc ?? new CrossEntropyLossFlat())
  const preview = new Learner(dls, new Identity(), { lossFunc, defaultCbs: false, cbs: callback })
  try {
    return await preview.session(learn =>
      scope(async () => {
        learn.epoch = 0
        learn.pctTrain = pct
        learn.training = true
        learn.split(batch)
        await learn.emit(['beforeTrain', 'beforeBatch'])
        await mark() // from here on shapes are known
        const n = Math.min(learn.bs, most)
        const titles = await titlesOf(learn, callback, n, dls.vocab)
        const decode = (part: readonly Tensor[]) => dls.train.decode?.(part) ?? [...part]
        return batchTiles([learn.xb, learn.yb], { vocab: dls.vocab, train: { decode } }, { most: n, titles })
      }),
    )
  } finally {
    if (from instanceof Learner && from.cbs.includes(callback)) callback.attach(from)
  }
}

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
  // shares first: a long name is cut at its end. In percent, because names may be numbers too
  return own.map((name, i) => {
    const share = Math.round(100 * shares[i])
    return shares[i] === 1 ? name : `${share} % ${name}\n${100 - share} % ${partner[i]}`
  })
}
