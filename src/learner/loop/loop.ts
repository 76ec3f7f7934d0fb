import { invalidArgument } from '../../check/index.js'
import { noneReduce } from '../../mix/index.js'
import { at, autocast, noGrad, rng, scope, Tensor } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import { type Batch, type BatchLoader, batches, type PassStart } from './data.js'
import type { EventName } from './events.js'
import type { ModelOutput } from './loop-state.js'
import {
  CancelBackward,
  CancelBatch,
  CancelEpoch,
  CancelFit,
  type CancelSignal,
  CancelStep,
  CancelTrain,
  CancelValid,
} from './signals.js'
import { standing } from './working.js'

/** A level of the loop: its events, and the signal that cancels it. */
interface Level {
  readonly before: EventName
  readonly cancelled: EventName
  readonly after: EventName
  readonly signal: new () => CancelSignal
}

function level(
  name: 'Fit' | 'Epoch' | 'Train' | 'Validate' | 'Batch' | 'Backward' | 'Step',
  signal: Level['signal'],
): Level {
  return { before: `before${name}`, cancelled: `afterCancel${name}`, after: `after${name}`, signal }
}

const FIT = level('Fit', CancelFit)
const EPOCH = level('Epoch', CancelEpoch)
const TRAIN = level('Train', CancelTrain)
const VALIDATE = level('Validate', CancelValid)
const BATCH = level('Batch', CancelBatch)
const BACKWARD = level('Backward', CancelBackward)
const STEP = level('Step', CancelStep)

/**
 * The one idiom of the loop: before, body, and after; a signal of this level is caught and announced. `after` lies
 * outside the `try`, so a signal thrown there travels to the levels around.
 */
async function withEvents(
  learn: Learner,
  { before, cancelled, after, signal }: Level,
  body: () => unknown,
): Promise<void> {
  try {
    await learn.emit(before)
    await body()
  } catch (error) {
    if (!(error instanceof signal)) throw error
    await learn.emit(cancelled)
  }
  await learn.emit(after)
}

/** All epochs of a fit. An abort cancels it like {@link CancelFit}. */
export async function runFit(learn: Learner, signal?: AbortSignal): Promise<void> {
  learn.fitting = 'yes'
  learn.signal = signal ?? null
  learn.firstEpoch = 0
  try {
    await withEvents(learn, FIT, () => runEpochs(learn, signal))
  } finally {
    learn.fitting = 'no'
    learn.signal = null
  }
}

async function runEpochs(learn: Learner, signal?: AbortSignal): Promise<void> {
  try {
    for (let epoch = learn.firstEpoch; epoch < learn.nEpoch; epoch++) {
      learn.epoch = epoch
      await withEvents(learn, EPOCH, () => runEpoch(learn, signal))
    }
  } catch (error) {
    if (signal?.aborted) learn.fitting = 'aborted'
    throw error
  }
}

async function runEpoch(learn: Learner, signal?: AbortSignal): Promise<void> {
  learn.dl = learn.dls.train
  learn.passStart = null
  await withEvents(learn, TRAIN, () => runBatches(learn, learn.dls.train, signal, learn.passStart))
  await runValidation(learn, learn.dls.valid ?? [], signal)
  await learn.pipeline.drain() // an operator's error comes out here, and not as the Recorder's
}

/** One pass over `loader` without gradients, events included. */
export async function runValidation(learn: Learner, loader: BatchLoader, signal?: AbortSignal): Promise<void> {
  learn.dl = loader
  await noGrad(() => withEvents(learn, VALIDATE, () => runBatches(learn, loader, signal)))
}

/**
 * JavaScript runs ahead of the native stream by two batches at most. Everything made in a batch is freed at its end, and
 * the batch itself when its loader made it for us.
 */
async function runBatches(
  learn: Learner,
  loader: BatchLoader,
  signal?: AbortSignal,
  start?: PassStart | null,
): Promise<void> {
  learn.nIter = loader.length
  let i = start?.batch ?? 0
  const next = <T>(take: () => T): T => inPart(learn, 'the data loader', take, i)
  for await (const batch of batches(loader, signal, start, next)) {
    try {
      await learn.pipeline.admit()
      if (loader.fresh && loader.writable) learn.ownBatch(batch)
      await scope(() => runBatch(learn, i++, batch))
    } finally {
      learn.clearBatch()
      if (loader.fresh) for (const tensor of batch) tensor.dispose()
    }
    learn.pipeline.launched()
  }
  if (signal?.aborted) throw new CancelFit('aborted by its signal')
}

/** One batch: split, predict, measure; in training also backward and step. */
export async function runBatch(learn: Learner, i: number, batch: Batch): Promise<void> {
  learn.iter = i
  inPart(learn, 'the data loader', () => learn.split(batch))
  // Host draws (MixUp's) share the generator with dropout: in program order, and without blocking on it.
  if (learn.training) await rng.ready()
  await withEvents(learn, BATCH, () => computeBatch(learn))
}

/** A tensor, or several: nothing else can be kept, moved or measured. */
function checkOutput(output: unknown): ModelOutput {
  if (output instanceof Tensor) return output
  if (Array.isArray(output) && output.length > 0 && output.every(part => part instanceof Tensor)) return output
  throw invalidArgument('what the model returns', 'a Tensor or an array of Tensors', output)
}

function inPrecision(learn: Learner, compute: () => Tensor): Tensor {
  return learn.autocast ? autocast({ dtype: learn.autocast }, compute) : compute()
}

/** The loss of the batch, of each sample where that is wanted: then the loss object is switched for this call only. */
function lossOf({ lossFunc, unreduced, yb }: Learner, output: Tensor): Tensor {
  return unreduced ? noneReduce(lossFunc, each => each(output, ...yb)) : lossFunc(output, ...yb)
}

/** What the loop itself does, as a place of its own. */
function inPart<T>(learn: Learner, part: string, compute: () => T, batch = learn.iter): T {
  return at({ part, ...standing(learn), ...(batch !== null && { batch }) }, compute)
}

async function computeBatch(learn: Learner): Promise<void> {
  const predict = () => learn.model(...learn.xb)
  learn.output = checkOutput(inPart(learn, 'the model', () => inPrecision(learn, predict)))
  await learn.emit('afterPred')
  if (learn.yb.length > 0) {
    const output = learn.output as Tensor // or as many as the model returns: its loss takes what it gives
    const loss = inPart(learn, 'the loss', () => inPrecision(learn, () => lossOf(learn, output)))
    if (!(loss instanceof Tensor)) throw invalidArgument('the result of lossFunc', 'a Tensor', loss)
    learn.lossGrad = loss
    learn.loss = learn.lossGrad.detach().clone()
  }
  await learn.emit('afterLoss')
  if (!learn.training || learn.yb.length === 0) return
  await withEvents(learn, BACKWARD, () => {
    inPart(learn, 'the backward pass', () => learn.lossGrad?.backward())
  })
  await withEvents(learn, STEP, () => inPart(learn, 'the optimizer', () => learn.opt?.step()))
  inPart(learn, 'the optimizer', () => learn.opt?.zeroGrad())
}
