export type { NativeAddon } from './addon.js'
export { describe, type ErrorCode, invalidArgument, TorchLearnerError, typeName } from './errors.js'
