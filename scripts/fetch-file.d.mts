/** See fetch-file.mjs. */
export function fetchFile(
  url: string,
  file: string,
  expected: string,
  options?: { title?: string; connectTimeout?: number; idleTimeout?: number },
): Promise<void>
