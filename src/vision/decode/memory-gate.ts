/** Lets work begin while there is room for the memory it takes. What would never fit runs alone. */
export class MemoryGate {
  readonly #limit: number
  #taken = 0
  #running = 0
  readonly #waiting: { bytes: number; begin: () => void }[] = []

  /** @param limit bytes that all work under way may take together */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Works under way and those that wait. */
  get length(): number {
    return this.#running + this.#waiting.length
  }

  /** Runs `body` when there is room for its `bytes`; in the order of the calls. */
  async run<Result>(bytes: number, body: () => Promise<Result>): Promise<Result> {
    await new Promise<void>(begin => {
      this.#waiting.push({ bytes, begin })
      this.#admit()
    })
    try {
      return await body()
    } finally {
      this.#taken -= bytes
      this.#running--
      this.#admit()
    }
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#running > 0 && this.#taken + next.bytes > this.#limit) return
      this.#waiting.shift()
      this.#taken += next.bytes
      this.#running++
      next.begin()
    }
  }
}
