import type { OptimizerState } from '../../optim/index.js'
import { noGrad, rng, type Tensor } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import type { Callback } from '../loop/callback.js'
import type { CallbackState, SavedCallbackState } from '../loop/callback-state.js'
import type { Awaitable } from '../loop/events.js'
import type { LoopState } from '../loop/loop-state.js'

/** A part of a run's state: read as plain values and tensors, and written back from such. */
interface StatePart<Saved> {
  /** Tensors are those in use, and have to be copied by whoever keeps them. */
  read(learn: Learner): Saved
  write(learn: Learner, saved: Saved): Awaitable<void>
}

type SavedLoop = Pick<LoopState, 'epoch' | 'trainIter' | 'pctTrain' | 'smoothLoss' | 'finalRecord' | 'training'>
/** What the loaders' `getState` gave; `null` for loaders without it. */
interface SavedLoaders {
  train: unknown
  valid: unknown
}

/**
 * What a run changes in a Learner, part by part. It has two sinks: the {@link Snapshot}, which keeps copies in memory, and
 * the Checkpoint's file, where tensors have names and the rest is JSON. Each says which parts it takes, and in which order
 * they are put back.
 */
export const runState = {
  /** Where the fit stands. */
  loop: {
    read: ({ epoch, trainIter, pctTrain, smoothLoss, finalRecord, training }: Learner): SavedLoop => {
      return { epoch, trainIter, pctTrain, smoothLoss, finalRecord, training }
    },
    write: (learn: Learner, saved: SavedLoop): void => void Object.assign(learn, saved),
  },
  /** For each module, whether it is in training mode. */
  modes: {
    read: ({ model }: Learner): boolean[] => model.modules().map(module => module.training),
    write: ({ model }: Learner, saved: readonly boolean[]): void => {
      for (const [i, module] of model.modules().entries()) module.training = saved[i] ?? module.training
    },
  },
  /** Parameters and buffers, by name; a shared one is the same tensor under each of its names. */
  model: {
    read: ({ model }: Learner): Map<string, Tensor> => new Map(model.namedState()),
    write: ({ model }: Learner, saved: ReadonlyMap<string, Tensor>): void => void model.loadStateDict(saved),
  },
  /** Gradients, by the parameter's name. */
  gradients: {
    read: ({ model }: Learner): Map<string, Tensor> => {
      const found = new Map<string, Tensor>()
      for (const [name, { grad }] of model.namedParameters()) if (grad) found.set(name, grad)
      return found
    },
    write: ({ model }: Learner, saved: ReadonlyMap<string, Tensor>): void => {
      for (const [name, parameter] of model.namedParameters()) {
        const grad = saved.get(name)
        // in the parameter's layout, as a backward pass would have left it
        parameter.grad = grad ? noGrad(() => parameter.detach().emptyLike().copy_(grad)).keep() : null
      }
    },
  },
  /** Moments and hyper-parameters; `null` while there is no optimizer. */
  optimizer: {
    read: ({ opt }: Learner): OptimizerState | null => opt?.stateDict() ?? null,
    write: (learn: Learner, saved: OptimizerState | null): void => {
      if (saved) (learn.opt ?? learn.createOpt()).loadStateDict(saved)
    },
  },
  /** libtorch's generators that a run draws from, by device. Wait for queued draws (`rng.ready`) before. */
  generators: {
    read: ({ device }: Learner): Map<string, Tensor> => {
      return new Map([...new Set(['cpu', device])].map(name => [name, rng.getState(name)]))
    },
    write: ({ device }: Learner, saved: ReadonlyMap<string, Tensor>): void => {
      for (const [name, state] of saved) if (name === 'cpu' || name === device) rng.setState(state, name)
    },
  },
  /** The random numbers that loaders have of their own. */
  loaders: {
    read: ({ dls: { train, valid } }: Learner): SavedLoaders => {
      return { train: train.getState?.() ?? null, valid: valid?.getState?.() ?? null }
    },
    write: ({ dls: { train, valid } }: Learner, saved: SavedLoaders): void => {
      if (saved.train !== null) train.setState?.(saved.train)
      if (saved.valid !== null) valid?.setState?.(saved.valid)
    },
  },
  /** What callbacks say that they need, under a name for each. */
  callbacks: {
    read: (learn: Learner): Map<string, CallbackState> => {
      return new Map([...stateful(learn)].map(([name, callback]) => [name, callback.saveState?.() ?? {}]))
    },
    write: async (learn: Learner, saved: ReadonlyMap<string, SavedCallbackState>): Promise<void> => {
      for (const [name, callback] of stateful(learn)) {
        const state = saved.get(name)
        if (state) await callback.loadState?.(state)
      }
    },
  },
} satisfies Record<string, StatePart<unknown>>

/** The callbacks that have a state, each under its own name, with a number if another one has it too. */
export function stateful(learn: Learner): Map<string, Callback> {
  const seen = new Map<string, number>()
  const found = new Map<string, Callback>()
  for (const callback of learn.cbs) {
    const nth = seen.get(callback.name) ?? 0
    seen.set(callback.name, nth + 1)
    if (callback.saveState) found.set(nth === 0 ? callback.name : `${callback.name}:${nth}`, callback)
  }
  return found
}
