import type { ExecutionContext } from 'ava'
import { memoryStats } from 'torch-learner'

/** No tensor is left over since `before` were counted. Fewer is fine: what others forgot, the collector may have found since. */
export function noneLeft(t: ExecutionContext<unknown>, before: number): void {
  const { tensors } = memoryStats()
  t.true(tensors <= before, `${tensors} tensors, where ${before} were before`)
}
