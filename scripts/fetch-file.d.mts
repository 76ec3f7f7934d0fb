/** See fetch-file.mjs. */
export function fetchFile(
  url: string,
  file: string,
  expected: string | ((file: string) => Promise<void>),
  options?: {
    title?: string
    connectTimeout?: number
    idleTimeout?: number
    onProgress?: (bytes: number, total: number | null) => void
  },
): Promise<void>
