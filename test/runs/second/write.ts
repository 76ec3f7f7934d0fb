// What the parts of a second recording share.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { nn, Tensor } from 'torch-learner'
import type { Fixture } from '../../helpers/golden.js'

/** A tensor as the recordings have it, or its first `count` numbers. */
export async function recordedTensor(x: Tensor, count?: number): Promise<Fixture> {
  const data = Array.from(await x.detach().contiguous().data(), Number)
  const shape = count === undefined ? x.shape : [count]
  return { shape, dtype: x.dtype, data: data.slice(0, count) }
}

export async function recordedState(module: nn.AnyModule): Promise<Record<string, Fixture>> {
  const state: Record<string, Fixture> = {}
  for (const [name, value] of module.stateDict()) state[name] = await recordedTensor(value)
  return state
}

export async function recordedBatches(batches: Tensor[][]): Promise<Fixture[][]> {
  return Promise.all(batches.map(batch => Promise.all(batch.map(x => recordedTensor(x)))))
}

/** Writes a recording; infinities and NaN as strings, as the first one has them. */
export function write(folder: string, name: string, content: object): void {
  const text = JSON.stringify(content, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  )
  writeFileSync(join(folder, `${name}.json`), text)
}
