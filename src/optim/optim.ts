// What users find in `optim`: optimizers.
export { Adam, type AdamOptions } from './adam.js'
export { type HyperValue, Slice, slice } from './hyper.js'
export { Lamb, type LambOptions } from './lamb.js'
export { Larc, type LarcOptions } from './larc.js'
export { Lookahead, type LookaheadOptions, type RangerOptions, ranger } from './lookahead.js'
export {
  type OptFunc,
  Optimizer,
  type OptimizerState,
  type ParamFlags,
  type ParamGroup,
  type ParamsOrGroups,
} from './optimizer.js'
export { QHAdam, type QHAdamOptions } from './qhadam.js'
export { RAdam, type RAdamOptions } from './radam.js'
export { RMSProp, type RMSPropOptions } from './rmsprop.js'
export { SGD, type SGDOptions } from './sgd.js'
