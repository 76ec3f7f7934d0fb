import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Callback, DataLoader, type Learner, manualSeed, randint, randn, TensorDataset } from 'torch-learner'
import { tinyLearner } from './learning.js'

/** A folder of its own for a test. */
export const folder = () => mkdtemp(join(tmpdir(), 'checkpoint-'))

/** A Learner on data in random order. */
export function learner(path: string, cbs: Callback[] = []): Learner {
  const learn = tinyLearner({ path, cbs })
  manualSeed(9)
  const set = new TensorDataset(randn([20, 2, 3, 3]), randint(0, 3, [20]))
  learn.dls = { train: new DataLoader(set, { bs: 4, shuffle: true }), valid: new DataLoader(set, { bs: 10 }) }
  return learn
}

/** Fails there, after everybody else has done with the event. */
export function failAt(epoch: number, iter: number, event: 'afterBatch' | 'beforeValidate' | 'beforeEpoch'): Callback {
  return new Callback({
    order: 2000,
    [event]: ({ learn }: Callback) => {
      if (learn.epoch === epoch && (event !== 'afterBatch' || (learn.training && learn.iter === iter)))
        throw new Error('power cut')
    },
  })
}
