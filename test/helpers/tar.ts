/** What an entry of a tar says. */
export interface EntryOptions {
  /** `0` a file, `5` a folder, `S` a sparse file...; default `0`. */
  type?: string
  content?: string
  /** Bytes that the header tells of; default: those of `content`. */
  size?: number
  mode?: number
}

/** One entry as tar writes it; `tar.create` refuses to make dangerous ones. */
export function entry(name: string, options: EntryOptions = {}): Buffer {
  const { type = '0', content = '', size = Buffer.byteLength(content), mode = 0o644 } = options
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write(octal(mode, 7), 100)
  header.write(octal(0, 7), 108)
  header.write(octal(0, 7), 116)
  header.write(octal(size, 11), 124)
  header.write(octal(0, 11), 136)
  header.write('        ', 148)
  header.write(type, 156)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const data = Buffer.from(content)
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)])
}
