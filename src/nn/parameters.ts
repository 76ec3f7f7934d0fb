import { invalidArgument } from '../check/index.js'
import { GroupNorm, LayerNorm } from './layers/layer-norm.js'
import { BatchNorm } from './layers/norm.js'
import { type AnyModule, Module } from './module.js'
import type { Parameter } from './parameter.js'

/**
 * Parameters of normalisation layers and, with `withBias`, everything called `bias`: what weight decay usually leaves
 * alone, and what is trained in frozen layers too.
 *
 * @param withBias default true
 */
export function normBiasParameters(module: AnyModule, withBias = true): Parameter[] {
  if (!(module instanceof Module)) throw invalidArgument('module', 'a Module', module)
  const found = new Set<Parameter>()
  for (const part of module.modules()) {
    const isNorm = part instanceof BatchNorm || part instanceof LayerNorm || part instanceof GroupNorm
    for (const [name, parameter] of part.ownParameters()) {
      if (isNorm || (withBias && name === 'bias')) found.add(parameter)
    }
  }
  return [...found]
}
