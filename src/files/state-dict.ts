import { invalidArgument, isMap, TorchLearnerError } from '../check/index.js'
import { copyAll, outlinesOf, Tensor } from '../tensor/index.js'
import { each, type Steps } from './turns.js'

/** Tensors by dotted name. */
export type StateDict = ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>

/** What a state dict lacked, and what it had too much, by dotted name. */
export interface LoadResult {
  missingKeys: string[]
  unexpectedKeys: string[]
}

/** A state dict that doesn't fit its module (`ERR_STATE_DICT`). */
export class StateDictError extends TorchLearnerError {
  /**
   * @param missingKeys names that the module has and the state dict lacks
   * @param unexpectedKeys names that the state dict has and the module doesn't know
   * @param mismatched names whose shapes differ, with both shapes
   */
  constructor(
    where: string,
    readonly missingKeys: string[],
    readonly unexpectedKeys: string[],
    readonly mismatched: string[],
  ) {
    const complaints = [
      complaint('missing', missingKeys),
      complaint('unexpected', unexpectedKeys),
      complaint('of another shape', mismatched),
    ].filter(text => text !== '')
    super('ERR_STATE_DICT', `Expected a state dict that fits ${where} but received one with ${complaints.join('; ')}`)
  }
}

function complaint(kind: string, keys: string[]): string {
  return keys.length === 0 ? '' : `${keys.length} ${keys.length === 1 ? 'key' : 'keys'} ${kind}: ${keys.join(', ')}`
}

/** The tensors of a state dict, checked. */
export function stateEntries(state: StateDict): Map<string, Tensor> {
  if (typeof state !== 'object' || state === null || Array.isArray(state)) {
    throw invalidArgument('the state dict', 'a Map or an object of tensors by name', state)
  }
  const entries = new Map<string, Tensor>(isMap(state) ? state : Object.entries(state))
  for (const [name, value] of entries) {
    if (!(value instanceof Tensor)) throw invalidArgument(`'${name}' in the state dict`, 'a Tensor', value)
  }
  return entries
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i])
}

/** So many are looked at, or copied, between two pauses: about a millisecond. */
const TENSORS = 1024

/**
 * Checks everything first and copies then, so that a module is never left half loaded: by an error; while it is loaded in
 * steps, its first part is new before its last.
 */
export function* loadSteps(
  where: string,
  targets: readonly [string, Tensor][],
  state: StateDict,
  strict: boolean,
): Steps<LoadResult> {
  const source = stateEntries(state)
  const names = new Set(targets.map(([name]) => name))
  const missingKeys = [...names].filter(name => !source.has(name))
  const unexpectedKeys = [...source.keys()].filter(name => !names.has(name))
  const found: [string, Tensor, Tensor][] = []
  for (const [name, target] of targets) {
    const value = source.get(name)
    if (value !== undefined) found.push([name, target, value])
  }
  const chunks = Array.from({ length: Math.ceil(found.length / TENSORS) }, (_, i) => {
    const chunk = found.slice(i * TENSORS, (i + 1) * TENSORS)
    return { names: chunk.map(([name]) => name), into: chunk.map(([, to]) => to), from: chunk.map(([, , by]) => by) }
  })
  const mismatched: string[] = []
  yield* each(
    chunks.length,
    k => {
      const { names: known, into, from } = chunks[k]
      const [wanted, given] = [outlinesOf(into), outlinesOf(from)]
      for (const [i, name] of known.entries()) {
        const [have, want] = [given[i].shape, wanted[i].shape]
        if (sameShape(have, want)) continue
        mismatched.push(`${name} [${have.join(', ')}] where the module has [${want.join(', ')}]`)
      }
    },
    1,
  )
  if (mismatched.length > 0 || (strict && missingKeys.length + unexpectedKeys.length > 0)) {
    throw new StateDictError(where, missingKeys, unexpectedKeys, mismatched)
  }
  yield* each(chunks.length, k => copyAll(chunks[k].into, chunks[k].from), 1)
  return { missingKeys, unexpectedKeys }
}
