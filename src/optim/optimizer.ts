import {
  checkArguments,
  decayRate,
  type Field,
  flag,
  invalidArgument,
  isCollection,
  strictObject,
} from '../check/index.js'
import { cloneAll, empty, listOf, noGrad, outlinesOf, own, scope, stack, Tensor, zeros } from '../tensor/index.js'
import { type HyperValue, rangeOf, spread } from './hyper.js'
import { checkState } from './saved-state.js'

/** Parameters that share their hyper-parameters; further ones (`sqrMom`, `eps`) depend on the optimizer. */
export interface ParamGroup {
  readonly params: readonly Tensor[]
  /** Learning rate. */
  lr: number
  /** Momentum. */
  mom: number
  /** Weight decay. */
  wd: number
  [hyper: string]: number | readonly Tensor[]
}

/** @internal A group of an optimizer that has these hyper-parameters, too. */
export type GroupWith<Hyper extends string> = ParamGroup & Record<Hyper, number>

const zeroSchema = strictObject({ setToNone: flag.default(true) })
const flagsSchema = strictObject({ doWd: flag.optional(), forceTrain: flag.optional() })

/** What is noted for a single parameter. */
export interface ParamFlags {
  /** Whether weight decay applies, default true. */
  doWd: boolean
  /** Whether the parameter is trained also in frozen groups, default false. */
  forceTrain: boolean
}

/** An optimizer's state, in the order of the parameters: see {@link Optimizer.stateDict}. */
export interface OptimizerState {
  state: (Partial<ParamFlags> & { tensors: Record<string, Tensor> })[]
  hypers: Record<string, number>[]
  /** Of a Lookahead: its steps so far. */
  count?: number
  /** Of a Lookahead: its slow weights, in the order of the parameters. */
  slowWeights?: Tensor[]
}

/** What an optimizer is made for: all parameters, or groups of them. */
export type ParamsOrGroups = Iterable<Tensor> | Iterable<Iterable<Tensor>>

/** Makes an optimizer: what a Learner calls when it needs one. */
export type OptFunc = (groups: Tensor[][], options: { lr: HyperValue }) => Optimizer

const clearGradients = own.zeroGrad_

/**
 * Base of the optimizers. A step is one native call for each group, over all its parameters. Parameters without a
 * gradient, and those that don't require one, are left alone entirely: no weight decay, no change of state.
 */
export abstract class Optimizer {
  readonly paramGroups: readonly ParamGroup[]
  readonly #flags: Map<Tensor, ParamFlags>
  /** Names of the hyper-parameters, in camelCase. */
  readonly #names: readonly string[]
  readonly #ranges: Readonly<Record<string, Field<number>>>
  /** For each group and name of state, the tensors in the order of the parameters. */
  #state: Record<string, Tensor[]>[] | null = null

  /**
   * @param params parameters, or groups of them; or another optimizer, to share its parameters, hyper-parameters and
   * flags
   * @param hypers the value of each hyper-parameter for all groups, or for each
   * @param ranges what this optimizer's hyper-parameters may be, where it differs: by default `lr`, `wd` and `eps` are at
   * least 0, `mom` and `sqrMom` from 0 to 1, and others any finite number
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a value out of its range
   */
  constructor(
    params: ParamsOrGroups | Optimizer,
    hypers: Record<string, HyperValue> = {},
    ranges: Readonly<Record<string, Field<number>>> = {},
  ) {
    this.#ranges = params instanceof Optimizer ? params.#ranges : ranges
    if (params instanceof Optimizer) {
      this.paramGroups = params.paramGroups
      this.#flags = params.#flags
      this.#names = params.#names
      return
    }
    this.#flags = new Map()
    const groups = toGroups(params)
    this.#names = Object.keys(hypers)
    this.paramGroups = groups.map(group => ({ params: group, lr: 0, mom: 0, wd: 0 }))
    for (const group of groups) for (const param of group) this.#flags.set(param, { doWd: true, forceTrain: false })
    for (const [name, value] of Object.entries(hypers)) this.setHyper(name, value)
  }

  /** @internal Names of the state that a parameter has, and how it starts. */
  protected abstract readonly stateNames: Readonly<Record<string, () => Tensor>>

  /** @internal One native call for a group. */
  protected abstract stepGroup(group: ParamGroup, state: Record<string, Tensor[]>, doWd: boolean[]): void

  /** Changes the parameters by their gradients. */
  step(): void {
    this.#state ??= this.paramGroups.map(group => this.#emptyState(group))
    const state = this.#state
    this.paramGroups.forEach((group, i) => {
      this.stepGroup(
        group,
        state[i],
        group.params.map(param => this.flags(param).doWd),
      )
    })
  }

  // Elements without memory: the native step fills in what it needs.
  #emptyState(group: ParamGroup): Record<string, Tensor[]> {
    const entries = Object.entries(this.stateNames)
    return Object.fromEntries(entries.map(([name, start]) => [name, group.params.map(() => start().keep())]))
  }

  /**
   * Drops all gradients, also those of frozen parameters. fastai fills them with zeros, which then count as gradients:
   * weight decay would go on shrinking parameters that were frozen after training.
   *
   * @param options `setToNone: false` fills with zeros instead
   */
  zeroGrad(options?: { setToNone?: boolean }): void {
    const { setToNone } = checkArguments(zeroSchema, options, 'zeroGrad')
    for (const group of this.paramGroups) clearGradients(group.params, setToNone)
  }

  /** The hyper-parameters of each group. */
  get hypers(): Record<string, number>[] {
    return this.paramGroups.map(group => Object.fromEntries(this.#names.map(name => [name, Number(group[name])])))
  }

  /**
   * Sets a hyper-parameter.
   *
   * @param name `lr`, `mom`, `wd`, ... as the optimizer knows them
   * @param value one for all groups, an array with one for each, or {@link slice}
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a name it doesn't have, or a value out of its range
   */
  setHyper(name: string, value: HyperValue): void {
    if (!this.#names.includes(name))
      throw invalidArgument('the hyper-parameter', `one of ${this.#names.join(', ')}`, name)
    spread(name, value, this.paramGroups.length, this.#rangeOf(name)).forEach((item, i) => {
      this.paramGroups[i][name] = item
    })
  }

  #rangeOf(name: string): Field<number> | undefined {
    return rangeOf(name, this.#ranges)
  }

  /** What is noted for one parameter; the object may be changed. */
  flags(param: Tensor): ParamFlags {
    const flags = this.#flags.get(param)
    if (flags === undefined) throw invalidArgument('param', 'a parameter of this optimizer', param)
    return flags
  }

  /** Sets flags of several parameters; those that this optimizer doesn't have are passed over. */
  setFlags(params: Iterable<Tensor>, flags: Partial<ParamFlags>): void {
    const checked = Object.entries(checkArguments(flagsSchema, flags, 'setFlags')).filter(
      ([, value]) => value !== undefined,
    )
    if (!isCollection(params)) throw invalidArgument('params', 'a list of parameters', params)
    for (const param of params) {
      const own = this.#flags.get(param)
      if (own !== undefined) Object.assign(own, Object.fromEntries(checked))
    }
  }

  /** Forgets moments and step counts. The flags stay. */
  clearState(): void {
    for (const group of this.#state ?? [])
      for (const tensors of Object.values(group)) for (const t of tensors) t.dispose()
    this.#state = null
  }

  /** Frees the state. The parameters stay. */
  dispose(): void {
    this.clearState()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /**
   * State and hyper-parameters, for checkpoints. The tensors are the optimizer's own: copy them to keep them. Parameters
   * that never had a gradient have no state. Waits for the steps that are queued.
   */
  stateDict(): OptimizerState {
    const state = this.paramGroups.flatMap((group, g) => {
      const lists = Object.entries(this.#state?.[g] ?? {})
      const started = startedOf(Object.fromEntries(lists), group.params.length)
      return group.params.map((param, i) => {
        const tensors: Record<string, Tensor> = {}
        for (const [name, list] of lists) if (started[i]) tensors[name] = list[i].written()
        return { ...this.flags(param), tensors }
      })
    })
    return { state, hypers: this.hypers }
  }

  /**
   * Takes over what {@link stateDict} gave, copying the tensors.
   *
   * @throws TorchLearnerError `ERR_STATE_DICT` when it is of other parameters or groups, of another optimizer, or damaged:
   * then nothing has changed
   */
  loadStateDict(saved: OptimizerState): void {
    const { hypers, params } = checkState(saved, {
      opt: this,
      params: this.paramGroups.flatMap(group => group.params),
      hypers: this.#names,
      rangeOf: name => this.#rangeOf(name),
      tensors: Object.keys(this.stateNames),
    })
    hypers.forEach((group, i) => {
      for (const [name, value] of Object.entries(group)) this.paramGroups[i][name] = value
    })
    const copies = cloneAll(params.flatMap(({ tensors }) => tensors.map(([, tensor]) => tensor)))
    let [next, copied] = [0, 0]
    const fresh = this.paramGroups.map(group => {
      const lists: Record<string, Tensor[]> = Object.fromEntries(Object.keys(this.stateNames).map(name => [name, []]))
      for (const param of group.params) {
        const { tensors, flags } = params[next++]
        Object.assign(this.flags(param), flags)
        for (const [name] of tensors) lists[name].push(copies[copied++])
        if (tensors.length > 0) continue
        for (const [name, start] of Object.entries(this.stateNames)) lists[name].push(start().keep())
      }
      return lists
    })
    this.clearState()
    this.#state = fresh
  }
}

/** For each of the `count` parameters of a group, whether its state has begun. */
function startedOf({ step: steps, ...others }: Record<string, Tensor[]>, count: number): boolean[] {
  if (count === 0) return []
  if (steps !== undefined) {
    const taken = scope(() => noGrad(() => stack(steps.map(step => step.written()))).dataSync())
    return Array.from({ length: count }, (_, i) => Number(taken[i]) > 0)
  }
  const lists = Object.values(others).map(outlinesOf)
  return Array.from({ length: count }, (_, i) => lists.some(outlines => outlines[i].shape.every(size => size > 0)))
}

/** State in the parameter's shape, filled in natively on its first step. */
export function momentState(): Tensor {
  return empty([0])
}

/** Ranges of the optimizers with both of Adam's averages, which divide by 1 - mom to correct for their start. */
export const averages = { mom: decayRate, sqrMom: decayRate }

/** State of the optimizers with both of Adam's averages. */
export const adamState = { gradAvg: momentState, sqrAvg: momentState, step: () => zeros([]) }

function toGroups(params: ParamsOrGroups): Tensor[][] {
  if (!isCollection(params)) {
    throw invalidArgument('params', 'parameters, or groups of parameters', params, 'Pass model.parameters()')
  }
  const items = listOf<Tensor | Iterable<Tensor>>('params', params)
  const groups = items.every(item => item instanceof Tensor) ? [items] : items.map(toGroup)
  const all = groups.flat()
  if (all.length === 0) throw invalidArgument('params', 'at least one parameter', params)
  if (new Set(all).size !== all.length) throw invalidArgument('params', 'each parameter once', params)
  return groups
}

function toGroup(item: Tensor | Iterable<Tensor>): Tensor[] {
  const group = item instanceof Tensor || typeof item !== 'object' || item === null ? [] : listOf('params', item)
  if (
    !(typeof item === 'object' && item !== null && Symbol.iterator in item) ||
    !group.every(one => one instanceof Tensor)
  ) {
    throw invalidArgument('params', 'parameters, or groups of parameters', item)
  }
  return group
}
