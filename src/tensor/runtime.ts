import { checkValue, whole } from '../check/index.js'
import { native } from '../native/index.js'
import { context } from './context.js'

process.on('exit', () => native.atExit())

/**
 * Resolves when everything queued so far has run. Inside a run (a Learner's fit, a named {@link scope}) it rejects with the
 * first error of the run that it hasn't been given: of an in-place operator, or of one whose result nobody can read any
 * more. Each is told once so; reading the target of an in-place operator still rejects. Other code's errors are told to those
 * who read what they spoiled, and never here.
 */
export function mark(): Promise<void> {
  return native.mark(context().origin, false)
}

/** As `torch.cuda.synchronize()`, for every device and by promise: {@link mark}. */
export async function synchronize(): Promise<void> {
  await mark()
}

/** {@link synchronize}, blocking the event loop. */
export function synchronizeSync(): void {
  native.sync(context().origin)
}

const threadCount = whole(1, 4096)

/** Number of threads that operators compute with. */
export function setNumThreads(threads: number): void {
  native.setThreads(checkValue(threadCount, threads, 'threads'))
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
