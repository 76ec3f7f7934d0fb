/** How files of formats that no build of this package reads begin. */
const STARTS: readonly (readonly [start: string, name: string])[] = [
  ['\0\0\0\x0cjP  \r\n', 'a JPEG 2000 picture'],
  ['\xff\x4f\xff\x51', 'a JPEG 2000 picture'],
  ['\0\0\0\x0cJXL \r\n', 'a JPEG XL picture'],
  ['\xff\x0a', 'a JPEG XL picture'],
  ['\0\0\x01\0', 'an icon (ICO)'],
  ['8BPS', 'a Photoshop document'],
  ['\x0a\x02\x01', 'a PCX picture'],
  ['\x0a\x03\x01', 'a PCX picture'],
  ['\x0a\x05\x01', 'a PCX picture'],
  ['/* XPM */', 'an XPM picture'],
]

const XBM = /^\s*#define \w*width /

/** Brands of HEIF files whose pixels are compressed by HEVC, as phones write them. */
const HEVC = /hei[cxms]|hev[cxms]/

/**
 * What kind of file a picture of unknown format is, by its first bytes.
 *
 * @returns as a sentence needs it: `a HEIC picture`; nothing where that isn't known
 */
export function foreignFormat(bytes: Buffer): string | undefined {
  const head = bytes.toString('latin1', 0, 64)
  if (head.startsWith('ftyp', 4)) {
    const brands = head.slice(8, Math.min(bytes.readUInt32BE(0), 64))
    return HEVC.test(brands) ? 'a HEIC picture' : undefined
  }
  if (XBM.test(head)) return 'an XBM picture'
  return STARTS.find(([start]) => head.startsWith(start))?.[1]
}
