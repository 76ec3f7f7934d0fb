import { inspect } from 'node:util'
import { checkArguments, checkValue, field, flag, invalidArgument, strictObject, string } from '../check/index.js'
import {
  atOnce,
  inTurns,
  type LoadResult,
  loadSteps,
  type StateDict,
  type Steps,
  stepsOf,
  withSteps,
} from '../files/index.js'
import { type Device, type DType, isDType, isFloat, type MemoryFormat, own, scope, Tensor } from '../tensor/index.js'
import { callable } from './callable.js'
import { Parameter } from './parameter.js'
import { repr } from './repr.js'
import { memoryFormat } from './validate.js'

/** Where and how a module's tensors lie. */
export interface ModuleTarget {
  device?: Device
  /** For floating parameters and buffers; counters keep theirs. */
  dtype?: DType
  /** For tensors of four dimensions. `channels_last` makes convolutions on CPU and GPU faster. */
  memoryFormat?: Extract<MemoryFormat, 'contiguous_format' | 'channels_last'>
}

/** Any module, whatever it takes and gives. */
export type AnyModule = Module<never[], unknown>

const toSchema = strictObject({
  device: string('a device such as cpu or cuda:0').optional(),
  dtype: field<DType>('a floating dtype', value => isDType(value) && isFloat(value)).optional(),
  memoryFormat: memoryFormat.optional(),
})
const loadSchema = strictObject({ strict: flag.default(true) })

const BUFFERS = Symbol('buffers')

const moduleTo = own.moduleTo_
const clearGradients = own.zeroGrad_

export interface Module<Inputs extends unknown[] = Tensor[], Output = Tensor> {
  /** Runs {@link Module.forward} in a `scope`: whatever it makes and doesn't return is freed. */
  (...inputs: Inputs): Output
}

/**
 * Base of all networks and layers, as PyTorch's `nn.Module`. Fields that hold a {@link Parameter} or a module are found
 * by themselves, in the order in which they were set; a tensor that isn't learnt is announced by
 * {@link Module.registerBuffer}. Modules in plain arrays are not found: put them into a `ModuleList`.
 *
 * Instances are functions: call `model(x)`, not `model.forward(x)`.
 *
 * @typeParam Inputs what {@link Module.forward} takes, by default tensors
 * @typeParam Output what it returns, by default one tensor
 * @example
 * class Net extends nn.Module {
 *   fc = new nn.Linear(3, 4)
 *   forward(x: Tensor) {
 *     return this.fc(x).relu()
 *   }
 * }
 * const model = new Net()
 * model(randn([8, 3])) // (8, 4)
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor returns a function, so instances are callable
export abstract class Module<Inputs extends unknown[] = Tensor[], Output = Tensor> {
  /** Whether layers such as dropout and batch normalisation behave as in training. Set by {@link Module.train}. */
  declare training: boolean
  declare private [BUFFERS]: Set<string>

  constructor() {
    const self: Module<Inputs, Output> = Object.assign(
      callable(new.target.prototype, (...inputs: Inputs) => scope(() => self.forward(...inputs))),
      { training: true },
    ) as Module<Inputs, Output>
    Object.defineProperty(self, BUFFERS, { value: new Set<string>() })
    // biome-ignore lint/correctness/noConstructorReturn: this is how an instance becomes a function
    return self
  }

  /** What the module computes. Don't read shapes or data here: it would wait for everything queued before. */
  abstract forward(...inputs: Inputs): Output

  /** Own parameters, without those of children. */
  *ownParameters(): Generator<[string, Parameter]> {
    for (const [name, value] of Object.entries(this)) if (value instanceof Parameter) yield [name, value]
  }

  /** Own buffers, without those of children. */
  *ownBuffers(): Generator<[string, Tensor]> {
    for (const name of this[BUFFERS]) {
      const value: unknown = Reflect.get(this, name)
      if (value instanceof Tensor) yield [name, value]
    }
  }

  /** Children with their names, in the order in which they were set. */
  *namedChildren(): Generator<[string, AnyModule]> {
    for (const [name, value] of Object.entries(this)) if (value instanceof Module) yield [name, value as AnyModule]
  }

  /** Direct children. */
  children(): AnyModule[] {
    return [...this.namedChildren()].map(([, child]) => child)
  }

  /** This module (named `prefix`) and everything below it, parents first; each module once. */
  *namedModules(prefix = '', seen = new Set<AnyModule>()): Generator<[string, AnyModule]> {
    if (seen.has(this as AnyModule)) return
    seen.add(this as AnyModule)
    yield [prefix, this as AnyModule]
    for (const [name, child] of this.namedChildren()) yield* child.namedModules(join(prefix, name), seen)
  }

  /** This module and everything below it, parents first; each module once. */
  modules(): AnyModule[] {
    return [...this.namedModules()].map(([, module]) => module)
  }

  /** All parameters with their dotted names; one that several modules share is named once. */
  *namedParameters(prefix = ''): Generator<[string, Parameter]> {
    const seen = new Set<Tensor>()
    for (const [path, module] of this.namedModules(prefix)) {
      for (const [name, parameter] of module.ownParameters()) {
        if (!seen.has(parameter)) yield [join(path, name), parameter]
        seen.add(parameter)
      }
    }
  }

  /** All parameters, each once. */
  parameters(): Parameter[] {
    return [...this.namedParameters()].map(([, parameter]) => parameter)
  }

  /** All buffers with their dotted names. */
  *namedBuffers(prefix = ''): Generator<[string, Tensor]> {
    const seen = new Set<Tensor>()
    for (const [path, module] of this.namedModules(prefix)) {
      for (const [name, buffer] of module.ownBuffers()) {
        if (!seen.has(buffer)) yield [join(path, name), buffer]
        seen.add(buffer)
      }
    }
  }

  /** All buffers, each once. */
  buffers(): Tensor[] {
    return [...this.namedBuffers()].map(([, buffer]) => buffer)
  }

  /**
   * Announces a tensor that belongs to the module's state but isn't learnt, such as running statistics: it becomes the
   * field `name`, moves with {@link Module.to} and is part of the state dict.
   */
  registerBuffer(name: string, value: Tensor | null): void {
    checkName(this, name)
    if (value !== null && !(value instanceof Tensor)) throw invalidArgument(`buffer ${name}`, 'a Tensor or null', value)
    this[BUFFERS].add(name)
    Reflect.set(this, name, value?.keep() ?? null)
  }

  /** Sets the field `name` to a parameter, as an assignment does. */
  registerParameter(name: string, value: Parameter | null): void {
    checkName(this, name)
    if (value !== null && !(value instanceof Parameter)) {
      throw invalidArgument(`parameter ${name}`, 'a Parameter or null', value, 'Make one with new nn.Parameter(tensor)')
    }
    Reflect.set(this, name, value)
  }

  /** Switches this module and all below it to training behaviour, or with false to evaluation. */
  train(mode = true): this {
    checkValue(flag, mode, 'mode')
    for (const module of this.modules()) module.training = mode
    return this
  }

  /** Switches this module and all below it to evaluation behaviour. */
  eval(): this {
    return this.train(false)
  }

  /** Turns gradients on or off for all parameters. */
  requiresGrad_(value = true): this {
    checkValue(flag, value, 'value')
    for (const parameter of this.parameters()) parameter.requiresGrad_(value)
    return this
  }

  /** Drops all gradients. */
  zeroGrad(): void {
    clearGradients(this.parameters(), true)
  }

  /** Calls `fn` with every module, children before their parents; one that several share as often as it is used. */
  apply(fn: (module: AnyModule) => void): this {
    if (typeof fn !== 'function') throw invalidArgument('fn', 'a function of a module', fn)
    visit(this as AnyModule, fn, new Set())
    return this
  }

  /**
   * Moves or converts parameters, their gradients and buffers in place, so that an optimizer keeps what it holds.
   *
   * @param target a device (`'cuda'`), a floating dtype (`'float64'`), or {@link ModuleTarget}
   * @example model.to({ memoryFormat: 'channels_last' })
   */
  to(target: Device | DType | ModuleTarget): this {
    const options = typeof target === 'string' ? named(target) : target
    const { device, dtype, memoryFormat } = checkArguments(toSchema, options, 'to')
    const tensors = [...this.parameters(), ...this.buffers()]
    if (tensors.length > 0) moduleTo(tensors, { device, dtype, memoryFormat })
    for (const tensor of tensors) tensor.written()
    return this
  }

  /** Parameters and buffers by dotted name: PyTorch's names and order. The tensors share the module's memory. */
  stateDict(prefix = ''): Map<string, Tensor> {
    if (typeof prefix !== 'string') throw invalidArgument('prefix', 'text', prefix)
    const state = new Map<string, Tensor>()
    for (const [name, tensor] of this.namedState(prefix)) state.set(name, tensor.detach())
    return state
  }

  /**
   * The parameters and buffers that a state dict names, a shared one as often as it is used. A module that contains itself
   * is named once: `above` are those around it.
   */
  *namedState(prefix = '', above = new Set<AnyModule>()): Generator<[string, Tensor]> {
    if (above.has(this as AnyModule)) return
    above.add(this as AnyModule)
    for (const [name, parameter] of this.ownParameters()) yield [join(prefix, name), parameter]
    for (const [name, buffer] of this.ownBuffers()) yield [join(prefix, name), buffer]
    for (const [name, child] of this.namedChildren()) yield* child.namedState(join(prefix, name), above)
    above.delete(this as AnyModule)
  }

  /**
   * Copies a state dict into this module's parameters and buffers; into all of them, or on an error into none.
   *
   * @param state as {@link Module.stateDict} gives it, or a plain object
   * @param options `strict` (default true): complain about names that are missing or unknown. Shapes must always fit.
   * @returns the names that were missing and unknown
   * @throws StateDictError (`ERR_STATE_DICT`) listing every name that doesn't fit
   */
  loadStateDict(state: StateDict, options: { strict?: boolean } = {}): LoadResult {
    return atOnce(stepsOfLoading(this as AnyModule, state, options))
  }

  /** Frees parameters and buffers. */
  dispose(): void {
    for (const tensor of [...this.parameters(), ...this.buffers()]) tensor.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /** What printing shows between the parentheses. */
  extraRepr(): string {
    return ''
  }

  toString(): string {
    return repr(this)
  }

  [inspect.custom](): string {
    return repr(this)
  }
}

function named(target: DType | Device): ModuleTarget {
  return isDType(target) ? { dtype: target } : { device: target }
}

/** A module that is among its own descendants is not gone into again. */
function visit(module: AnyModule, fn: (module: AnyModule) => void, above: Set<AnyModule>): void {
  if (above.has(module)) return
  above.add(module)
  for (const child of module.children()) visit(child, fn, above)
  above.delete(module)
  fn(module)
}

function join(prefix: string, name: string): string {
  return prefix === '' ? name : `${prefix}.${name}`
}

function stepsOfLoading(module: AnyModule, state: StateDict, options: { strict?: boolean } = {}): Steps<LoadResult> {
  const { strict } = checkArguments(loadSchema, options, 'loadStateDict')
  return loadSteps(module.constructor.name, [...module.namedState()], state, strict)
}

withSteps(Module.prototype.loadStateDict, function (this: AnyModule, state, options) {
  return stepsOfLoading(this, state, options)
})

/** As `module.loadStateDict`, with pauses in which timers and other work have their turn. */
export async function loadInTurns(
  module: AnyModule,
  state: StateDict,
  options: { strict?: boolean } = {},
): Promise<LoadResult> {
  const steps = stepsOf(module.loadStateDict)
  return steps === undefined ? module.loadStateDict(state, options) : await inTurns(steps.call(module, state, options))
}

// A private method would be missing here: instances are not the object that the class of Module initialises.
function checkName(module: object, name: unknown): void {
  const fits = typeof name === 'string' && name !== '' && !name.includes('.')
  if (!fits || (name in module && !Object.hasOwn(module, name))) {
    throw invalidArgument('name', 'a name without dots that Module itself does not use', name)
  }
}
