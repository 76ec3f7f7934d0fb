import { anything, checkOptions, figureFile, TorchLearnerError, theme, whole } from '../check/index.js'
import {
  Callback,
  CancelFit,
  CancelValid,
  endingWith,
  fields,
  fitSchema,
  Learner,
  SmoothLoss,
  Snapshot,
} from '../learner/index.js'
import { lineChart, saveFigure, type Theme } from '../plot/index.js'
import {
  type SuggestedNames,
  type SuggestFuncs,
  type SuggestFunction,
  type Suggestion,
  type SuggestName,
  suggestBy,
  suggestFunctions,
} from './lr-suggest.js'

/** Options of {@link Learner.lrFind}. */
export interface LrFindOptions<Funcs extends SuggestFuncs = SuggestFuncs> {
  /** The first learning rate. Default 1e-7. */
  startLr?: number
  /** The learning rate that the last step would have. Default 10. */
  endLr?: number
  /** How many training batches at most: a whole number from 6. Default 100. */
  numIt?: number
  /** Stop when the smoothed loss has become four times its least. Default true. */
  stopDiv?: boolean
  /**
   * How to read the curve: `valley`, `slide`, `minimum`, `steep`, a list of these, or an object with functions (and names)
   * under names of your own. Default: all four; fastai's default is `valley`. `[]` reads nothing.
   */
  suggestFuncs?: Funcs
  /** Whether to draw the curve with the suggestions on it. Default: if `file` is given. */
  showPlot?: boolean
  /** Where to draw it, `.png` or `.svg`. Default `lr-find.png`. */
  file?: string
  /** Its colours. Default `auto`: as the viewer's settings say, which an SVG can follow; a PNG is light. */
  theme?: Theme
  /** Stops within one batch; the promise then rejects with the signal's reason. */
  signal?: AbortSignal
}

/** The curve that suggestions are read from. */
export interface LrCurve {
  /** The learning rate of each step. */
  lrs: number[]
  /** The smoothed training loss at each step. */
  losses: number[]
}

/**
 * What {@link Learner.lrFind} returns: a learning rate to try under each name that was asked for, and the curve.
 *
 * - `valley`: two thirds down the longest valley of the curve, a good first choice
 * - `slide`: before the slope changes, looked at from the right
 * - `minimum`: a tenth of where the loss was least
 * - `steep`: where the loss fell fastest
 */
export type LrFindResult<Funcs extends SuggestFuncs = readonly SuggestName[]> = {
  [Name in SuggestedNames<Funcs>]: number
} & LrCurve

declare module '../learner/learner.js' {
  interface Learner {
    /**
     * Looks for a good learning rate: trains on up to `numIt` batches at rates that grow by a constant factor, and
     * reads suggestions off the curve of the smoothed loss (Smith 2015, https://arxiv.org/abs/1506.01186).
     *
     * Leaves no trace, however it ends: model, optimizer, Recorder and libtorch's generators (the CPU's, and that of the
     * model's device) are afterwards as they were before; the state is kept in memory, not in a file. The optimizer is
     * made if there is none.
     *
     * Suggestions are read off the curve without its first tenth and its last 5 points, as in fastai; off the whole curve
     * when less than 2 points would remain.
     *
     * @throws TorchLearnerError `ERR_NO_DATA` when there are less than 2 points before the loss became NaN; `ERR_STATE`
     * while a fit is under way; `ERR_INVALID_ARG` when a function of yours suggests no learning rate; else as
     * {@link Learner.fit}
     * @example
     * const { valley } = await learn.lrFind({ file: 'lr-find.png' })
     * await learn.fitOneCycle(3, { lrMax: valley })
     * const { steep, first } = await learn.lrFind({ suggestFuncs: { steep: 'steep', first: lrs => lrs[0] } })
     */
    lrFind<const Names extends SuggestName | readonly SuggestName[] = readonly SuggestName[]>(
      options?: LrFindOptions<Names>,
    ): Promise<LrFindResult<Names>>
    lrFind<Name extends string>(
      options: LrFindOptions<Readonly<Record<Name, SuggestName | SuggestFunction>>>,
    ): Promise<LrFindResult<Readonly<Record<Name, SuggestName | SuggestFunction>>>>
  }
}

const LEAST_STEPS = 6

const schema = fitSchema.pick('signal').extend({
  startLr: fields.divisor,
  endLr: fields.divisor,
  numIt: whole(LEAST_STEPS).optional(),
  stopDiv: fields.flag,
  suggestFuncs: anything.optional(), // checked by suggestFunctions, which knows what they mean
  showPlot: fields.flag,
  file: figureFile.and(figureFile.what, file => /\.(png|svg)$/i.test(file)).optional(),
  theme: theme.optional(),
})

type Plan = Required<Pick<LrFindOptions, 'startLr' | 'endLr' | 'numIt' | 'stopDiv'>>

/** Raises the learning rate step by step and notes the smoothed losses; at work in {@link Learner.lrFind}. */
class LRFinder extends Callback {
  override order = 60
  override runValid = false
  readonly #plan: Plan
  readonly #smooth = new SmoothLoss(0.98)
  readonly #lrs: number[] = []
  readonly #losses: number[] = []
  #best = Number.POSITIVE_INFINITY
  /** How many points count. The loop runs ahead of the losses, so there may be more. */
  #stop = Number.POSITIVE_INFINITY

  constructor(plan: Plan) {
    super({ name: 'lrFinder' })
    this.#plan = plan
  }

  override beforeBatch(): void {
    const { startLr, endLr, numIt } = this.#plan
    this.learn.opt?.setHyper('lr', startLr * (endLr / startLr) ** (this.learn.trainIter / numIt))
  }

  override afterBatch(): void {
    const { learn } = this
    if (learn.loss) {
      const i = this.#losses.push(Number.NaN) - 1
      this.#lrs.push(learn.opt?.paramGroups.at(-1)?.lr ?? Number.NaN)
      learn.observe(this.#smooth.next(learn.loss), value => this.#note(i, value))
    }
    if (learn.trainIter >= this.#plan.numIt || Number.isFinite(this.#stop)) throw new CancelFit()
  }

  override beforeValidate(): void {
    throw new CancelValid()
  }

  override cleanup(): void {
    this.#smooth.release()
  }

  #note(i: number, value: number): void {
    this.#losses[i] = value
    if (Number.isFinite(this.#stop)) return
    this.#best = Math.min(this.#best, value)
    if (Number.isNaN(value) || (this.#plan.stopDiv && value > 4 * this.#best)) this.#stop = i + 1
  }

  /** The curve, up to where the search ended. */
  get curve(): { lrs: number[]; losses: number[] } {
    return { lrs: this.#lrs.slice(0, this.#stop), losses: this.#losses.slice(0, this.#stop) }
  }
}

Learner.prototype.lrFind = async function <Funcs extends SuggestFuncs>(
  this: Learner,
  options: LrFindOptions<Funcs> = {},
): Promise<LrFindResult<Funcs>> {
  checkOptions(schema, options, 'lrFind')
  const { startLr = 1e-7, endLr = 10, numIt = 100, stopDiv = true, suggestFuncs, signal } = options
  const { file = 'lr-find.png', showPlot = options.file !== undefined, theme } = options
  const funcs = suggestFunctions(suggestFuncs)
  signal?.throwIfAborted()
  if (this.isRunning) {
    throw new TorchLearnerError('ERR_STATE', 'lrFind: this Learner is at work already; await it first')
  }
  const finder = new LRFinder({ startLr, endLr, numIt, stopDiv })
  await search(this, finder, numIt, signal)
  const { lrs, losses } = finder.curve
  const shown = telling(lrs, losses, numIt)
  const found = funcs.map(func => [func[0], suggestBy(func, shown.lrs, shown.losses, numIt)] as const)
  if (showPlot) await saveFigure(file, draw(shown, found, theme))
  const suggested = Object.fromEntries(found.map(([name, { lr }]) => [name, lr]))
  return { ...suggested, lrs, losses } as LrFindResult<Funcs>
}

/** The run itself, on a loader of its own where the loader has random numbers of its own to keep. */
async function search(learn: Learner, finder: LRFinder, numIt: number, signal?: AbortSignal): Promise<void> {
  const { dls } = learn
  if (dls.train.length === 0) throw new TorchLearnerError('ERR_NO_DATA', 'lrFind: the training loader has no batches')
  const nEpoch = Math.floor(numIt / dls.train.length) + 1
  const snapshot = await Snapshot.take(learn)
  const body = (): Promise<void> => {
    learn.dls = Object.create(dls, { train: { value: dls.train.new?.({}) ?? dls.train } })
    return learn.train('find', nEpoch, { cbs: finder, signal })
  }
  await endingWith(body, () => snapshot.restore())
}

/** The part of the curve that suggestions are read from: fastai's cut. */
function telling(lrs: number[], losses: number[], numIt: number): { lrs: number[]; losses: number[] } {
  const nan = losses.findIndex(Number.isNaN)
  const known = nan < 0 ? losses.length : nan
  let [from, to] = [Math.floor(numIt / 10), nan < 0 ? known - 5 : Math.min(known, numIt - 5)]
  if (to - from < 2) [from, to] = [0, known]
  if (to - from < 2) throw tooShort(losses.length, known)
  return { lrs: lrs.slice(from, to), losses: losses.slice(from, to) }
}

function tooShort(steps: number, known: number): TorchLearnerError {
  const reason =
    steps === 0
      ? 'no loss was computed. Are there targets, and a TrainEvalCallback?'
      : `the loss became NaN after ${known} steps, too early to suggest anything. Choose a smaller startLr, and look for ` +
        'NaN or infinite values in the inputs'
  return new TorchLearnerError('ERR_NO_DATA', `lrFind: ${reason}`)
}

function draw(
  curve: { lrs: number[]; losses: number[] },
  found: (readonly [string, Suggestion])[],
  theme?: Theme,
): string {
  return lineChart({
    theme,
    title: 'Learning rate finder',
    xLabel: 'learning rate',
    yLabel: 'smoothed loss',
    xScale: 'log',
    series: [{ name: '', x: curve.lrs, y: curve.losses, dots: false }],
    marks: found
      .toSorted(([, a], [, b]) => a.lr - b.lr)
      .map(([name, { lr }]) => ({ name: `${name} ${lr.toExponential(1)}`, x: lr, y: lossAt(lr, curve) })),
  })
}

/** Where the curve is at a learning rate, between two of its points too: `minimum` is a tenth of one. */
function lossAt(lr: number, { lrs, losses }: { lrs: number[]; losses: number[] }): number {
  const next = lrs.findIndex(value => value >= lr)
  if (next <= 0) return losses[next < 0 ? losses.length - 1 : 0]
  const share = Math.log(lr / lrs[next - 1]) / Math.log(lrs[next] / lrs[next - 1])
  return losses[next - 1] + share * (losses[next] - losses[next - 1])
}
