import { invalidArgument } from '../../check/index.js'
import { atOnce, each, type Steps } from '../../files/index.js'

const LENGTH = 624
const SHIFT = 397

/**
 * The 32-bit Mersenne Twister, seeded as PyTorch seeds its CPU generator, so that `permutation` gives what
 * `torch.manual_seed(seed); torch.randperm(n)` gives, without touching the global generator.
 * (Matsumoto and Nishimura, 1998.)
 *
 * @example new Mt19937(42).permutation(10) // [2, 6, 1, 8, 4, 5, 0, 9, 3, 7]
 */
export class Mt19937 {
  readonly #state = new Uint32Array(LENGTH)
  #next = LENGTH

  /** @param seed a whole number; only its low 32 bits count, as in PyTorch */
  constructor(seed: number) {
    const state = this.#state
    state[0] = seed >>> 0
    for (let i = 1; i < LENGTH; i++) {
      const previous = state[i - 1]
      state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i
    }
  }

  /** A whole number in [0, 2^32). */
  integer(): number {
    if (this.#next === LENGTH) this.#twist()
    let word = this.#state[this.#next++]
    word ^= word >>> 11
    word ^= (word << 7) & 0x9d2c5680
    word ^= (word << 15) & 0xefc60000
    return (word ^ (word >>> 18)) >>> 0
  }

  /** A number in [0, 1), in steps of 2^-32. */
  uniform(): number {
    return this.integer() / 2 ** 32
  }

  /** A number in [0, 1), in steps of 2^-53: PyTorch's uniform float64. */
  double(): number {
    const high = this.integer() & 0x1fffff
    return (high * 2 ** 32 + this.integer()) / 2 ** 53
  }

  /** The numbers 0 to n-1 in random order. */
  permutation(n: number): Int32Array {
    return atOnce(this.permuting(n))
  }

  /** The same in steps; all that is drawn is drawn in the first. */
  *permuting(n: number): Steps<Int32Array> {
    const order = wholeNumbers(n)
    const draws = new Uint32Array(Math.max(n - 1, 0))
    for (let i = 0; i < draws.length; i++) draws[i] = this.integer()
    yield* each(draws.length, i => {
      const other = i + (draws[i] % (n - i))
      const moved = order[i]
      order[i] = order[other]
      order[other] = moved
    })
    return order
  }

  /** Where it stands, as text: {@link setState} makes any generator go on from there. */
  getState(): string {
    const words = Uint32Array.of(...this.#state, this.#next)
    return Buffer.from(words.buffer).toString('base64')
  }

  /**
   * @param state from {@link getState}
   * @throws TorchLearnerError `ERR_INVALID_ARG` for anything else
   */
  setState(state: string): void {
    const bytes = typeof state === 'string' ? Uint8Array.from(Buffer.from(state, 'base64')) : new Uint8Array()
    const words = bytes.byteLength === 4 * (LENGTH + 1) ? new Uint32Array(bytes.buffer) : []
    if (words.length === 0 || words[LENGTH] > LENGTH) {
      throw invalidArgument('state', 'the state of a generator, from getState', state)
    }
    this.#state.set(words.slice(0, LENGTH))
    this.#next = words[LENGTH]
  }

  #twist(): void {
    const state = this.#state
    for (let i = 0; i < LENGTH; i++) {
      const mixed = (state[i] & 0x80000000) | (state[(i + 1) % LENGTH] & 0x7fffffff)
      state[i] = state[(i + SHIFT) % LENGTH] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0)
    }
    this.#next = 0
  }
}

/** 0 to n-1. */
export function wholeNumbers(n: number): Int32Array {
  const numbers = new Int32Array(n)
  for (let i = 0; i < n; i++) numbers[i] = i
  return numbers
}
