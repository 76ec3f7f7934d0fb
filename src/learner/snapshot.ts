import { keepModes } from '../nn/index.js'
import type { Optimizer, OptimizerState } from '../optim/index.js'
import { mark, noGrad, rng, type Tensor } from '../tensor/index.js'
import type { BatchLoader } from './data.js'
import type { Learner } from './learner.js'
import { Recorder } from './recorder.js'

/**
 * Everything a run changes in a Learner, kept in native memory: parameters, buffers, modes, the optimizer, the random
 * numbers (libtorch's generators for the CPU and for the Learner's device, the loaders' own), the Recorder and the state
 * of the loop.
 */
export class Snapshot {
  readonly #restorers: (() => void)[]
  readonly #copies: Tensor[]

  private constructor(restorers: (() => void)[], copies: Tensor[]) {
    this.#restorers = restorers
    this.#copies = copies
  }

  /** Waits until everything queued has run. Makes the optimizer if there is none yet. */
  static async take(learn: Learner): Promise<Snapshot> {
    const opt = learn.opt ?? learn.createOpt()
    await mark()
    const copies: Tensor[] = []
    const copy = (tensor: Tensor): Tensor => {
      const made = noGrad(() => tensor.clone()).keep()
      copies.push(made)
      return made
    }
    const restorers = [loopOf(learn), modelOf(learn, copy), optimizerOf(learn, opt, copy), recorderOf(learn)]
    restorers.push(loaderOf(learn.dls.train), loaderOf(learn.dls.valid))
    for (const device of new Set(['cpu', learn.device])) {
      const random = rng.getState(device).keep()
      copies.push(random)
      restorers.push(() => rng.setState(random, device))
    }
    await mark()
    return new Snapshot(restorers, copies)
  }

  /** Puts everything back, and frees the copies: once. */
  async restore(): Promise<void> {
    await mark()
    for (const restore of this.#restorers) restore()
    await mark()
    for (const copy of this.#copies) copy.dispose()
  }
}

function loopOf(learn: Learner): () => void {
  const { dls, epoch, nEpoch, iter, nIter, trainIter, pctTrain, training, smoothLoss, finalRecord } = learn
  return () => {
    Object.assign(learn, {
      ...{ dls, epoch, nEpoch, iter, nIter, trainIter, pctTrain, training, smoothLoss, finalRecord },
    })
  }
}

function modelOf({ model }: Learner, copy: (tensor: Tensor) => Tensor): () => void {
  const restoreModes = keepModes(model)
  const tensors = new Set([...model.namedState()].map(([, tensor]) => tensor))
  const saved = Array.from(tensors, tensor => [tensor, copy(tensor)] as const)
  return () => {
    restoreModes()
    noGrad(() => {
      for (const [tensor, before] of saved) tensor.copy_(before)
    })
  }
}

function optimizerOf(learn: Learner, opt: Optimizer, copy: (tensor: Tensor) => Tensor): () => void {
  const saved = copyState(opt.stateDict(), copy)
  return () => {
    learn.opt = opt
    opt.zeroGrad()
    opt.loadStateDict(saved)
  }
}

function copyState(saved: OptimizerState, copy: (tensor: Tensor) => Tensor): OptimizerState {
  const state = saved.state.map(({ tensors, ...flags }) => ({
    ...flags,
    tensors: Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, copy(tensor)])),
  }))
  return { ...saved, state, ...(saved.slowWeights && { slowWeights: saved.slowWeights.map(copy) }) }
}

/** The random numbers that a loader has of its own. */
function loaderOf(loader: BatchLoader | undefined): () => void {
  const state = loader?.getState?.()
  return () => {
    if (state !== undefined) loader?.setState?.(state)
  }
}

/** A fit gives the Recorder new lists, and leaves the old ones as they were. */
function recorderOf(learn: Learner): () => void {
  const recorder = learn.callback(Recorder)
  if (!recorder) return () => undefined
  const { lrs, losses, iters, values, metricNames, hps } = recorder
  return () => {
    Object.assign(recorder, { lrs, losses, iters, values, metricNames, hps })
  }
}
