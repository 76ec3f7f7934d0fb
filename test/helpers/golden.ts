import { appendFileSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import { type DType, type Tensor, tensor } from 'torch-learner'

/** A recorded tensor: row-major numbers; NaN and infinities are strings. */
export interface Fixture {
  shape: number[]
  dtype: DType
  data: (number | string | boolean)[]
}

const folder = process.env.TORCH_LEARNER_GOLDEN ?? fileURLToPath(new URL('../golden/', import.meta.url))

/** A recording of the reference: test/golden, or the folder that TORCH_LEARNER_GOLDEN names. */
export function golden<T>(name: string): T {
  return JSON.parse(readFileSync(`${folder.replace(/\/$/, '')}/${name}.json`, 'utf8')) as T
}

export function isFixture(value: unknown): value is Fixture {
  return typeof value === 'object' && value !== null && 'shape' in value && 'dtype' in value && 'data' in value
}

/** The numbers of a recorded tensor. */
export function numbersOf(fixture: Fixture): number[] {
  return fixture.data.map(value => Number(value === 'Infinity' ? Infinity : value === '-Infinity' ? -Infinity : value))
}

export function toTensor(fixture: Fixture): Tensor {
  return tensor(Float64Array.from(numbersOf(fixture)), { shape: fixture.shape, dtype: fixture.dtype })
}

/** Worst deviation over its tolerance; NaN equals NaN. */
export function assertNumbers(
  t: ExecutionContext<unknown>,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { atol = 1e-6, rtol = 1e-6 }: { atol?: number; rtol?: number } = {},
  label = '',
): void {
  t.is(actual.length, expected.length, `${label}: number of elements`)
  let worst = 0
  let at = -1
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i], expected[i]]
    if (Object.is(a, e) || a === e || (Number.isNaN(a) && Number.isNaN(e))) continue
    const excess = Math.abs(a - e) / (atol + rtol * Math.abs(e))
    if (!(excess <= worst)) {
      worst = excess
      at = i
    }
  }
  report(`${t.title}: ${label}`, actual, expected, worst)
  t.true(
    worst <= 1,
    `${label}: element ${at} is ${actual[at]} instead of ${expected[at]} (${worst} times the tolerance)`,
  )
}

/** Every element may deviate by `share` of the recording's largest one: what sums of numbers of that size are worth. */
export function assertWithin(
  t: ExecutionContext<unknown>,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  share: number,
  label = '',
): void {
  const largest = Array.from(expected).reduce((max, value) => Math.max(max, Math.abs(value)), 0)
  assertNumbers(t, actual, expected, { atol: share * largest, rtol: 0 }, label)
}

/**
 * With TORCH_LEARNER_GOLDEN_REPORT=<file>, each comparison appends its worst deviation there, as a line of JSON: absolute,
 * relative to the largest number of the recording, and as a share of what the test allows.
 */
function report(title: string, actual: ArrayLike<number>, expected: ArrayLike<number>, allowed: number): void {
  const file = process.env.TORCH_LEARNER_GOLDEN_REPORT
  if (file === undefined) return
  let absolute = 0
  let largest = 0
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i])
    if (difference > absolute) absolute = difference
    if (Number.isFinite(expected[i])) largest = Math.max(largest, Math.abs(expected[i]))
  }
  const relative = largest > 0 ? absolute / largest : 0
  appendFileSync(file, `${JSON.stringify({ title, absolute, relative, allowed })}\n`)
}

/** Shape and elements of a tensor against a recording. */
export async function assertClose(
  t: ExecutionContext<unknown>,
  actual: Tensor,
  expected: Fixture,
  tolerance: { atol?: number; rtol?: number } = {},
  label = '',
): Promise<void> {
  t.deepEqual(actual.shape, expected.shape, `${label}: shape`)
  const data = await actual.to({ dtype: 'float64' }).data()
  assertNumbers(t, data as Float64Array, numbersOf(expected), tolerance, label)
}
