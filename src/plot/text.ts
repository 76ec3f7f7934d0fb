/** Characters of DejaVu Sans by their advance, in hundredths of the font size. */
const BY_ADVANCE: Readonly<Record<number, string>> = {
  27: "'",
  28: 'ijlIJ',
  32: ' ,.',
  34: '/:;\\|f',
  36: '-',
  39: '()[]t',
  41: 'r!',
  46: '"',
  50: '*_`sz',
  54: '?cL',
  58: 'FkvxyP',
  62: 'TYaoeESbdghnpqu',
  64: '$0123456789{}',
  68: 'KAVBRXZ',
  72: 'CU',
  76: 'HNDG&',
  80: 'OQw',
  84: '#+<=>^~M',
  98: '%mW@',
}

const ADVANCES = new Map(
  Object.entries(BY_ADVANCE).flatMap(([width, chars]) => [...chars].map(c => [c, Number(width)])),
)

/** How wide text is in DejaVu Sans, within some percent: enough to place things by. The widest line counts. */
export function textWidth(text: string, size: number, bold = false): number {
  let widest = 0
  for (const line of text.split('\n')) {
    let width = 0
    for (const char of line) width += ADVANCES.get(char) ?? (char < '⺀' ? 66 : 100)
    widest = Math.max(widest, width)
  }
  return (widest / 100) * size * (bold ? 1.13 : 1)
}

/** The text, or as much of it as fits, with an ellipsis. */
export function clipText(text: string, width: number, size: number, bold = false): string {
  if (textWidth(text, size, bold) <= width) return text
  const chars = [...text]
  while (chars.length > 1 && textWidth(`${chars.join('')}…`, size, bold) > width) chars.pop()
  return `${chars.join('').trimEnd()}…`
}

/**
 * Breaks each line of the text at blanks and behind `_`, `-`, `/` and `+` where it would be wider than `width`; what does not
 * fit on `most` lines is cut.
 */
export function wrapText(text: string, width: number, size: number, most: number, bold = false): string[] {
  return text.split('\n').flatMap(line => {
    const lines: string[] = []
    let current = ''
    for (const part of line.match(/\s*[^\s_\-/+]*[_\-/+]*/g) ?? []) {
      if (current !== '' && lines.length < most - 1 && textWidth(current + part.trimEnd(), size, bold) > width) {
        lines.push(current)
        current = part.trimStart()
      } else current += part
    }
    return [...lines, current].map(one => clipText(one.trim(), width, size, bold))
  })
}
