import { field, instance } from '../../check/index.js'
import { Module } from '../../nn/index.js'
import { Optimizer } from '../../optim/index.js'
import { Learner } from '../learner.js'
import { learnerSchema, needed } from '../options.js'
import { guard, kinds, readOnly } from './guard.js'

// What a Learner's constructor takes may be set later too, and is checked in the same way.
const { lr, wd, moms, path, modelDir } = learnerSchema.shape

guard(Learner, 'learn', {
  model: instance<unknown>(Module, 'a Module'),
  lossFunc: kinds.func,
  optFunc: kinds.func,
  opt: field('an Optimizer', value => value instanceof Optimizer).nullable(),
  lr: needed(lr),
  wd: needed(wd).nullable(),
  moms: needed(moms),
  splitter: kinds.func,
  path: needed(path),
  modelDir: needed(modelDir),
})
readOnly(Learner, 'learn', {
  cbs: 'call learn.addCb and learn.removeCb',
  recorder: 'call learn.addCb(new Recorder(...))',
  isRunning: 'it says whether the Learner is at work',
  purpose: 'it says what the run under way is for; a run is given its purpose by the method that is called',
})
