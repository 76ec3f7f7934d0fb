import { checkOptions, invalidArgument, isMap, isPlainObject, strictObject, text } from '../check/index.js'
import { context, inScope, type ScopeRecord } from './context.js'
import { listOf, reading } from './nested.js'
import { named } from './run.js'
import { Tensor } from './tensor.js'

/** Options of {@link scope}. */
export interface ScopeOptions {
  /**
   * Makes it a run of this name: errors of its operators say where they come from, `mark()` in it rejects with those of
   * in-place operators, and what fails unread is warned of at its end. At most 256 named scopes may be within each other.
   */
  name?: string
}

const schema = strictObject({ name: text('text') })

/**
 * Runs `fn` and frees every tensor made in it, except those it returns (alone, in arrays, maps or plain objects) and
 * those that were {@link Tensor.keep}t. `fn` may be async. Scopes nest: what an inner scope returns belongs to the outer
 * one.
 *
 * @example
 * const loss = await scope(async () => {
 *   const pred = model(x)
 *   return await criterion(pred, y).item()   // pred and everything in between is freed here
 * })
 */
export function scope<T>(fn: () => T, options?: ScopeOptions): T {
  if (options !== undefined) return named(checkOptions(schema, options, 'scope').name, () => scope(fn))
  return inScope(fn, (record, result) => close(record, result))
}

function close(record: ScopeRecord, result: unknown): void {
  try {
    if (typeof result === 'object' && result !== null) rescue(result, record)
  } finally {
    record.close()
  }
}

/** As many arrays, maps and objects as are looked through for tensors. */
const MOST_CONTAINERS = 2 ** 20

/** Hands over what is to outlive the scope. What is met again, such as an array that holds itself, is looked at once. */
function rescue(result: object, record: ScopeRecord): void {
  if (result instanceof Tensor) {
    handOver(result, record)
    return
  }
  const containers = new Set<object>([result])
  for (const container of containers) {
    for (const item of itemsOf(container)) {
      if (typeof item !== 'object' || item === null) continue
      if (item instanceof Tensor) handOver(item, record)
      else containers.add(item)
    }
    if (containers.size > MOST_CONTAINERS) {
      throw invalidArgument(RESULT, `at most ${MOST_CONTAINERS} arrays and objects`, result)
    }
  }
}

const RESULT = "scope()'s result"

function handOver(tensor: Tensor, record: ScopeRecord): void {
  if (tensor.scope === record) tensor.handOver(record.parent)
}

function itemsOf(container: object): readonly unknown[] {
  if (Array.isArray(container)) return listOf(RESULT, container)
  if (isMap(container)) return [...container.values()]
  return isPlainObject(container) ? reading(RESULT, () => Object.values(container)) : []
}

/** How many tensors the scope in force holds, 0 without one: for tests and for finding leaks. */
export function scopeSize(): number {
  return context().scope?.live().length ?? 0
}
