// Searches for a learning rate, in whatever sizes the recordings have.
import { CrossEntropyLossFlat, Learner, nn } from 'torch-learner'
import { type Fixture, toTensor } from './golden.js'

export interface FindRun {
  num_it: number
  start_lr: number
  end_lr: number
  weights: Record<string, Fixture>
  train: Fixture[][]
  lrs: number[]
  smooth_losses: (number | string)[]
  stopped_after: number
  suggestions: Partial<Record<'valley' | 'slide' | 'minimum' | 'steep', number>>
  lr_after: number[]
}

/** Linear layers where the recording has weights, ReLUs between them. */
export function findLearner({ weights, train }: Pick<FindRun, 'weights' | 'train'>): Learner {
  const last = Math.max(...Object.keys(weights).map(name => Number.parseInt(name, 10)))
  const layers = Array.from({ length: last + 1 }, (_, i) => {
    const [outputs, inputs] = weights[`${i}.weight`]?.shape ?? []
    return outputs === undefined ? new nn.ReLU() : new nn.Linear(inputs, outputs)
  })
  const model = new nn.Sequential(...layers)
  model.loadStateDict(Object.fromEntries(Object.entries(weights).map(([name, value]) => [name, toTensor(value)])))
  const dls = { train: train.map(batch => batch.map(toTensor)), valid: [] }
  return new Learner(dls, model, { lossFunc: new CrossEntropyLossFlat() })
}
