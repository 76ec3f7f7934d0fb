export { Adam, type AdamOptions } from './adam.js'
export { type HyperValue, Slice, slice } from './hyper.js'
export {
  type OptFunc,
  Optimizer,
  type OptimizerState,
  type ParamFlags,
  type ParamGroup,
  type ParamsOrGroups,
} from './optimizer.js'
export { SGD, type SGDOptions } from './sgd.js'
