import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const HEADER_SIZE = 64

/**
 * Throws when a library is shorter than its own header says, as after an interrupted copy: ld.so maps such a file
 * happily, and the process dies of SIGBUS when it touches the missing part.
 */
export function refuseTruncated(path: string): void {
  const header = Buffer.alloc(HEADER_SIZE)
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    if (readSync(file, header, 0, HEADER_SIZE, 0) < HEADER_SIZE) throw new Error(`${path} is too short for a library`)
    // Only 64-bit little-endian ELF is understood here; ld.so itself has clear words for everything else
    if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) return
    const sectionTable = Number(header.readBigUInt64LE(40))
    const end = sectionTable + header.readUInt16LE(58) * header.readUInt16LE(60)
    if (size < end) throw new Error(`${path} is cut off: ${size} bytes of at least ${end}`)
  } finally {
    closeSync(file)
  }
}
