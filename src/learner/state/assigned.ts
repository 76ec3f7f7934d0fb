import { Module } from '../../nn/index.js'
import { Optimizer } from '../../optim/index.js'
import { Learner } from '../learner.js'
import { kindOf, learnerSchema } from '../options.js'
import { guard, kinds, orNull, readOnly } from './guard.js'

// What a Learner's constructor takes may be set later too, and is checked alike.
const { lr, wd, moms, path, modelDir } = learnerSchema.shape

guard(Learner, 'learn', {
  model: ['a Module', value => value instanceof Module],
  lossFunc: kinds.func,
  optFunc: kinds.func,
  opt: orNull(['an Optimizer', value => value instanceof Optimizer]),
  lr: kindOf(lr),
  wd: orNull(kindOf(wd)),
  moms: kindOf(moms),
  splitter: kinds.func,
  path: kindOf(path),
  modelDir: kindOf(modelDir),
})
readOnly(Learner, 'learn', {
  cbs: 'call learn.addCb and learn.removeCb',
  recorder: 'call learn.addCb(new Recorder(...))',
  isRunning: 'it says whether the Learner is at work',
  purpose: 'it says what the run under way is for; a run is given its purpose by the method that is called',
})
