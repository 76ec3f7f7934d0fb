import { invalidArgument, isCollection } from '../check/index.js'
import type { Tensor } from '../tensor/index.js'
import { type AnyModule, Module } from './module.js'

/** A module from one tensor to one tensor: what {@link Sequential} chains. */
export type Layer = Module<[Tensor], Tensor>

function checkModule(name: string, value: unknown): void {
  if (!(value instanceof Module)) throw invalidArgument(name, 'a Module', value)
}

/** Index as arrays count: from the end when negative. */
function position(index: number, length: number): number {
  if (!Number.isInteger(index)) throw invalidArgument('index', 'a whole number', index)
  return index < 0 ? index + length : index
}

export interface Sequential {
  readonly [index: number]: Layer
}

/**
 * Modules one after the other. Children are named `'0'`, `'1'`, ... and read as in an array.
 *
 * @example
 * const net = new nn.Sequential(new nn.Linear(3, 4), new nn.ReLU())
 * net[0]; net.at(-1); for (const layer of net) console.log(layer)
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: children are own properties '0', '1', ...
export class Sequential extends Module<[Tensor], Tensor> implements Iterable<Layer> {
  constructor(...modules: Layer[]) {
    super()
    this.append(...modules)
  }

  /** Adds modules at the end. */
  append(...modules: Layer[]): this {
    for (const module of modules) {
      checkModule('a layer of Sequential', module)
      if (module.modules().includes(this as AnyModule)) {
        throw invalidArgument('a layer of Sequential', 'a module that does not contain it', module)
      }
      Reflect.set(this, String(this.length), module)
    }
    return this
  }

  get length(): number {
    return this.children().length
  }

  at(index: number): Layer | undefined {
    return this[position(index, this.length)]
  }

  /** A new Sequential with some of the modules; they are shared, not copied. */
  slice(start?: number, end?: number): Sequential {
    for (const [name, value] of Object.entries({ start, end })) {
      if (value !== undefined && !Number.isInteger(value)) throw invalidArgument(name, 'a whole number', value)
    }
    return new Sequential(...[...this].slice(start, end))
  }

  *[Symbol.iterator](): Generator<Layer> {
    for (const [, child] of this.namedChildren()) yield child as Layer
  }

  forward(input: Tensor): Tensor {
    let result = input
    for (const layer of this) result = layer(result)
    return result
  }
}

export interface ModuleList<M extends AnyModule> {
  readonly [index: number]: M
}

/** Modules in an array whose parameters are found. It computes nothing itself. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: children are own properties '0', '1', ...
export class ModuleList<M extends AnyModule = Layer> extends Module<never[], never> implements Iterable<M> {
  constructor(modules: Iterable<M> = []) {
    super()
    if (!isCollection(modules)) throw invalidArgument('modules', 'a list of modules', modules)
    this.append(...modules)
  }

  /** Adds modules at the end. */
  append(...modules: M[]): this {
    for (const module of modules) {
      checkModule('an item of ModuleList', module)
      Reflect.set(this, String(this.length), module)
    }
    return this
  }

  get length(): number {
    return this.children().length
  }

  at(index: number): M | undefined {
    return this[position(index, this.length)]
  }

  *[Symbol.iterator](): Generator<M> {
    for (const [, child] of this.namedChildren()) yield child as M
  }

  forward(): never {
    throw invalidArgument('the call', 'a module of the list', this, 'A ModuleList holds modules and runs none')
  }
}
