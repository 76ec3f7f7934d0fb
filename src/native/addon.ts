import type { ImageAddon } from './image.js'

/** A tensor as the addon knows it: an index with a generation, so that a stale one is recognised. */
export type Handle = number

/** What an operator call returns: handles for tensors, promises for anything that must be computed first. */
export type CallResult = Handle | Handle[] | undefined | TaggedValue | Promise<TaggedValue>

/** A result that isn't plainly one tensor; tensors within are marked. */
export type TaggedValue = { tensor: Handle } | number | boolean | string | null | TaggedValue[]

/** A tensor's memory as JavaScript sees it. */
export interface ReadResult {
  buffer: ArrayBuffer
  dtype: string
  shape: number[]
}

/** What is known of a tensor without reading its data. */
export interface TensorInfo {
  shape: number[]
  strides: number[]
  dtype: string
  device: string
  memoryFormat: 'contiguous' | 'channels_last' | 'channels_last_3d' | 'strided'
}

/** An error that nobody has read; the last one of a list may stand for kinds that found no room: without a message. */
export type UnreadError = [code: string, message: string, operator: string, origin: number, count: number]

/** What binding/ exports, by concern. Mechanism only: everything public is built on top of it in TypeScript. */
export interface NativeAddon extends ImageAddon {
  /** The libtorch that the addon was compiled against, `2.13.0`. */
  version(): { torch: string; parallel: string; cpu: string }
  /** How native errors become JavaScript ones. */
  onError(factory: (code: string, message: string, operator: string, origin: number) => Error): void
  /** Makes what follows in exit() safe while an operator runs. */
  atExit(): void

  // operators (binding/core/call.cc)
  op(name: string): number
  /** The number by which `call` knows a named argument. */
  argumentName(name: string): number
  /** `flags`: bit 0 grad mode, bit 1 autocast, bits 2-7 its dtype, bits 8-15 how many arguments are named, 16-30 the block of autocast. */
  call(op: number, flags: number, origin: number, hints0: number, hints1: number, ...args: unknown[]): CallResult
  operators(): string[]
  schemas(name: string): string[]

  // handles (binding/core/tensor.cc)
  /** Without `copy` the array must be on memory that can't be taken away: shared, or held by nobody else. */
  fromBuffer(bytes: Uint8Array, shape: readonly number[], dtype: string, copy: boolean): Handle
  free(handle: Handle): void
  share(handle: Handle): Handle
  /**
   * [0] counts the operators recorded so far that may change what {@link describe} gives, of whichever tensor: what was
   * described before is out of date.
   */
  readonly reshaped: Uint32Array
  describe(handle: Handle, origin: number): TensorInfo
  /** For each handle whether the dtype is floating, the number of dimensions, and their sizes. */
  outlines(handles: Float64Array, origin: number): Float64Array
  history(handle: Handle, origin: number): { requiresGrad: boolean; isLeaf: boolean }
  read(handle: Handle, copy: boolean, origin: number): Promise<ReadResult>
  readSync(handle: Handle, copy: boolean, origin: number): ReadResult
  /** `slots`: what is behind handles, kept for the next ones too. */
  stats(): { tensors: number; bytes: number; slots: number }

  // waiting, and what has failed (binding/core/synchronise.cc); `origin`: where a call comes from, run * 2^24 + place
  /** Rejects with what the origin's run must be told; `whole`: also with what someone could still read. */
  mark(origin: number, whole: boolean): Promise<void>
  sync(origin: number): void
  /** The new run's number, at most 2^28. */
  beginRun(): number
  /** What has been recorded so far still belongs to it; `excused`: errors that nobody has read need not be reported. */
  endRun(run: number, excused: boolean): void
  /** Called with errors that nobody can read any more. */
  onUnread(handler: (errors: UnreadError[]) => void): void
  /** All errors that nobody has received. */
  unread(): UnreadError[]
  /** Whether nothing is queued. */
  quiet(): boolean

  // files (binding/files/serialize.cc)
  /** The state dict in a file of torch.save; `key` says where in a dict of dicts, or is empty. */
  loadPth(path: string, key: string): Promise<[name: string, handle: Handle][]>
  loadPthSync(path: string, key: string): [name: string, handle: Handle][]

  // gradients (binding/core/autograd.cc)
  grad(handle: Handle, origin: number): Handle
  setGrad(handle: Handle, gradient: Handle, origin: number): void
  /** `options`: 1 retainGraph, 2 createGraph, 4 allowUnused; `modes`: bits 0-7 and 16-30 of the flags of `call`. */
  gradients(
    outputs: Float64Array,
    inputs: Float64Array,
    gradOutputs: Float64Array,
    options: number,
    modes: number,
    origin: number,
  ): Handle[]

  // random numbers (binding/core/random.cc)
  seed(seed: number | bigint): void
  beta(alpha: number, n: number): Float32Array
  permutation(n: number): Int32Array
  integer(maxExclusive: number): number
  randomReady(): Promise<void> | undefined
  generator(seed: number): object
  randomState(): Handle
  setRandomState(handle: Handle, origin: number): void

  // threads and devices (binding/core/device.cc), memory (binding/core/allocator.cc)
  setThreads(threads: number): void
  getThreads(): number
  cudaAvailable(): boolean
  cudaDeviceCount(): number
  cachedBytes(): number
  emptyCache(): void
  /** Bytes that are free for this process, where that is known; `root` goes before every path that is read. */
  freeMemory(root: string): number | undefined
}
