import type { Tensor } from 'torch-learner'
import { tensor } from 'torch-learner'

/**
 * The gradient of `f`, a number, by finite differences: `(f(x + h) - f(x - h)) / 2h` for each element.
 *
 * @param x float64
 */
export async function numericalGradient(f: (x: Tensor) => Tensor, x: Tensor, h = 1e-6): Promise<Float64Array> {
  const values = (await x.detach().data()) as Float64Array
  const at = async (i: number, step: number) => {
    const moved = values.slice()
    moved[i] += step
    return await f(tensor(moved, { shape: x.shape })).item()
  }
  const result = new Float64Array(values.length)
  for (let i = 0; i < values.length; i++) result[i] = ((await at(i, h)) - (await at(i, -h))) / (2 * h)
  return result
}

/** The gradient that `backward()` leaves. */
export async function analyticalGradient(f: (x: Tensor) => Tensor, x: Tensor): Promise<Float64Array> {
  const leaf = x.detach().clone()
  leaf.requiresGrad = true
  f(leaf).backward()
  const { grad } = leaf
  if (grad === null) throw new Error('backward() left no gradient')
  return (await grad.data()) as Float64Array
}
