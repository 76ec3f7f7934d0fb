import { invalidArgument, type ObjectField, type Shape, type Values, Wrong } from '../../check/index.js'
import { Tensor } from '../../tensor/index.js'

/** What a callback or a metric needs to go on in another process: see {@link Callback.saveState}. */
export interface CallbackState {
  /** Whatever JSON can say. Long lists of numbers belong into `tensors`. */
  values?: Record<string, unknown>
  /** Copied by whoever takes them. */
  tensors?: Record<string, Tensor>
}

/** A state as it comes back: both parts there, possibly empty. */
export type SavedCallbackState = Required<CallbackState>

/** What {@link nest} makes of several states. */
interface NestedState {
  values: Record<string, unknown>
  tensors: Record<string, Tensor>
}

/** Several states as one: the values of each under its number, its tensors under number and name. */
export function nest(states: readonly CallbackState[]): NestedState {
  const values: Record<string, unknown> = {}
  const tensors: Record<string, Tensor> = {}
  for (const [i, state] of states.entries()) {
    values[i] = state.values ?? {}
    for (const [name, tensor] of Object.entries(state.tensors ?? {})) tensors[`${i}/${name}`] = tensor
  }
  return { values, tensors }
}

/** The state of number `i` in what {@link nest} has made. */
export function unnest({ values, tensors }: SavedCallbackState, i: number): SavedCallbackState {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(`${i}/`))
  return {
    values: (values[i] ?? {}) as Record<string, unknown>,
    tensors: Object.fromEntries(own.map(([name, tensor]) => [name.slice(`${i}/`.length), tensor])),
  }
}

/**
 * A state as {@link Callback.loadState} takes it, checked: whoever calls it by hand may give it anything.
 *
 * @param whose names the callback or the metric in the message
 * @param schema what there must be among the values
 * @throws TorchLearnerError `ERR_INVALID_ARG`
 */
export function readState<S extends Shape>(
  whose: string,
  state: unknown,
  schema: ObjectField<S>,
): { values: Values<S>; tensors: Record<string, Tensor> } {
  const { values = {}, tensors = {} } = isRecord(state) ? state : { values: null }
  if (isRecord(values) && isRecord(tensors) && Object.values(tensors).every(value => value instanceof Tensor)) {
    const read = schema.read(values)
    if (!(read instanceof Wrong)) return { values: read, tensors: tensors as Record<string, Tensor> }
  }
  throw invalidArgument(`the state of ${whose}`, 'what its saveState gave, { values, tensors },', state)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
