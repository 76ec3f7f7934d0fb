import type { z } from 'zod'
import { inspected, invalidArgument } from '../native/index.js'

/**
 * Checks an options object once, at the public boundary.
 *
 * Each leaf of the schema gives as its `error` what would be right, as the sentence needs it: `a whole number from 1`.
 *
 * @param schema a strict object schema, with defaults
 * @param where whose options they are: `DataLoader`
 * @throws TorchLearnerError `ERR_INVALID_ARG` for the first option that is wrong or unknown
 */
export function checkOptions<Schema extends z.ZodObject>(
  schema: Schema,
  options: unknown,
  where: string,
): z.output<Schema> {
  const result = inspected(`${where}'s options`, options, () => schema.safeParse(options === undefined ? {} : options))
  if (result.success) return result.data
  const issue = result.error.issues[0]
  if (issue.code === 'unrecognized_keys') {
    throw invalidArgument(`${where}'s options`, `only ${Object.keys(schema.shape).join(', ')}`, issue.keys[0])
  }
  if (issue.path.length === 0 && issue.code === 'invalid_type') {
    throw invalidArgument(`${where}'s options`, `an object with ${Object.keys(schema.shape).join(', ')}`, options)
  }
  const name = issue.path.map(String).join('.')
  const received = issue.path.reduce<unknown>(property, options)
  throw invalidArgument(name === '' ? `${where}'s options` : `${where}'s ${name}`, issue.message, received)
}

function property(value: unknown, key: PropertyKey): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
}
