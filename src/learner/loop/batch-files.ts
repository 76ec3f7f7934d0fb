import { join } from 'node:path'
import { saveSafetensors } from '../../files/index.js'
import type { Tensor } from '../../tensor/index.js'

/**
 * Writes the tensors of one batch after the other to a folder, `preds-000000.safetensors`, `preds-000001.safetensors`...:
 * one file is being written while the next batch is computed.
 */
export class BatchFiles {
  readonly #folder: string
  readonly #name: string
  #count = 0
  #pending: Promise<unknown> = Promise.resolve()
  #failure: { error: unknown } | null = null

  /** @param name begins the files' names, and is that of the first tensor in them; the others are `name.1`, `name.2`... */
  constructor(folder: string, name: string) {
    this.#folder = folder
    this.#name = name
  }

  /**
   * Waits for the file before, and begins the next one. The values are those of this moment.
   * @returns false once a file couldn't be written: {@link finish} then says why
   */
  async write(tensors: readonly Tensor[]): Promise<boolean> {
    const file = join(this.#folder, `${this.#name}-${String(this.#count++).padStart(6, '0')}.safetensors`)
    const named = tensors.map((tensor, i) => [i === 0 ? this.#name : `${this.#name}.${i}`, tensor.detach()] as const)
    const before = this.#pending
    this.#pending = saveSafetensors(file, new Map(named)).catch((error: unknown) => {
      this.#failure ??= { error }
    })
    await before
    return this.#failure === null
  }

  /**
   * Waits until all is written.
   * @throws what the first file that couldn't be written failed with
   */
  async finish(): Promise<void> {
    await this.#pending
    if (this.#failure) throw this.#failure.error
  }
}
