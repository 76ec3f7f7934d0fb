// What compiles, and what doesn't: checked by tsc with the rest of the tests.
import test from 'ava'
import {
  type Awaitable,
  accuracy,
  Callback,
  type CallbackHandlers,
  CrossEntropyLossFlat,
  DataLoaders,
  type EventName,
  errorRate,
  F1Score,
  Learner,
  type Metric,
  type MetricFunction,
  MixHandler,
  MixUp,
  nn,
  type Optimizer,
  type Prediction,
  Recorder,
  RocAuc,
  resnet18,
  rmse,
  slice,
  type Tensor,
  tensor,
} from 'torch-learner'
import { tinyBatches, tinyLearner, tinyModel } from './helpers/learning.js'

test('types of a Learner', t => {
  const metrics: MetricFunction[] = [accuracy, errorRate, (pred: Tensor, y: Tensor) => pred.sub(y).mean(), () => 1]
  const dls = new DataLoaders(tinyBatches(1), tinyBatches(1))
  const learn = new Learner(dls, tinyModel(), {
    lossFunc: (pred: Tensor, y: Tensor) => pred.sub(y).mean(),
    metrics,
    cbs: [MixUp, new Recorder({ trainMetrics: true }), new Callback({ order: 3, beforeBatch: async () => undefined })],
    lr: slice(1e-4, 1e-3),
  })
  const mixup: MixUp | undefined = learn.callback(MixUp)
  const base: MixHandler | undefined = learn.callback(MixHandler)
  const weight: Tensor | null | undefined = mixup?.lam
  const fit: (nEpoch: number) => Promise<void> = n => learn.fitOneCycle(n, { lrMax: [1e-3], moms: [0.9, 0.8, 0.9] })
  const found: Metric[] = learn.metrics
  t.is(base, mixup)
  t.is(weight, null)
  t.is(found.length, 4)
  t.is(typeof fit, 'function')
  t.notThrows(() => new Learner(dls, resnet18({ numClasses: 3 }), { lossFunc: new CrossEntropyLossFlat() }))
})

test('what the compiler refuses', t => {
  const refused: (() => Awaitable<unknown>)[] = [
    // @ts-expect-error there is no such event
    () => new Callback({ beforeLunch: () => undefined }),
    // @ts-expect-error alpha is a number
    () => new MixUp({ alpha: '0.4' }),
    // @ts-expect-error there is no such option
    () => new Learner({ train: [] }, tinyModel(), { lossFunc: accuracy, learningRate: 1 }),
    // @ts-expect-error a model is a Module
    () => new Learner({ train: [] }, (x: Tensor) => x, { lossFunc: accuracy }),
    // @ts-expect-error momentums are three
    () => new Learner({ train: [] }, new nn.Linear(1, 1), { lossFunc: accuracy, moms: [0.9, 0.8] }),
  ]
  for (const make of refused) t.throws(make, { code: 'ERR_INVALID_ARG' })
})

test('what entry points return', async t => {
  const learn = new Learner({ train: tinyBatches(2) }, tinyModel(), {
    lossFunc: new CrossEntropyLossFlat(),
    metrics: [new F1Score({ average: 'macro' }), RocAuc, rmse],
  })
  const { valley, losses }: { valley: number; losses: number[] } = await learn.lrFind({ numIt: 6 })
  const { label, probs }: Prediction = await learn.predict(tinyBatches(1, 1)[0][0].select(0, 0))
  const text: string = learn.showTrainingLoop()
  const reduced: number = learn.lossNotReduced(() => 1)
  const awaited: string = await learn.lossNotReduced(async () => 'x')
  t.true(valley > 0 && losses.length === 6 && probs.numel === 3 && label !== null)
  t.deepEqual([typeof text, reduced, awaited], ['string', 1, 'x'])
  // @ts-expect-error metrics know no such average
  t.throws(() => new F1Score({ average: 'mean' }), { code: 'ERR_INVALID_ARG' })
})

/** Whether two types are the same, to the compiler. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(verdict: Same<A, B>): boolean => verdict

test('a callback of one’s own: event names, this.learn, handlers', t => {
  class Own extends Callback {
    seen = 0
    override afterBatch(): void {
      const { learn } = this
      t.true(same<typeof learn, Learner>(true))
      t.true(same<typeof learn.pred, Tensor | null>(true))
      t.true(same<typeof learn.xb, Tensor[]>(true))
      t.true(same<typeof learn.opt, Optimizer | null>(true))
      this.seen += learn.iter ?? 0
    }
    override async beforeFit(): Promise<void> {
      await this.learn.observed()
    }
  }
  const names: EventName[] = ['afterCreate', 'beforeStep', 'afterCancelEpoch', 'afterFit']
  t.true(same<Parameters<NonNullable<CallbackHandlers['afterLoss']>>, [callback: Callback]>(true))
  t.true(same<ReturnType<Learner['emit']>, Promise<void>>(true))
  const handlers: CallbackHandlers = { order: 3, afterLoss: ({ learn }) => void learn.loss?.item() }
  t.is(new Callback(handlers).order, 3)
  t.is(new Own().seen + names.length, 4)
  class Wrong extends Callback {
    // @ts-expect-error events take no arguments but `this`
    override beforeBatch(batch: Tensor): void {
      batch.dispose()
    }
  }
  // @ts-expect-error there is no such event
  const wrong: EventName = 'before_batch'
  t.true(new Wrong() instanceof Callback && wrong.length > 0)
})

test('what lrFind and getPreds return depends on what was asked for', async t => {
  const learn = tinyLearner()
  const all = await learn.lrFind({ numIt: 6 })
  t.true(same<keyof typeof all, 'valley' | 'slide' | 'minimum' | 'steep' | 'lrs' | 'losses'>(true))
  const two = await learn.lrFind({ numIt: 6, suggestFuncs: ['valley', 'steep'] })
  t.true(same<keyof typeof two, 'valley' | 'steep' | 'lrs' | 'losses'>(true))
  const own = await learn.lrFind({ numIt: 6, suggestFuncs: { last: lrs => lrs[lrs.length - 1] ?? 1, steep: 'steep' } })
  t.true(same<keyof typeof own, 'last' | 'steep' | 'lrs' | 'losses'>(true))
  t.true(same<typeof own.last, number>(true))
  // @ts-expect-error there is no such way to read the curve
  await t.throwsAsync(learn.lrFind({ suggestFuncs: ['hill'] }), { code: 'ERR_INVALID_ARG' })
  const { preds } = await learn.getPreds()
  t.true(same<typeof preds, Tensor>(true))
  const { preds: none, targs } = await learn.getPreds({ withPreds: false })
  t.true(same<typeof none, null>(true) && same<typeof targs, Tensor | null>(true))
})

test('models of several outputs: loss and metrics get arrays', t => {
  class Two extends nn.Module<[Tensor], Tensor[]> {
    weight = new nn.Parameter(tensor([1]))
    forward(x: Tensor): Tensor[] {
      return [x, x.mul(this.weight)]
    }
  }
  const dls = { train: tinyBatches(1) }
  const learn = new Learner(dls, new Two(), {
    lossFunc: ([a, b], y) => a.sub(y).add(b).mean(),
    metrics: ([a], y) => a.sub(y).mean(),
  })
  t.true(same<typeof learn.preds, Tensor[]>(true))
  t.true(same<typeof learn.output, Tensor | readonly Tensor[] | null>(true))
  // @ts-expect-error a loss of one output
  const wrong = () => new Learner(dls, new Two(), { lossFunc: (pred: Tensor, y: Tensor) => pred.sub(y) })
  t.is(typeof wrong, 'function')
})
