/** Kinds of files that are told apart by their first bytes. */
export type FileKind =
  | 'gzip'
  | 'zip'
  | 'tar'
  | 'bzip2'
  | 'xz'
  | 'zstd'
  | '7z'
  | 'rar'
  | 'html'
  | 'xml'
  | 'json'
  | 'lfs'
  | 'xls'
  | 'parquet'
  | 'hdf5'
  | 'pdf'
  | 'picture'

/** What a file seems to be. */
export interface SeenKind {
  readonly kind: FileKind
  /** As a sentence needs it: `a web page (HTML)`. */
  readonly name: string
}

/** How many first bytes {@link fileKind} looks at. */
export const KIND_BYTES = 512

const STARTS: readonly (readonly [start: string, kind: FileKind, name: string])[] = [
  ['\x1f\x8b', 'gzip', 'a file compressed by gzip'],
  ['PK\x03\x04', 'zip', 'a zip archive'],
  ['PK\x05\x06', 'zip', 'an empty zip archive'],
  ['\xfd7zXZ\0', 'xz', 'a file compressed by xz'],
  ['\x28\xb5\x2f\xfd', 'zstd', 'a file compressed by zstd'],
  ['7z\xbc\xaf\x27\x1c', '7z', 'a 7-Zip archive'],
  ['Rar!\x1a\x07', 'rar', 'a RAR archive'],
  ['version https://git-lfs', 'lfs', 'a Git LFS pointer, which stands for a file that was not fetched'],
  ['\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'xls', 'an old Excel or Word document'],
  ['PAR1\x15', 'parquet', 'a Parquet file'],
  ['\x89HDF\r\n\x1a\n', 'hdf5', 'an HDF5 file'],
  ['%PDF-', 'pdf', 'a PDF document'],
  ['\x89PNG\r\n\x1a\n', 'picture', 'a PNG picture'],
  ['\xff\xd8\xff', 'picture', 'a JPEG picture'],
  ['GIF8', 'picture', 'a GIF picture'],
]

const PATTERNS: readonly (readonly [pattern: RegExp, kind: FileKind, name: string])[] = [
  [/^BZh[1-9](1AY&SY|.rE8P)/, 'bzip2', 'a file compressed by bzip2'],
  [/^\s*(<!--.*?-->\s*)?<(!doctype\s+html|html|head|body|script)\b/is, 'html', 'a web page (HTML)'],
  [/^\s*<\?xml\b/i, 'xml', 'an XML document'],
  [/^\s*(\{\s*["}]|\[\s*[{[\]"])/, 'json', 'a JSON document'],
]

/**
 * What a file is, by its first bytes.
 *
 * @param head its first {@link KIND_BYTES} bytes, or all of a shorter one
 * @returns nothing for plain text and for what isn't known
 */
export function fileKind(head: Buffer): SeenKind | undefined {
  if (isTarHeader(head)) return { kind: 'tar', name: 'a tar archive' }
  const text = head.toString('latin1')
  const start = STARTS.find(([start]) => text.startsWith(start))
  const found = start ?? PATTERNS.find(([pattern]) => pattern.test(text.replace(/^\xef\xbb\xbf/, '')))
  return found && { kind: found[1], name: found[2] }
}

/** Whether bytes start with the header of a tar's entry: its sum must be right, with bytes signed or not. */
export function isTarHeader(head: Buffer): boolean {
  if (head.length < 512) return false
  const expected = Number.parseInt(head.toString('latin1', 148, 156).replace(/\0.*/, ''), 8)
  let unsigned = 0
  let signed = 0
  for (let i = 0; i < 512; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : head[i]
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  return unsigned > 0x20 * 8 && (expected === unsigned || expected === signed)
}
