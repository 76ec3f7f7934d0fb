/** What printing needs to know of a module. */
interface Printable {
  readonly constructor: { readonly name: string }
  extraRepr(): string
  namedChildren(): Iterable<[string, Printable]>
}

function indent(text: string): string {
  return text.replaceAll('\n', '\n  ')
}

/** A module as PyTorch prints it; one that contains itself as `Net(...)` where it comes again. */
export function repr(module: Printable, above: readonly Printable[] = []): string {
  const name = module.constructor.name
  if (above.includes(module)) return `${name}(...)`
  const extra = module.extraRepr()
  const inside = [...above, module]
  const children = [...module.namedChildren()].map(([key, child]) => `(${key}): ${indent(repr(child, inside))}`)
  if (children.length === 0 && !extra.includes('\n')) return `${name}(${extra})`
  const lines = extra === '' ? children : [...extra.split('\n'), ...children]
  return `${name}(\n  ${lines.join('\n  ')}\n)`
}

/** A value as Python writes it. */
export function python(value: unknown): string {
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (value === null) return 'None'
  if (Array.isArray(value)) return `(${value.map(python).join(', ')}${value.length === 1 ? ',' : ''})`
  if (typeof value === 'number' && value !== 0 && Math.abs(value) < 1e-4) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  }
  return String(value)
}
