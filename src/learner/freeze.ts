import type { Optimizer } from '../optim/index.js'

/**
 * Lets only the parameter groups from `n` on train (negative: counted from the end); parameters marked `forceTrain`,
 * those of normalisation layers, train in any case. Forgets the optimizer's state and all gradients: a frozen
 * parameter must not move by an old gradient or by weight decay.
 *
 * @returns false if `n` lies beyond the last group, so that everything is frozen
 */
export function freezeTo(opt: Optimizer, n: number): boolean {
  const groups = opt.paramGroups
  const first = n < 0 ? groups.length + n : n
  groups.forEach(({ params }, i) => {
    for (const parameter of params) {
      parameter.requiresGrad = i >= first || opt.flags(parameter).forceTrain
      parameter.grad = null
    }
  })
  opt.clearState()
  return first < groups.length
}
