import type { AnyModule } from './module.js'

/** Notes for each module whether it behaves as in training, and returns what puts that back. */
export function keepModes(model: Pick<AnyModule, 'modules'>): () => void {
  const modes = model.modules().map(module => [module, module.training] as const)
  return () => {
    for (const [module, training] of modes) module.training = training
  }
}
