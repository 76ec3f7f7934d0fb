/** A linear or logarithmic scale. */
export interface Axis {
  readonly ticks: readonly { readonly value: number; readonly text: string }[]
  /** Values between the ticks which are marked without a number. */
  readonly between: readonly number[]
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
  let whole: boolean | undefined
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    whole = whole !== false && Number.isInteger(value)
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (low > high) [low, high] = [0, 1]
  if (low === high) [low, high] = low === 0 ? [0, 1] : [Math.min(0, 2 * low), Math.max(0, 2 * low)]
  // whole numbers (iterations, epochs, counts) have nothing between them
  const step = Math.max(niceStep((high - low) / wanted), whole ? 1 : 0)
  const [from, to] = [low / step, high / step]
  const first = tight ? Math.ceil(from - 1e-9) : Math.floor(from + 1e-9)
  const last = tight ? Math.floor(to + 1e-9) : Math.ceil(to - 1e-9)
  const start = tight ? low : first * step
  const span = (tight ? high : last * step) - start
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
  const largest = Math.max(Math.abs(first), Math.abs(last)) * step
  const text = (value: number) => (largest >= 1e6 || digits > 3 ? shortExponent(value) : value.toFixed(digits))
  return {
    ticks: Array.from({ length: last - first + 1 }, (_, i) => ({
      value: (first + i) * step,
      text: text((first + i) * step),
    })),
    between: [],
    share: value => (value - start) / span,
  }
}

/**
 * A logarithmic scale with a tick at each power of ten, or at every second, third... when there are many, or at 1, 2 and 5 times
 * the powers when there are few.
 *
 * @param values what is to be shown; those that aren't finite and above 0 are left out
 * @param wanted about how many ticks
 */
export function logAxis(values: Iterable<number>, wanted: number): Axis {
  const logs: number[] = []
  for (const value of values) if (value > 0 && Number.isFinite(value)) logs.push(Math.log10(value))
  const low = logs.reduce((least, value) => Math.min(least, value), logs[0] ?? 0)
  const high = logs.reduce((most, value) => Math.max(most, value), logs[0] ?? 1)
  const inside = (value: number) => Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9
  const powers: number[] = []
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) powers.push(power)
  const times = (factors: readonly number[], every = 1) =>
    powers
      .filter(power => power % every === 0)
      .flatMap(power => factors.map(f => Number(`${f}e${power}`)))
      .filter(inside)
  const every = Math.max(1, Math.ceil((high - low) / wanted))
  const whole = times([1], every)
  const chosen = whole.length > 2 ? whole : times([1, 2, 5])
  // within less than a decade the scale is nearly linear, and so are its numbers
  const near = linearAxis([10 ** low, 10 ** high], wanted, true).ticks.filter(({ value }) => inside(value))
  const spelled = (values: readonly number[]) => values.map(value => ({ value, text: powerText(value) }))
  return {
    ticks: chosen.length > 2 ? spelled(chosen) : near.length > 0 ? near : spelled([10 ** low]),
    between: every > 1 ? times([1]) : times([2, 3, 4, 5, 6, 7, 8, 9]),
    share: value => (Math.log10(value) - low) / (high - low || 1),
  }
}

/** 1e-3, 2e-1; 1, 5, 10 and 20 as they are. */
function powerText(value: number): string {
  return value >= 1 && value < 100 ? String(value) : shortExponent(value)
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw))
  const lead = raw / power - 1e-9 // 0.0005 / 0.0001 is a little above 5
  return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10) * power
}

function shortExponent(value: number): string {
  return value === 0 ? '0' : Number(value.toPrecision(3)).toExponential().replace('+', '')
}
