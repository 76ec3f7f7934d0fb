/** Attributes of an element; `undefined` leaves one out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text as XML may hold it: control characters, which XML refuses, become blanks. */
export function escapeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[&<>"]/g, char => ENTITIES[char]).replace(/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/g, ' ')
}

/** A number as short as a drawing needs it. */
export function fixed(value: number): string {
  return String(Math.round(value * 100) / 100)
}

/** One element. Children are markup already: pass text through {@link escapeText}. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? fixed(value) : escapeText(String(value))}"`)
    .join('')
  return children.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${children.join('')}</${name}>`
}

/** Text at a point, one `tspan` a line. */
export function label(text: string, x: number, y: number, attributes: Attributes = {}): string {
  const lines = text.split('\n')
  if (lines.length === 1) return element('text', { x, y, ...attributes }, escapeText(text))
  const spans = lines.map((line, i) => element('tspan', { x, dy: i === 0 ? 0 : '1.25em' }, escapeText(line)))
  return element('text', { x, y, ...attributes }, ...spans)
}

/** A whole drawing. `name` says what it is to those who can't see it. */
export function document(width: number, height: number, name: string, ...children: readonly string[]): string {
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      'xmlns:xlink': 'http://www.w3.org/1999/xlink',
      width,
      height,
      viewBox: `0 0 ${fixed(width)} ${fixed(height)}`,
      'font-family': "'DejaVu Sans', Verdana, sans-serif",
      role: 'img',
      'aria-label': name,
    },
    element('title', {}, escapeText(name)),
    ...children,
  )
}
