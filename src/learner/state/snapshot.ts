import type { OptimizerState } from '../../optim/index.js'
import { mark, noGrad, scope, type Tensor } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import { Recorder } from '../report/recorder.js'
import { runState } from './run-state.js'

/**
 * A run's state ({@link runState}) kept in native memory, for runs that are to leave no trace. Gradients are cleared rather
 * than kept. Of the callbacks it is the Recorder's that counts, whose lists come back themselves.
 */
export class Snapshot {
  readonly #write: () => void
  readonly #copies: Map<Tensor, Tensor>

  private constructor(write: () => void, copies: Map<Tensor, Tensor>) {
    this.#write = write
    this.#copies = copies
  }

  /** Waits until everything queued has run. Makes the optimizer if there is none yet. */
  static async take(learn: Learner): Promise<Snapshot> {
    const opt = learn.opt ?? learn.createOpt()
    await mark()
    const copies = new Map<Tensor, Tensor>()
    const copy = (tensor: Tensor): Tensor => {
      const made = copies.get(tensor) ?? noGrad(() => tensor.clone()).keep()
      copies.set(tensor, made)
      return made
    }
    const write = scope(() => writerOf(learn, copy))
    await mark()
    return new Snapshot(() => {
      learn.opt = opt
      opt.zeroGrad()
      write()
    }, copies)
  }

  /** Puts everything back, and frees the copies: once. */
  async restore(): Promise<void> {
    await mark()
    this.#write()
    await mark()
    for (const copy of this.#copies.values()) copy.dispose()
  }
}

/** Reads everything, and returns what puts it back. */
function writerOf(learn: Learner, copy: (tensor: Tensor) => Tensor): () => void {
  const { dls, nEpoch, iter, nIter } = learn
  const loop = { ...runState.loop.read(learn), dls, nEpoch, iter, nIter }
  const modes = runState.modes.read(learn)
  const model = copied(runState.model.read(learn), copy)
  const optimizer = copiedState(runState.optimizer.read(learn), copy)
  const generators = copied(runState.generators.read(learn), copy)
  const loaders = runState.loaders.read(learn)
  const restoreRecorder = recorderOf(learn)
  return () => {
    runState.loop.write(learn, loop)
    runState.modes.write(learn, modes)
    runState.model.write(learn, model)
    runState.optimizer.write(learn, optimizer)
    restoreRecorder()
    runState.loaders.write(learn, loaders)
    runState.generators.write(learn, generators)
  }
}

function copied(tensors: ReadonlyMap<string, Tensor>, copy: (tensor: Tensor) => Tensor): Map<string, Tensor> {
  return new Map(Array.from(tensors, ([name, tensor]) => [name, copy(tensor)]))
}

function copiedState(saved: OptimizerState | null, copy: (tensor: Tensor) => Tensor): OptimizerState | null {
  if (saved === null) return null
  const state = saved.state.map(({ tensors, ...flags }) => ({
    ...flags,
    tensors: Object.fromEntries(copied(new Map(Object.entries(tensors)), copy)),
  }))
  return { ...saved, state, ...(saved.slowWeights && { slowWeights: saved.slowWeights.map(copy) }) }
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
