import { invalidArgument, native, TorchLearnerError } from '../native/index.js'

native.onError((code, message) => new TorchLearnerError(code as TorchLearnerError['code'], message))

// A program that ends with operators still queued lets them run. One that failed and that nobody has read then ends the
// program as any unhandled rejection does.
process.on('beforeExit', () => {
  if (!native.quiet()) void native.mark()
})

process.on('exit', () => native.atExit())

/**
 * Resolves when everything queued so far has run. Rejects with the first error that nobody has been told of, such as
 * that of an in-place operator.
 */
export function mark(): Promise<void> {
  return native.mark()
}

/** As `torch.cuda.synchronize()`, for every device and by promise: everything queued so far has run. */
export async function synchronize(): Promise<void> {
  await native.mark()
}

/** {@link synchronize}, blocking the event loop. */
export function synchronizeSync(): void {
  native.sync()
}

/** Number of threads that operators compute with. */
export function setNumThreads(threads: number): void {
  if (!Number.isInteger(threads) || threads < 1 || threads > 4096) {
    throw invalidArgument('threads', 'an integer from 1 to 4096', threads)
  }
  native.setThreads(threads)
}

export function getNumThreads(): number {
  return native.getThreads()
}

export const cuda = {
  /** Whether this libtorch has CUDA and there is a device it can use. */
  isAvailable(): boolean {
    return native.cudaAvailable() && native.cudaDeviceCount() > 0
  },
  deviceCount(): number {
    return native.cudaDeviceCount()
  },
}

/** Live tensor handles of this environment, their bytes, and the bytes that the allocator keeps for reuse. */
export function memoryStats(): { tensors: number; bytes: number; cachedBytes: number } {
  const { tensors, bytes } = native.stats()
  return { tensors, bytes, cachedBytes: native.cachedBytes() }
}

/** Gives the allocator's reserve of freed blocks back to the system. */
export function emptyCache(): void {
  native.emptyCache()
}
