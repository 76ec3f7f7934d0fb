/** See unzip.mjs. */
export function unzip(
  archive: string,
  folder: string,
  wanted: (name: string, kind: 'File' | 'Directory' | 'SymbolicLink' | 'Device') => boolean,
): Promise<void>
