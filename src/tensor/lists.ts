import { native } from '../native/index.js'
import { context, noGrad } from './context.js'
import { listOperator } from './ops.js'
import type { Tensor } from './tensor.js'

// One native call for many tensors: a call for each costs a few microseconds, which state dicts have tens of thousands of.

/** No operator takes longer lists: see `call.ts`. */
const MOST = 2 ** 16

const cloneLists = listOperator('aten::_foreach_clone')
const copyLists = listOperator('aten::_foreach_copy_')

/** What a tensor in a list is like. */
export interface Outline {
  shape: number[]
  isFloat: boolean
}

/** What each tensor is like. As `shape`, it waits for the operators that make them. */
export function outlinesOf(tensors: readonly Tensor[]): Outline[] {
  const numbers = native.outlines(handlesOf(tensors), context().origin)
  const outlines: Outline[] = []
  for (let at = 0; at < numbers.length; ) {
    const [isFloat, sizes] = [numbers[at] === 1, at + 2]
    at = sizes + numbers[at + 1]
    const shape: number[] = []
    for (let i = sizes; i < at; i++) shape.push(numbers[i])
    outlines.push({ shape, isFloat })
  }
  return outlines
}

function handlesOf(tensors: readonly Tensor[]): Float64Array {
  const handles = new Float64Array(tensors.length)
  for (let i = 0; i < tensors.length; i++) handles[i] = tensors[i].handle
  return handles
}

/** Copies of all, without gradients, which no scope frees. It waits for the queue. */
export function cloneAll(tensors: readonly Tensor[]): Tensor[] {
  const clones: Tensor[] = []
  for (let at = 0; at < tensors.length; at += MOST) {
    const made = noGrad(() => cloneLists(tensors.slice(at, at + MOST)))
    for (const clone of made) clones.push(clone.keep())
  }
  return clones
}

/** Copies each source into its target, which has its shape. If one of them fails, all do. */
export function copyAll(targets: readonly Tensor[], sources: readonly Tensor[]): void {
  for (let at = 0; at < targets.length; at += MOST) {
    noGrad(() => copyLists(targets.slice(at, at + MOST), sources.slice(at, at + MOST)))
  }
}
