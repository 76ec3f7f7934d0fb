import { createReadStream } from 'node:fs'

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be'

/** By the byte order mark. */
export function encodingOf(head: Buffer): Encoding {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le'
  return head[0] === 0xfe && head[1] === 0xff ? 'utf-16be' : 'utf-8'
}

/** How a decoder writes what it can't decode; text may hold that character itself. */
const REPLACED: Record<Encoding, Buffer> = {
  'utf-8': Buffer.of(0xef, 0xbf, 0xbd),
  'utf-16le': Buffer.of(0xfd, 0xff),
  'utf-16be': Buffer.of(0xff, 0xfd),
}

/**
 * Why a file isn't text in this encoding, as the end of a sentence: where that begins, and how it would read in the likeliest other one.
 */
export async function whatIsWrong(file: string, encoding: Encoding): Promise<string> {
  const { at, line, before, bytes, isZero } = await findUndecodable(file, encoding)
  const where = `in line ${line}, at byte ${at} of the file`
  if (isZero) return `holds a zero ${where}: it is damaged, or not text`
  if (encoding !== 'utf-8') return `is not whole ${encoding.toUpperCase()}: there is no character ${where}`
  if (bytes.length > 1 && bytes.length < 4 && isCut(bytes)) return `ends in the middle of a character, ${where}`
  const reading = `${before.slice(-30)}${new TextDecoder('windows-1252').decode(bytes)}`.split(/[\r\n]/, 1)[0]
  return (
    `is not UTF-8: it has the byte 0x${bytes[0].toString(16).toUpperCase()} ${where}. If ${JSON.stringify(reading)} is right there, ` +
    'it is in Windows-1252 or Latin-1, else in another encoding of its own: save it as UTF-8, for instance with ' +
    'iconv -f WINDOWS-1252 -t UTF-8'
  )
}

/** Whether these bytes, the last ones of the file, are the start of a character. */
function isCut([lead, ...rest]: Buffer): boolean {
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
  return lead >= 0xc2 && rest.length < length - 1 && rest.every(byte => byte >= 0x80 && byte < 0xc0)
}

/** The first bytes that can't be decoded, and the start of their line. */
async function findUndecodable(file: string, encoding: Encoding) {
  let at = 0
  let line = 1
  let before = ''
  let rest: Buffer = Buffer.alloc(0)
  const pass = ({ text, size }: { text: string; size: number }) => {
    const lines = `${before}${text}`.split(/\r\n|\r(?!$)|\n/)
    line += lines.length - 1
    before = lines[lines.length - 1].slice(-64)
    at += size
    rest = rest.subarray(size)
  }
  for await (const chunk of createReadStream(file)) {
    rest = Buffer.concat([rest, chunk])
    const good = goodPart(rest, encoding)
    pass(good)
    // fewer bytes may be the start of a character
    if (rest.length >= 4 || good.isZero) break
  }
  if (before.endsWith('\r')) [line, before] = [line + 1, '']
  return { at, line, before, bytes: rest.subarray(0, 30), isZero: goodPart(rest, encoding).isZero }
}

/** As far as the bytes are text. */
function goodPart(bytes: Buffer, encoding: Encoding): { text: string; size: number; isZero: boolean } {
  const text = new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes)
  const replaced = REPLACED[encoding]
  const sizeOf = (part: string) => (encoding === 'utf-8' ? Buffer.byteLength(part) : part.length * 2)
  let size = 0
  let from = 0
  for (const { index } of text.matchAll(/[\uFFFD\0]/g)) {
    size += sizeOf(text.slice(from, index))
    from = index
    const isZero = text[index] === '\0'
    if (isZero || !replaced.equals(bytes.subarray(size, size + replaced.length))) {
      return { text: text.slice(0, index), size, isZero }
    }
  }
  return { text, size: bytes.length, isZero: false }
}
