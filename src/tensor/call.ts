import { invalidArgument, isPlainObject, isThenable, TorchLearnerError, unreadable } from '../check/index.js'
import { type CallResult, native, type TaggedValue } from '../native/index.js'
import { context } from './context.js'
import { Generator } from './random.js'
import { refuseAbandoned } from './run.js'
import { Tensor } from './tensor.js'

/** What an operator takes. Tensors may be missing from a list of optional tensors: `x.index([null, i])`. */
export type OpArgument =
  | Tensor
  | number
  | bigint
  | boolean
  | string
  | null
  | undefined
  | readonly number[]
  | readonly boolean[]
  | readonly (Tensor | null)[]
  | object

const TENSOR = 1
const NUMBER = 2
const OTHER = 3

const indices = new Map<string, number>()

/** The addon's number of an operator such as `aten::add`; throws when there is none of that name. */
export function operatorIndex(name: string): number {
  let index = indices.get(name)
  if (index === undefined) {
    index = native.op(name)
    if (index < 0) {
      throw new TorchLearnerError(
        'ERR_INVALID_ARG',
        `Expected the name of a registered operator but received ${name}: libtorch and torch-learner have none of that name`,
      )
    }
    indices.set(name, index)
  }
  return index
}

/** `keepDim` as `keep_dim`; names that PyTorch writes with capitals (`A`, `LU`, `Vh`) stay as they are. */
export function snake(name: string): string {
  return name.replace(/(?<=[a-z0-9])[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

const argumentNames = new Map<string, number>()

function argumentName(name: string): number {
  let id = argumentNames.get(name)
  if (id === undefined) {
    id = native.argumentName(snake(name))
    argumentNames.set(name, id)
  }
  return id
}

/** No operator takes longer lists; an array may claim any length. */
const LONGEST = 2 ** 20

/** Numbers and booleans go as they are, tensors (and holes between them) as handles. */
function lowerList(list: readonly unknown[]): unknown {
  if (list.length > LONGEST) throw invalidArgument('a list', `at most ${LONGEST} items`, list)
  const first = typeof list[0]
  if (list.length === 0 || first === 'number' || first === 'boolean') return list
  const handles = new Float64Array(list.length)
  for (let i = 0; i < list.length; i++) {
    const item = list[i]
    if (item instanceof Tensor) handles[i] = item.handle
    else if (item === null || item === undefined) handles[i] = -1
    else {
      throw invalidArgument(`item ${i} of a list`, 'a number, a boolean or a tensor, and all items of one kind', item)
    }
  }
  return handles
}

function lower(value: OpArgument): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return lowerList(value)
  if (value instanceof Generator) return value.native
  throw invalidArgument(
    "an operator's argument",
    'a tensor, number, boolean, string, array, Generator or null',
    value,
    'Wrap typed arrays with tensor() or asTensor()',
  )
}

/**
 * Records a call of operator number `index` on the native stream and returns its results at once.
 *
 * @param args the positional arguments; a plain object at the end holds named ones, in camelCase or snake_case
 */
export function callOperator(index: number, args: readonly OpArgument[]): unknown {
  try {
    return record(index, args)
  } catch (error) {
    throw unreadable("an operator's arguments", args, error)
  }
}

function record(index: number, args: readonly OpArgument[]): unknown {
  const last = args.length - 1
  const options = last >= 0 && isPlainObject(args[last]) ? (args[last] as Record<string, OpArgument>) : null
  const count = options === null ? args.length : last
  const lowered: unknown[] = new Array(count)
  let hints0 = 0
  let hints1 = 0
  const note = (position: number, hint: number) => {
    if (position < 16) hints0 |= hint << (2 * position)
    else hints1 |= hint << (2 * (position - 16))
  }
  for (let i = 0; i < count; i++) {
    const value = args[i]
    if (value instanceof Tensor) {
      lowered[i] = value.handle
      note(i, TENSOR)
    } else if (typeof value === 'number') {
      lowered[i] = value
      note(i, NUMBER)
    } else if (value !== undefined) {
      lowered[i] = lower(value)
      note(i, OTHER)
    }
  }
  let named = 0
  if (options !== null) {
    for (const key in options) {
      const value = options[key]
      if (value === undefined) continue
      const hint = value instanceof Tensor ? TENSOR : typeof value === 'number' ? NUMBER : OTHER
      lowered.push(argumentName(key), value instanceof Tensor ? value.handle : lower(value))
      note(count + named++, hint)
    }
  }
  const { flags, scope, origin, run } = context()
  if (run?.isAbandoned) refuseAbandoned('an operator')
  const result = native.call(index, flags | (named << 8), origin, hints0 >>> 0, hints1 >>> 0, ...lowered)
  return typeof result === 'number' ? own(result, args, options, scope) : lift(result, args, options)
}

/** The tensor of a handle: an argument itself when the operator worked in place, a new one otherwise. */
function own(
  handle: number,
  args: readonly OpArgument[],
  options: Record<string, OpArgument> | null,
  scope = context().scope,
): Tensor {
  for (const arg of args) {
    if (arg instanceof Tensor && arg.handle === handle) return arg.written()
  }
  for (const key in options) {
    const arg = options[key]
    if (arg instanceof Tensor && arg.handle === handle) return arg.written()
  }
  return new Tensor(handle, scope)
}

function lift(result: CallResult, args: readonly OpArgument[], options: Record<string, OpArgument> | null): unknown {
  if (result === undefined) {
    for (const arg of args.flat()) if (arg instanceof Tensor) arg.written()
    return undefined
  }
  if (isThenable(result)) return result.then(unwrap)
  if (Array.isArray(result) && typeof result[0] === 'number') {
    return (result as number[]).map(handle => own(handle, args, options))
  }
  return unwrap(result as TaggedValue)
}

function unwrap(value: TaggedValue): unknown {
  if (Array.isArray(value)) return value.map(unwrap)
  return typeof value === 'object' && value !== null ? new Tensor(value.tensor) : value
}
