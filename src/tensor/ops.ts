import { invalidArgument, TorchLearnerError } from '../check/index.js'
import { callOperator, type OpArgument, operatorIndex, snake } from './call.js'
import { isDType } from './dtype.js'
import type { AtenFunctions } from './generated/functions.js'
import { irregularNames, methodNames, selfPositions } from './generated/names.js'
import type { OwnFunctions } from './generated/own.js'
import { Tensor } from './tensor.js'
import { unsafeKind } from './unsafe.js'

/** An operator as a function: positional arguments, then named ones in an object. */
export type Operator = (...args: OpArgument[]) => unknown

function namespace(name: string, checked: boolean): Record<string, Operator> {
  return new Proxy(Object.create(null), {
    get(cache: Record<string, Operator>, key): Operator | undefined {
      if (typeof key !== 'string') return undefined
      const full = `${name}::${irregularNames[key] ?? snake(key)}`
      cache[key] ??= checked ? operator(full) : anyOperator(full)
      return cache[key]
    },
  })
}

const unsafe: Record<string, Record<string, Operator>> = new Proxy(Object.create(null), {
  get(cache: Record<string, Record<string, Operator>>, key): Record<string, Operator> | undefined {
    if (typeof key !== 'string') return undefined
    cache[key] ??= namespace(key, false)
    return cache[key]
  },
})

/**
 * The public operator of that full name, `aten::conv2d`, looked up when it is first called. One that doesn't check its
 * arguments is refused then: see {@link ops}.
 */
export function operator(name: string): Operator {
  const kind = typeof name === 'string' ? unsafeKind(name) : null
  if (kind === null) return anyOperator(name)
  return () => {
    throw new TorchLearnerError(
      'ERR_INVALID_ARG',
      `Expected a public operator but received ${name}, which is ${kind}: it doesn't check its arguments, and a wrong ` +
        `one can end the process; if you need it all the same, call ops.unsafe.${name.replace('::', '.')}`,
    )
  }
}

/** {@link operator} for private ones, too. */
function anyOperator(name: string): Operator {
  if (typeof name !== 'string')
    throw invalidArgument('name', 'the full name of an operator, such as aten::conv2d,', name)
  let index = -1
  return (...args) => {
    if (index < 0) index = operatorIndex(name)
    return callOperator(index, args)
  }
}

/**
 * Every public operator that libtorch and torch-learner have registered, by namespace: `ops.aten.conv2d(x, w, null, [2, 2])`,
 * `ops.torch_learner.mixup(x, perm, lam)`. The overload is chosen from the arguments, as PyTorch does.
 */
export const ops = {
  aten: namespace('aten', true) as AtenFunctions & Record<string, Operator>,
  torch_learner: namespace('torch_learner', true) as OwnFunctions & Record<string, Operator>,
  /**
   * All operators of all namespaces, private ones, those for quantised tensors and those of one backend's library
   * included: `ops.unsafe.aten._foreach_mul(tensors, 2)`. Nobody checks their arguments: a wrong one can end the process.
   */
  unsafe,
}

/** @internal `ops.aten` with the typings of the schemas alone: what doesn't fit them doesn't compile. */
export const aten: AtenFunctions = ops.aten

/** @internal `ops.torch_learner`, in the same way. */
export const own: OwnFunctions = ops.torch_learner

/** @internal An operator with one tensor as result, for those that have no typings: private ones. */
export function tensorOperator(name: string): (...args: OpArgument[]) => Tensor {
  return anyOperator(name) as (...args: OpArgument[]) => Tensor
}

/** @internal One with a list of tensors as result. */
export function listOperator(name: string): (...args: OpArgument[]) => Tensor[] {
  return anyOperator(name) as (...args: OpArgument[]) => Tensor[]
}

function install(method: string, name: string): void {
  const full = `aten::${name}`
  const position = selfPositions[method] ?? 0
  let index = -1
  const call = function (this: Tensor, ...args: OpArgument[]): unknown {
    if (index < 0) index = operatorIndex(full)
    if (position === 0) args.unshift(this)
    else args.splice(position, 0, this)
    return callOperator(index, args)
  }
  Object.defineProperty(call, 'name', { value: method })
  Object.defineProperty(Tensor.prototype, method, {
    value: call,
    writable: true,
    configurable: true,
    enumerable: false,
  })
}

for (const [method, name] of Object.entries(methodNames)) install(method, name)
install('_backward', '_backward')

/** `x.to('cuda')`: PyTorch takes a device alone, which no schema has. */
const toSchema = Tensor.prototype.to as (this: Tensor, ...args: OpArgument[]) => Tensor
function to(this: Tensor, ...args: OpArgument[]): Tensor {
  const [first, options] = args
  const deviceAlone = typeof first === 'string' && !isDType(first) && typeof options !== 'string'
  return deviceAlone && args.length <= 2
    ? toSchema.call(this, { ...(options as object | undefined), device: first })
    : toSchema.apply(this, args)
}
Object.defineProperty(Tensor.prototype, 'to', { value: to, writable: true, configurable: true, enumerable: false })
