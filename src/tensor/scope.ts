import { isMap, isPlainObject } from '../native/index.js'
import { context, inScope, type ScopeRecord } from './context.js'
import { Tensor } from './tensor.js'

/**
 * Runs `fn` and frees every tensor made in it, except those it returns (alone, in arrays, or in plain objects) and
 * those that were {@link Tensor.keep}t. `fn` may be async. Scopes nest: what an inner scope returns belongs to the outer
 * one.
 *
 * @example
 * const loss = await scope(async () => {
 *   const pred = model(x)
 *   return await criterion(pred, y).item()   // pred and everything in between is freed here
 * })
 */
export function scope<T>(fn: () => T): T {
  return inScope(fn, (record, result) => close(record, result))
}

function close(record: ScopeRecord, result: unknown): void {
  if (result !== undefined) rescue(result, record)
  record.close()
}

function rescue(value: unknown, record: ScopeRecord, depth = 0): void {
  if (value instanceof Tensor) {
    if (value.scope === record) value.handOver(record.parent)
  } else if (depth < 8 && Array.isArray(value)) {
    for (const item of value) rescue(item, record, depth + 1)
  } else if (depth < 8 && isMap(value)) {
    for (const item of value.values()) rescue(item, record, depth + 1)
  } else if (depth < 8 && isPlainObject(value)) {
    for (const item of Object.values(value)) rescue(item, record, depth + 1)
  }
}

/** How many tensors the scope in force holds, 0 without one: for tests and for finding leaks. */
export function scopeSize(): number {
  return context().scope?.live().length ?? 0
}
