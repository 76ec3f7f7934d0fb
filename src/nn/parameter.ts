import { invalidArgument } from '../check/index.js'
import { noGrad, Tensor } from '../tensor/index.js'

/**
 * A tensor that a module learns: as a field of a {@link Module} it is found by `parameters()`, trained by optimizers and
 * saved in state dicts. It lives until it is disposed or collected, also when it is made inside a `scope`.
 */
export class Parameter extends Tensor {
  /**
   * @param data the initial values; the parameter shares their memory
   * @param requiresGrad whether `backward()` computes its gradient, default true
   */
  constructor(data: Tensor, requiresGrad = true) {
    if (!(data instanceof Tensor)) throw invalidArgument('data', 'a Tensor', data)
    super(noGrad(() => data.detach()).take())
    this.requiresGrad_(requiresGrad)
    this.keep()
  }
}
