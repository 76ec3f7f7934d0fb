/** See lock.mjs. */
export function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options?: { onWait?: (owner: { pid: number; host: string; token: string } | null) => void },
): Promise<T>
