// What the other folders of src/ may use. What users get of it, src/index.ts lists.
export { grad } from './autograd.js'
export type { OpArgument } from './call.js'
export { type ChannelArithmetic, channelwise, PendingChannels } from './channelwise.js'
export { autocast, context, enableGrad, isGradEnabled, noGrad, outsideRuns } from './context.js'
export {
  arange,
  asTensor,
  cat,
  empty,
  eye,
  full,
  linspace,
  ones,
  ownTensor,
  type RandomOptions,
  rand,
  randint,
  randn,
  randperm,
  type Shape,
  stack,
  type TensorOptions,
  tensor,
  where,
  zeros,
} from './create.js'
export type { DataOptions, Device, DType, MemoryFormat, TypedArray, TypedInput } from './dtype.js'
export { isDType, isFloat } from './dtype.js'
export { cloneAll, copyAll, type Outline, outlinesOf } from './lists.js'
export { listOf, unnest } from './nested.js'
export { aten, type Operator, operator, ops, own, tensorOperator } from './ops.js'
export { Generator, hostRandom, manualSeed } from './random.js'
export { rng } from './rng.js'
export { aheadOfTurn, at, type Place, Run, refuseAbandoned } from './run.js'
export {
  cuda,
  emptyCache,
  getNumThreads,
  mark,
  memoryStats,
  setNumThreads,
  synchronize,
  synchronizeSync,
} from './runtime.js'
export { type ScopeOptions, scope, scopeSize } from './scope.js'
export { type Deferral, type NestedArray, Tensor } from './tensor.js'
export { onUnreadError, reportUnread, type UnreadErrorHandler } from './unread.js'
