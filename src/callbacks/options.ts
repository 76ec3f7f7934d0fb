import { z } from 'zod'

/** A finite number above 0. */
export const positive = z.custom<number>(value => Number.isFinite(value) && (value as number) > 0, {
  error: 'a number above 0',
})

/** A finite number of at least 0. */
export const nonNegative = z.custom<number>(value => Number.isFinite(value) && (value as number) >= 0, {
  error: 'a number of at least 0',
})

/** A whole number of at least 1. */
export const count = z.custom<number>(value => Number.isSafeInteger(value) && (value as number) >= 1, {
  error: 'a whole number of at least 1',
})

/** A number above 0 and at most 1. */
export const share = z.custom<number>(value => typeof value === 'number' && value > 0 && value <= 1, {
  error: 'a number above 0, and at most 1',
})

/** A number from 0 to 1, without 1. */
export const decayRate = z.custom<number>(value => typeof value === 'number' && value >= 0 && value < 1, {
  error: 'a number from 0 to 1, 1 excluded',
})

export const flag = z.boolean({ error: 'true or false' })

/** Text that isn't empty. */
export const text = (what: string) => z.string({ error: what }).min(1, { error: what })
