import type { z } from 'zod'
import { inspected, invalidArgument } from './errors.js'
import { isPlainObject } from './kinds.js'

/** What a value is told to be that no field of a schema has words for. */
const OTHER = { error: () => 'another value' }

/**
 * Checks an options object once, where it enters. An option that is ignored is a bug found late, so that unknown names are
 * errors. Call it once a construction or run, never in the step path.
 *
 * @param schema a strict object of the fields of `check/`, made once a module: `z.strictObject({ bs: count.default(64) })`
 * @param given what somebody passed; undefined is no options
 * @param where whose options they are: `DataLoader`
 * @returns the options with the schema's defaults; each was read once
 * @throws TorchLearnerError `ERR_INVALID_ARG` for the first option that is wrong or unknown
 */
export function checkOptions<Schema extends z.ZodObject>(
  schema: Schema,
  given: unknown,
  where: string,
): z.output<Schema> {
  return checked(schema, given, `${where}'s options`, `${where}'s `)
}

/**
 * {@link checkOptions} of functions, layers and optimizers, whose options messages call by their names alone, as they call
 * arguments: `bias`, and not `Linear's bias`.
 */
export function checkArguments<Schema extends z.ZodObject>(
  schema: Schema,
  given: unknown,
  where: string,
): z.output<Schema> {
  return checked(schema, given, `the options of ${where}`, '')
}

function checked<Schema extends z.ZodObject>(
  schema: Schema,
  given: unknown,
  whose: string,
  prefix: string,
): z.output<Schema> {
  const names = () => Object.keys(schema.shape).join(', ')
  return inspected(whose, given, () => {
    const options = given === undefined ? {} : given
    if (!isOptions(options)) throw invalidArgument(whose, `an object with ${names()}`, options)
    const result = schema.safeParse(options, OTHER)
    if (result.success) return result.data
    const [issue] = result.error.issues
    if (issue.code === 'unrecognized_keys') throw invalidArgument(whose, `only ${names()}`, issue.keys[0])
    const name = issue.path.map(String).join('.')
    const received = issue.path.reduce<unknown>(property, options)
    throw invalidArgument(name === '' ? whose : prefix + name, issue.message, received)
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
export function checkValue<Field extends z.ZodType>(field: Field, value: unknown, name: string): z.output<Field> {
  return inspected(name, value, () => {
    const result = field.safeParse(value, OTHER)
    if (result.success) return result.data
    throw invalidArgument(name, result.error.issues[0].message, value)
  })
}

/** What a field takes, in its own words: `true or false`. */
export function wordsOf(field: z.ZodType): string {
  return field.safeParse(Symbol('nothing that fits'), OTHER).error?.issues[0].message ?? OTHER.error()
}

/** An instance of some class that has no fields of its own, a tensor or a date, is something else that was misplaced. */
function isOptions(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) return false
  return isPlainObject(value) || Object.keys(value).length > 0
}

function property(value: unknown, key: PropertyKey): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
}
