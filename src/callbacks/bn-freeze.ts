import { Callback } from '../learner/index.js'
import { BatchNorm } from '../nn/index.js'

/**
 * Keeps frozen batch normalisations as they are: those whose weights don't train also stop following the batches'
 * statistics. Needs a Learner made with `trainBn: false`, which is what freezes their weights.
 *
 * @example const learn = new Learner(dls, model, { trainBn: false, cbs: BnFreeze })
 */
export class BnFreeze extends Callback {
  #frozen: BatchNorm[] = []

  override beforeTrain(): void {
    this.#frozen = this.learn.model.modules().filter(isFrozen)
    for (const norm of this.#frozen) norm.eval()
  }

  override cleanup(): void {
    for (const norm of this.#frozen) norm.train(this.learn.model.training)
    this.#frozen = []
  }
}

function isFrozen(module: unknown): module is BatchNorm {
  if (!(module instanceof BatchNorm)) return false
  const parameters = module.parameters()
  return parameters.length > 0 && parameters.every(parameter => !parameter.requiresGrad)
}
