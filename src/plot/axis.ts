/** A linear scale. */
export interface Axis {
  readonly ticks: readonly { readonly value: number; readonly text: string }[]
  /** Where a value stands: 0 at the scale's lower end, 1 at its upper end. */
  share(value: number): number
}

/**
 * A scale with round tick values. The range is stretched to whole steps.
 *
 * @param values what is to be shown; those that aren't finite are left out
 * @param wanted about how many ticks
 * @param tight keep to the values' own range
 */
export function linearAxis(values: Iterable<number>, wanted: number, tight = false): Axis {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (low > high) [low, high] = [0, 1]
  if (low === high) [low, high] = low === 0 ? [0, 1] : [Math.min(0, 2 * low), Math.max(0, 2 * low)]
  const step = niceStep((high - low) / wanted)
  const first = tight ? Math.ceil(low / step) : Math.floor(low / step)
  const last = tight ? Math.floor(high / step) : Math.ceil(high / step)
  const start = tight ? low : first * step
  const span = (tight ? high : last * step) - start
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
  const largest = Math.max(Math.abs(first), Math.abs(last)) * step
  const text = (value: number) => (largest >= 1e6 || digits > 4 ? shortExponent(value) : value.toFixed(digits))
  return {
    ticks: Array.from({ length: last - first + 1 }, (_, i) => ({
      value: (first + i) * step,
      text: text((first + i) * step),
    })),
    share: value => (value - start) / span,
  }
}

/**
 * A logarithmic scale with a tick at each power of ten, or at every second, third... when there are many.
 *
 * @param values what is to be shown; those that aren't finite and above 0 are left out
 * @param wanted about how many ticks
 */
export function logAxis(values: Iterable<number>, wanted: number): Axis {
  const logs: number[] = []
  for (const value of values) if (value > 0 && Number.isFinite(value)) logs.push(Math.log10(value))
  const low = logs.reduce((least, value) => Math.min(least, value), logs[0] ?? 0)
  const high = logs.reduce((most, value) => Math.max(most, value), logs[0] ?? 1)
  const span = high - low || 1
  const step = Math.ceil(span / wanted)
  const ticks = []
  for (let power = Math.ceil(low - 1e-9); power <= high + 1e-9; power += step) {
    ticks.push({ value: 10 ** power, text: power >= -2 && power <= 3 ? String(10 ** power) : `1e${power}` })
  }
  return { ticks, share: value => (Math.log10(value) - low) / span }
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw))
  const lead = raw / power - 1e-9 // 0.0005 / 0.0001 is a little above 5
  return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10) * power
}

function shortExponent(value: number): string {
  return value === 0 ? '0' : String(Number(value.toPrecision(3)).toExponential())
}
