import { checkValue, type Field, field, flag, func, instance, TorchLearnerError, whole } from '../../check/index.js'
import { refuseAbandoned, Tensor } from '../../tensor/index.js'

const isTensor = (value: unknown): boolean => value instanceof Tensor
const isTensors = (value: unknown): boolean => Array.isArray(value) && value.every(isTensor)

/** What fields of a Learner hold. */
export const kinds = {
  flag,
  number: field<number>('a number', value => typeof value === 'number'),
  count: whole(0, Infinity, 'a whole number of at least 0'),
  func: func(),
  tensor: instance<Tensor>(Tensor, 'a Tensor'),
  tensors: field<readonly Tensor[]>('an array of Tensors', isTensors),
  output: field<Tensor | readonly Tensor[]>(
    'a Tensor, an array of Tensors',
    value => isTensor(value) || (Array.isArray(value) && value.length > 0 && isTensors(value)),
  ),
  row: field<(number | null)[]>(
    'an array of numbers and null',
    value => Array.isArray(value) && value.every(cell => cell === null || typeof cell === 'number'),
  ),
}

/**
 * Has fields of a class refuse what they can't hold, at the moment it is assigned: later on it would fail somewhere in the
 * loop, as someone else's error. The class declares them (`declare bs: number`) and sets them in its constructor.
 *
 * @param owner how messages call the object
 */
export function guard<T extends object>(
  type: { readonly prototype: T },
  owner: string,
  fields: { readonly [K in keyof T & string]?: Field<unknown> },
): void {
  for (const [name, kind] of Object.entries<Field<unknown> | undefined>(fields)) {
    if (!kind) continue
    const values = new WeakMap<object, unknown>()
    Object.defineProperty(type.prototype, name, {
      configurable: true,
      enumerable: true,
      get(this: object) {
        return values.get(this)
      },
      set(this: object, value: unknown) {
        refuseAbandoned(`${owner}.${name}`)
        checkValue(kind, value, `${owner}.${name}`)
        values.set(this, value)
      },
    })
  }
}

/** Has properties that can only be read say so, and what to do instead. */
export function readOnly<T extends object>(
  type: { readonly prototype: T },
  owner: string,
  fields: { readonly [K in keyof T & string]?: string },
): void {
  for (const [name, remedy] of Object.entries(fields)) {
    const { get } = Object.getOwnPropertyDescriptor(type.prototype, name) ?? {}
    const set = (): never => {
      throw new TorchLearnerError('ERR_STATE', `${owner}.${name} can only be read: ${remedy}`)
    }
    Object.defineProperty(type.prototype, name, { configurable: true, enumerable: false, get, set })
  }
}
