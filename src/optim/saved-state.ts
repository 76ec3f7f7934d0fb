import { describe, type Field, inspected, isPlainObject, TorchLearnerError } from '../check/index.js'
import { type Outline, outlinesOf, Tensor } from '../tensor/index.js'
import type { Optimizer, OptimizerState, ParamFlags } from './optimizer.js'

/** Refuses a saved state, saying what is wrong with it. */
export function refuseState(opt: Optimizer, what: string): never {
  throw new TorchLearnerError(
    'ERR_STATE_DICT',
    `Expected the state of this ${opt.constructor.name} but received one ${what}`,
  )
}

/** What an optimizer's saved state must fit. */
export interface StateForm {
  readonly opt: Optimizer
  readonly params: readonly Tensor[]
  /** Names of the hyper-parameters, and what each may be. */
  readonly hypers: readonly string[]
  readonly rangeOf: (name: string) => Field<number> | undefined
  /** Names of a parameter's tensors. */
  readonly tensors: readonly string[]
}

/** A saved state that has been checked, with nothing in it that isn't known. */
export interface CheckedState {
  hypers: Record<string, number>[]
  /** In the order of the parameters; tensors are all there, or none. */
  params: { flags: Partial<ParamFlags>; tensors: [string, Tensor][] }[]
}

/**
 * Checks a saved state as a whole. What comes back is a copy: the original may have getters.
 *
 * @throws TorchLearnerError `ERR_STATE_DICT`
 */
export function checkState(saved: OptimizerState, form: StateForm): CheckedState {
  return inspected('the saved state', saved, () => {
    const { opt, params } = form
    const { hypers, state } = Object(saved) as OptimizerState
    const groups = opt.paramGroups.length
    if (!Array.isArray(state) || !Array.isArray(hypers)) refuseState(opt, 'without state and hypers')
    if (hypers.length !== groups) {
      refuseState(opt, `of ${hypers.length} parameter groups where there are ${groups}`)
    }
    if (state.length !== params.length) {
      refuseState(opt, `of ${state.length} parameters where there are ${params.length}`)
    }
    const checked = {
      hypers: Array.from(hypers, (group, i) => checkHypers(group, i, form)),
      params: Array.from(state, (item, i) => ({
        flags: checkFlags(item, i, form),
        tensors: checkTensors(item.tensors, i, form),
      })),
    }
    checkOutlines(checked, form)
    return checked
  })
}

function checkHypers(group: unknown, i: number, { opt, hypers, rangeOf }: StateForm): Record<string, number> {
  if (!isPlainObject(group)) refuseState(opt, `whose hypers[${i}] is ${describe(group)}`)
  const entries = Object.entries(group).map(([name, value]): [string, number] => {
    const isNumber = typeof value === 'number' && Number.isFinite(value)
    if (!hypers.includes(name) || !isNumber || !(rangeOf(name)?.takes(value) ?? true)) {
      refuseState(opt, `with the hyper-parameter ${name} ${describe(value)}`)
    }
    return [name, value]
  })
  const lacking = hypers.find(name => !Object.hasOwn(group, name))
  if (lacking !== undefined) refuseState(opt, `whose hypers[${i}] has no ${lacking}`)
  return Object.fromEntries(entries)
}

function checkFlags(item: unknown, i: number, { opt }: StateForm): Partial<ParamFlags> {
  if (!isPlainObject(item)) refuseState(opt, `whose state[${i}] is ${describe(item)}`)
  const flags: Partial<ParamFlags> = {}
  for (const [name, value] of Object.entries(item)) {
    if (name === 'tensors' || value === undefined) continue
    if ((name !== 'doWd' && name !== 'forceTrain') || typeof value !== 'boolean') {
      refuseState(opt, `whose state[${i}] has ${name} ${describe(value)}`)
    }
    flags[name] = value
  }
  return flags
}

function checkTensors(tensors: unknown, i: number, form: StateForm): [string, Tensor][] {
  const { opt } = form
  if (!isPlainObject(tensors)) refuseState(opt, `whose state[${i}].tensors is ${describe(tensors)}`)
  const entries = Object.entries(tensors).map(([name, tensor]): [string, Tensor] => {
    const where = `state[${i}].tensors.${name}`
    if (!form.tensors.includes(name)) refuseState(opt, `with ${where}, which it doesn't have`)
    if (!(tensor instanceof Tensor)) refuseState(opt, `whose ${where} is ${describe(tensor)}`)
    return [name, tensor]
  })
  const lacking = form.tensors.find(name => !Object.hasOwn(tensors, name))
  if (entries.length > 0 && lacking !== undefined) {
    refuseState(opt, `whose state[${i}].tensors has ${entries[0][0]} but no ${lacking}`)
  }
  return entries
}

/** Shapes and dtypes of all tensors, which are asked for at once. */
function checkOutlines(checked: CheckedState, { opt, params }: StateForm): void {
  const of = outlinesOf(params)
  const outlines = outlinesOf(checked.params.flatMap(({ tensors }) => tensors.map(([, tensor]) => tensor)))
  let at = 0
  for (const [i, { tensors }] of checked.params.entries()) {
    for (const [name, tensor] of tensors) {
      const outline = outlines[at++]
      if (outline.isFloat && fits(name, outline, of[i])) continue
      const shape = (one: Tensor) => `${one.dtype} [${one.shape.join(', ')}]`
      refuseState(
        opt,
        `whose state[${i}].tensors.${name} is ${shape(tensor)} where the parameter is ${shape(params[i])}`,
      )
    }
  }
}

/** One number for each parameter. */
const SCALARS = ['step', 'localLr']

/** Averages have their parameter's shape. Whatever hasn't begun is empty: see `momentState`. */
function fits(name: string, { shape }: Outline, parameter: Outline): boolean {
  if (shape.length === 1 && shape[0] === 0 && name !== 'step') return true
  const wanted = SCALARS.includes(name) ? [] : parameter.shape
  return shape.length === wanted.length && shape.every((size, i) => size === wanted[i])
}
