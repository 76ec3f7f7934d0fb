import {
  checkArguments,
  field,
  flag,
  invalidArgument,
  isTyped,
  strictObject,
  TorchLearnerError,
} from '../check/index.js'
import { native, type TensorInfo } from '../native/index.js'
import { bound, context, type Scoped, type ScopeRecord } from './context.js'
import {
  checkDataOptions,
  type DataOptions,
  type Device,
  type DType,
  halfToNumber,
  type TypedArray,
  type TypedInput,
  viewOf,
} from './dtype.js'
import type { TensorMethods } from './generated/methods.js'
import { refuseAbandoned } from './run.js'

/** Nested arrays of numbers (booleans for `bool`), one level a dimension. */
export type NestedArray = number | boolean | NestedArray[]

// The net below scopes and dispose(): a tensor nobody holds any more gives its memory back when the collector finds it.
const collected = new FinalizationRegistry<number>(handle => native.free(handle))

const FIRST_SWEEP = 1024
const NO_HANDLE = -1

/** What a tensor will be that has not been recorded yet: see {@link Tensor.deferred}. */
export interface Deferral {
  /** Where it will be. */
  readonly device: Device
  /** Records it. */
  make(): Tensor
  /** Frees what `make` needs: it has been called, or isn't going to be. */
  drop(): void
}

export interface Tensor extends TensorMethods {
  /** @internal */
  _backward(inputs: readonly Tensor[], gradient: Tensor | null, retainGraph: boolean, createGraph: boolean): void
}

/**
 * A multi-dimensional array on the native stream. Every operator returns at once with the handle of a result that is
 * still to come; only reading ({@link Tensor.data}, {@link Tensor.item}, {@link Tensor.toArray}) waits, and it waits by
 * promise. Methods are PyTorch's, in camelCase; arguments that PyTorch takes by keyword go into an options object at
 * the end: `x.add(y, { alpha: 2 })`.
 *
 * Memory: a tensor made inside {@link scope} is freed at the scope's end unless it is returned or {@link Tensor.keep}t;
 * outside of scopes call {@link Tensor.dispose} (or `using`); whatever is forgotten is freed by the garbage collector,
 * late.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: see above
export class Tensor implements Scoped {
  #handle: number
  #scope: ScopeRecord | null
  #info: TensorInfo | null = null
  #infoOf = 0 // the count of reshaping operators that it belongs to
  #later: { readonly deferral: Deferral; readonly record: () => number } | null = null

  // Registering with the collector costs more than queuing an operator, and most tensors outside of scopes are disposed
  // soon after. The collector can't report any before the current job ends, so they are registered then.
  static #young: Tensor[] = []
  static #sweepAt = FIRST_SWEEP

  static #watch(tensor: Tensor): void {
    const count = Tensor.#young.push(tensor)
    if (count === 1) queueMicrotask(Tensor.#settle)
    if (count < Tensor.#sweepAt) return
    Tensor.#young = Tensor.#young.filter(member => member.#handle >= 0 && member.#scope === null)
    Tensor.#sweepAt = Math.max(FIRST_SWEEP, Tensor.#young.length * 2)
  }

  static #settle(): void {
    for (const tensor of Tensor.#young) {
      if (tensor.#handle >= 0 && tensor.#scope === null) collected.register(tensor, tensor.#handle)
    }
    Tensor.#young = []
    Tensor.#sweepAt = FIRST_SWEEP
  }

  /** @internal Takes over a native handle. Use {@link tensor} and the other creation functions. */
  constructor(handle: number, scope: ScopeRecord | null = context().scope) {
    if (typeof handle !== 'number') {
      throw invalidArgument('handle', 'a native handle', handle, 'Make tensors with tensor(data), zeros(shape), ...')
    }
    const open = scope === null ? null : scope.open
    this.#handle = handle
    this.#scope = open
    if (open === null) Tensor.#watch(this)
    else open.add(this)
  }

  /**
   * @internal A tensor that is recorded when it is first used, and not at all when it never is: until then whoever knows the
   * kind of deferral may compute something else in its place. It belongs to the scope in force now.
   */
  static deferred(deferral: Deferral): Tensor {
    const tensor = new Tensor(NO_HANDLE)
    tensor.#later = { deferral, record: bound(() => deferral.make().take()) }
    return tensor
  }

  /** @internal What this tensor will be, as long as nobody has used it. */
  get deferral(): Deferral | null {
    return this.#later?.deferral ?? null
  }

  /** @internal The scope that frees this tensor. */
  get scope(): ScopeRecord | null {
    return this.#scope
  }

  /** @internal The native handle; throws after {@link Tensor.dispose}. */
  get handle(): number {
    if (this.#handle < 0) this.#become()
    return this.#handle
  }

  #become(): void {
    if (this.#later === null) {
      throw new TorchLearnerError(
        'ERR_DISPOSED',
        'Expected a live tensor but received one that was already disposed: it left its scope() or dispose() was called; ' +
          'return it from the scope, or call keep() on it, to use it for longer',
      )
    }
    this.#handle = this.#later.record()
    this.#forget()
    if (this.#scope === null) Tensor.#watch(this)
  }

  #forget(): void {
    this.#later?.deferral.drop()
    this.#later = null
  }

  /** @internal Called when an operator has changed this tensor in place. */
  written(): this {
    this.#info = null
    return this
  }

  #describe(): TensorInfo {
    // an operator may have changed it through another handle of the same tensor; null after dispose() too, so that the
    // handle is asked for and complains
    if (this.#info === null || this.#infoOf !== native.reshaped[0]) {
      this.#info = native.describe(this.handle, context().origin)
      this.#infoOf = native.reshaped[0]
    }
    return this.#info
  }

  /** Sizes of the dimensions. Blocks only if the operator that makes this tensor has not run yet. */
  get shape(): number[] {
    return [...this.#describe().shape]
  }

  /** Steps between elements along each dimension, in elements. */
  get strides(): number[] {
    return [...this.#describe().strides]
  }

  get dtype(): DType {
    return this.#describe().dtype as DType
  }

  get device(): Device {
    return this.#describe().device
  }

  /** How the elements lie in memory: `contiguous` (N, C, H, W), `channels_last` (N, H, W, C), ... */
  get memoryFormat(): TensorInfo['memoryFormat'] {
    return this.#describe().memoryFormat
  }

  /** Number of dimensions. */
  get ndim(): number {
    return this.#describe().shape.length
  }

  /** Number of elements. */
  get numel(): number {
    return this.#describe().shape.reduce((product, size) => product * size, 1)
  }

  /** Whether operators on this tensor are recorded for {@link Tensor.backward}. */
  get requiresGrad(): boolean {
    return native.history(this.handle, context().origin).requiresGrad // not remembered: an operator on a view of this tensor may change it
  }

  set requiresGrad(value: boolean) {
    this.requiresGrad_(value)
  }

  /** Whether this tensor was made by the user and not by a recorded operator. */
  get isLeaf(): boolean {
    return native.history(this.handle, context().origin).isLeaf
  }

  /**
   * The gradient that `backward()` has left here, or null. Blocks until everything recorded so far has run. What is set has
   * to have this tensor's shape, dtype and device.
   */
  get grad(): Tensor | null {
    const handle = native.grad(this.handle, context().origin)
    return handle < 0 ? null : new Tensor(handle)
  }

  set grad(value: Tensor | null) {
    if (value !== null && !(value instanceof Tensor)) throw invalidArgument('grad', 'a tensor or null', value)
    if (value !== null && kindOf(value) !== kindOf(this)) {
      throw invalidArgument('grad', `a tensor like the one it belongs to, ${kindOf(this)},`, kindOf(value))
    }
    refuseAbandoned('setting a gradient')
    native.setGrad(this.handle, value === null ? -1 : value.handle, context().origin)
  }

  /**
   * Computes the gradients of this tensor with respect to the leaves it came from, and adds them to their `grad`.
   *
   * @param gradient weight of each element, of this tensor's shape; needed unless this is a single number
   * @param options `retainGraph`: keep what is needed for another backward (default `createGraph`); `createGraph`: make
   * the gradients differentiable themselves
   */
  backward(
    gradient?: Tensor | null,
    options: { retainGraph?: boolean; createGraph?: boolean; inputs?: Tensor[] } = {},
  ): void {
    const { createGraph, inputs, ...given } = checkArguments(backwardSchema, options, 'backward')
    const { retainGraph = createGraph } = given
    this._backward([...inputs], gradient ?? null, retainGraph, createGraph)
  }

  /**
   * The elements, row by row, as a typed array: `Float32Array` for float32, `BigInt64Array` for int64, `Uint8Array` for
   * bool, `Uint16Array` with the bits for float16 and bfloat16, ...
   *
   * @param options `copy: false` shares the tensor's own memory where it lies that way already: faster, and changes on
   * either side are seen on the other; `float16Array: true` (from Node 24 on): float16 comes as `Float16Array`
   * @throws TorchLearnerError rejects with the first error of the operators that this tensor came from
   */
  data(options: DataOptions & { float16Array: true }): Promise<TypedInput>
  data(options?: DataOptions): Promise<TypedArray>
  async data(options?: DataOptions): Promise<TypedInput> {
    const { copy, float16Array } = checkDataOptions(options)
    const { buffer, dtype } = await native.read(this.handle, copy, context().origin)
    return viewOf(buffer, dtype, float16Array)
  }

  /** {@link Tensor.data}, blocking. */
  dataSync(options: DataOptions & { float16Array: true }): TypedInput
  dataSync(options?: DataOptions): TypedArray
  dataSync(options?: DataOptions): TypedInput {
    const { copy, float16Array } = checkDataOptions(options)
    const { buffer, dtype } = native.readSync(this.handle, copy, context().origin)
    return viewOf(buffer, dtype, float16Array)
  }

  /** The only element as a number. */
  async item(): Promise<number> {
    const { buffer, dtype, shape } = await native.read(this.handle, true, context().origin)
    return single(numbers(viewOf(buffer, dtype), dtype), shape)
  }

  /** {@link Tensor.item}, blocking. */
  itemSync(): number {
    const { buffer, dtype, shape } = native.readSync(this.handle, true, context().origin)
    return single(numbers(viewOf(buffer, dtype), dtype), shape)
  }

  /** The elements as nested arrays; a plain number when there are no dimensions. int64 beyond 2^53 loses digits. */
  async toArray(): Promise<NestedArray> {
    const { buffer, dtype, shape } = await native.read(this.handle, true, context().origin)
    return nest(numbers(viewOf(buffer, dtype), dtype), shape, dtype === 'bool')
  }

  /** {@link Tensor.toArray}, blocking. */
  toArraySync(): NestedArray {
    const { buffer, dtype, shape } = native.readSync(this.handle, true, context().origin)
    return nest(numbers(viewOf(buffer, dtype), dtype), shape, dtype === 'bool')
  }

  /** Frees the memory (once nothing else uses it). Any later use throws `ERR_DISPOSED`; disposing twice is fine. */
  dispose(): void {
    if (this.#handle >= 0) native.free(this.#handle)
    if (this.#later !== null) this.#forget()
    this.#scope = null
    this.#info = null
    this.#handle = NO_HANDLE
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  get isDisposed(): boolean {
    return this.#handle < 0 && this.#later === null
  }

  /** Takes this tensor out of the scopes around it: it lives until `dispose()`, or until it is collected. */
  keep(): this {
    if (this.#later !== null || this.handle >= 0) this.handOver(null)
    return this
  }

  /** @internal Moves this tensor to another scope, or to none. */
  handOver(scope: ScopeRecord | null): void {
    if (this.isDisposed || this.#scope === scope) return
    const open = scope === null ? null : scope.open
    this.#scope = open
    if (open === null) Tensor.#watch(this)
    else open.add(this)
  }

  /** @internal Gives the handle away; this object is as good as disposed. */
  take(): number {
    const handle = native.share(this.handle)
    this.dispose()
    return handle
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    if (this.isDisposed) return 'Tensor(disposed)'
    return this.#info === null ? 'Tensor(pending)' : `Tensor(${this.#info.dtype}[${this.#info.shape.join(', ')}])`
  }
}

/** What a gradient must have in common with its tensor: anything else fails in every backward pass after it. */
function kindOf({ dtype, shape, device }: Tensor): string {
  return `${dtype} [${shape.join(', ')}] on ${device}`
}

/** Elements as JavaScript numbers, whatever the memory holds. */
function numbers(data: TypedArray, dtype: string): ArrayLike<number> {
  if (isTyped(data, 'BigInt64Array')) return Array.from(data, Number)
  if (dtype === 'float16' || dtype === 'bfloat16') {
    return Array.from(data as Uint16Array, bits => halfToNumber(bits, dtype))
  }
  return data as Exclude<TypedArray, BigInt64Array>
}

function single(data: ArrayLike<number>, shape: readonly number[]): number {
  if (data.length === 1) return data[0]
  throw new TorchLearnerError(
    'ERR_INVALID_ARG',
    `Expected a tensor of one element for item() but received one of shape [${shape.join(', ')}]; use data() or toArray()`,
  )
}

function nest(data: ArrayLike<number>, shape: readonly number[], bool: boolean): NestedArray {
  let next = 0
  const build = (dimension: number): NestedArray => {
    if (dimension === shape.length) {
      const value = data[next++]
      return bool ? value !== 0 : value
    }
    return Array.from({ length: shape[dimension] }, () => build(dimension + 1))
  }
  return build(0)
}

// made after the class, which it needs
const backwardSchema = strictObject({
  retainGraph: flag.optional(),
  createGraph: flag.default(false),
  inputs: field<readonly Tensor[]>(
    'an array of tensors',
    value => Array.isArray(value) && value.every(input => input instanceof Tensor),
  ).default([]),
})
