/**
 * Makes an instance that is itself a function: `new Linear(3, 4)(x)`. A constructor returns it, so that the fields of
 * the subclasses are set on it.
 *
 * @param prototype `new.target.prototype`: what the instance inherits from, in place of `Function.prototype`
 * @param call what calling the instance does
 */
export function callable<Args extends unknown[], Result>(
  prototype: object,
  call: (...args: Args) => Result,
): (...args: Args) => Result {
  const instance = (...args: Args): Result => call(...args)
  // a function's own name and length would shadow getters and clash with children of those names
  Reflect.deleteProperty(instance, 'name')
  Reflect.deleteProperty(instance, 'length')
  return Object.setPrototypeOf(instance, prototype)
}
