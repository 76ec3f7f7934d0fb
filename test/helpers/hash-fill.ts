import { type nn, noGrad, type Tensor, tensor } from 'torch-learner'

/** The recordings' number `i` of stream `salt`, from -1 to 1: integers only, so the same everywhere. */
export function hashNumber(i: number, salt: number): number {
  let x = (Math.imul(i, 2654435761) + ((Math.imul(salt, 40503) + 12345) >>> 0)) >>> 0
  for (let round = 0; round < 2; round++) {
    x = (x ^ (x >>> 16)) >>> 0
    x = Math.imul(x, 0x45d9f3b) >>> 0
  }
  x = (x ^ (x >>> 16)) >>> 0
  return ((x + 0.5) / 2 ** 32) * 2 - 1
}

export function hashTensor(shape: number[], salt: number, scale = 1, offset = 0): Tensor {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1))
  for (let i = 0; i < data.length; i++) data[i] = offset + scale * hashNumber(i, salt)
  return tensor(data, { shape })
}

function entry(name: string, shape: number[], salt: number): Tensor {
  if (name.endsWith('num_batches_tracked')) return tensor(0, { dtype: 'int64' })
  if (name.endsWith('running_mean')) return hashTensor(shape, salt, 0.1)
  if (name.endsWith('running_var')) return hashTensor(shape, salt, 0.25, 1.25)
  if (shape.length >= 2) {
    const fanIn = shape.slice(1).reduce((product, size) => product * size, 1)
    return hashTensor(shape, salt, Math.sqrt(6 / fanIn))
  }
  return hashTensor(shape, salt, 0.1, name.endsWith('weight') ? 1 : 0)
}

/** Fills a module's state as the recordings' `hash_init_rule` says: entry k of the state dict uses stream `salt0 + k`. */
export function hashFill(module: nn.AnyModule, salt0: number): void {
  let salt = salt0
  noGrad(() => {
    for (const [name, target] of module.namedState()) target.copy_(entry(name, target.shape, salt++))
  })
}
