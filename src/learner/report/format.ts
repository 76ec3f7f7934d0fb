/** `01:23`, or `1:02:03` from an hour on. */
export function formatTime(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds))
  const [h, m, s] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60]
  const two = (n: number) => String(n).padStart(2, '0')
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${two(m)}:${two(s)}`
}

/** A cell of the table: whole counts as they are, other numbers with six decimals, nothing for `null`. */
export function formatCell(value: number | string | null, column: string): string {
  if (value === null) return ''
  if (typeof value === 'string') return value
  return column === 'epoch' ? String(value) : value.toFixed(6)
}
