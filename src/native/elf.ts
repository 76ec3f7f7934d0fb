import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const HEADER = 64
const PROGRAM_HEADER = 56
const SECTION_HEADER = 64
const LOADED = 1
const STRING_TABLE = 3
/** Sections that take no room in the file. */
const WITHOUT_BYTES = [0, 8]

/**
 * What is wrong with a library by what it says of itself at its head and at its tail, or null: shorter than its own tables
 * say, as after an interrupted copy, or without an end, as after a crash before all was on the disk. ld.so maps such a file
 * happily, and the process dies of SIGBUS or SIGSEGV when it touches the missing part. Reads a few kilobytes.
 */
export function damageOf(path: string): string | null {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const header = bytesAt(file, 0, HEADER)
    if (header.length < HEADER) return `${path} is too short for a library`
    // Only 64-bit little-endian ELF is understood here; ld.so itself has clear words for everything else
    if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) return null
    const sectionTable = Number(header.readBigUInt64LE(40))
    const sections = header.readUInt16LE(60)
    const needed = Math.max(
      endOfSegments(file, Number(header.readBigUInt64LE(32)), header.readUInt16LE(56)),
      sectionTable + sections * header.readUInt16LE(58),
    )
    if (size < needed) return `${path} is cut off: ${size} bytes of at least ${needed}`
    if (sections === 0) return null
    const table = bytesAt(file, sectionTable, sections * SECTION_HEADER)
    return isSectionTable(table, sections, header.readUInt16LE(62), size)
      ? null
      : `${path} is damaged: its table of sections is overwritten`
  } finally {
    closeSync(file)
  }
}

function bytesAt(file: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, readSync(file, bytes, 0, length, position))
}

/** Where the last part ends that is mapped into memory. */
function endOfSegments(file: number, position: number, count: number): number {
  const headers = bytesAt(file, position, count * PROGRAM_HEADER)
  let end = position + count * PROGRAM_HEADER
  for (let at = 0; at + PROGRAM_HEADER <= headers.length; at += PROGRAM_HEADER) {
    if (headers.readUInt32LE(at) !== LOADED) continue
    end = Math.max(end, Number(headers.readBigUInt64LE(at + 8)) + Number(headers.readBigUInt64LE(at + 32)))
  }
  return end
}

/** The first section is empty, one holds the names, and each lies within the file. */
function isSectionTable(table: Buffer, count: number, names: number, size: number): boolean {
  if (table.length < count * SECTION_HEADER || names >= count) return false
  for (let i = 0; i < count; i++) {
    const section = table.subarray(i * SECTION_HEADER)
    const type = section.readUInt32LE(4)
    if (i === 0 && type !== 0) return false
    if (i === names && type !== STRING_TABLE) return false
    const end = Number(section.readBigUInt64LE(24)) + Number(section.readBigUInt64LE(32))
    if (!WITHOUT_BYTES.includes(type) && end > size) return false
  }
  return true
}
