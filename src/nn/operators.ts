import { anyOperator, type OpArgument, type Tensor } from '../tensor/index.js'

/** An operator with one tensor as result, looked up at its first call. */
export function tensorOperator(name: string): (...args: OpArgument[]) => Tensor {
  return anyOperator(name) as (...args: OpArgument[]) => Tensor
}

/** An operator with several tensors as results. */
export function tensorsOperator(name: string): (...args: OpArgument[]) => Tensor[] {
  return anyOperator(name) as (...args: OpArgument[]) => Tensor[]
}
