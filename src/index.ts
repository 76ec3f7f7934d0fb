export { type ErrorCode, TorchLearnerError } from './native/index.js'
export * from './tensor/index.js'
