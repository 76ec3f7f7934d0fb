// Random numbers of its own, reproducible from a number.
let state = 0

/** Starts the sequence anew: equal numbers give equal sequences. */
export function seed(number) {
  state = number | 0
}

/** mulberry32: uniform in [0, 1) */
export function random() {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
export const chance = p => random() < p
export const integer = n => Math.floor(random() * n)
export const pick = list => list[integer(list.length)]
export const many = (max, make) => Array.from({ length: integer(max + 1) }, make)
