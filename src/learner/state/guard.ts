import { invalidArgument, TorchLearnerError } from '../../check/index.js'
import { refuseAbandoned, Tensor } from '../../tensor/index.js'

/** What a field may hold: said, and tested. */
export type Kind = readonly [what: string, fits: (value: unknown) => boolean]

const isTensor = (value: unknown): boolean => value instanceof Tensor
const isTensors = (value: unknown): boolean => Array.isArray(value) && value.every(isTensor)

/** The same, or `null`. */
export function orNull([what, fits]: Kind): Kind {
  return [`${what} or null`, value => value === null || fits(value)]
}

/** What fields of a Learner hold. */
export const kinds = {
  flag: ['true or false', value => typeof value === 'boolean'],
  number: ['a number', value => typeof value === 'number'],
  count: ['a whole number of at least 0', value => Number.isSafeInteger(value) && Number(value) >= 0],
  func: ['a function', value => typeof value === 'function'],
  tensor: ['a Tensor', isTensor],
  tensors: ['an array of Tensors', isTensors],
  output: [
    'a Tensor, an array of Tensors',
    value => isTensor(value) || (Array.isArray(value) && value.length > 0 && isTensors(value)),
  ],
  row: [
    'an array of numbers and null',
    value => Array.isArray(value) && value.every(cell => cell === null || typeof cell === 'number'),
  ],
} as const satisfies Record<string, Kind>

/**
 * Has fields of a class refuse what they can't hold, at the moment it is assigned: later on it would fail somewhere in the
 * loop, as somebody else's error. The class declares them (`declare bs: number`) and sets them in its constructor.
 *
 * @param owner how messages call the object
 */
export function guard<T extends object>(
  type: { readonly prototype: T },
  owner: string,
  fields: { readonly [K in keyof T & string]?: Kind },
): void {
  for (const [name, kind] of Object.entries<Kind | undefined>(fields)) {
    if (!kind) continue
    const [what, fits] = kind
    const values = new WeakMap<object, unknown>()
    Object.defineProperty(type.prototype, name, {
      configurable: true,
      enumerable: true,
      get(this: object) {
        return values.get(this)
      },
      set(this: object, value: unknown) {
        refuseAbandoned(`${owner}.${name}`)
        if (!fits(value)) throw invalidArgument(`${owner}.${name}`, what, value)
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
