import { inspected, invalidArgument } from './errors.js'
import { isPlainObject } from './kinds.js'
import { type Field, type ObjectField, type Shape, type Values, Wrong } from './schema.js'

/**
 * Checks an options object once, where it enters. An option that is ignored is a bug found late, so that unknown names are
 * errors. Call it once a construction or run, never in the step path.
 *
 * @param schema a strict object of the fields of `check/`, made once a module: `strictObject({ bs: count.default(64) })`
 * @param given what someone passed; undefined is no options
 * @param where whose options they are: `DataLoader`
 * @returns the options with the schema's defaults; each was read once
 * @throws TorchLearnerError `ERR_INVALID_ARG` for the first option that is wrong or unknown
 */
export function checkOptions<S extends Shape>(schema: ObjectField<S>, given: unknown, where: string): Values<S> {
  return checked(schema, given, `${where}'s options`, `${where}'s `)
}

/**
 * {@link checkOptions} of functions, layers and optimizers, whose options messages call by their names alone, as they call
 * arguments: `bias`, and not `Linear's bias`.
 */
export function checkArguments<S extends Shape>(schema: ObjectField<S>, given: unknown, where: string): Values<S> {
  return checked(schema, given, `the options of ${where}`, '')
}

function checked<S extends Shape>(schema: ObjectField<S>, given: unknown, whose: string, prefix: string): Values<S> {
  // tensors are made at every step, most of them without options
  if (given === undefined && !(schema.none instanceof Wrong)) return { ...schema.none }
  return inspected(whose, given, () => {
    const options = given === undefined ? {} : given
    if (!isOptions(options)) throw invalidArgument(whose, schema.what, options)
    const taken = schema.read(options)
    if (!(taken instanceof Wrong)) return taken
    const name = taken.path.join('.')
    throw invalidArgument(name === '' ? whose : prefix + name, taken.what, taken.received)
  })
}

/**
 * Checks one value: an argument, or an option that depends on others.
 *
 * @param field one of `check/`, or made of them
 * @param name as the caller knows it: `kernelSize`
 * @returns the value, with the field's default
 * @throws TorchLearnerError `ERR_INVALID_ARG`
 */
export function checkValue<T>(field: Field<T>, value: unknown, name: string): T {
  return inspected(name, value, () => {
    const taken = field.read(value)
    if (!(taken instanceof Wrong)) return taken
    throw invalidArgument([name, ...taken.path].join('.'), taken.what, taken.received)
  })
}

/** An instance of some class that has no fields of its own, a tensor or a date, is something else that was misplaced. */
function isOptions(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) return false
  return isPlainObject(value) || Object.keys(value).length > 0
}
