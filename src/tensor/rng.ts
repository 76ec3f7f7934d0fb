import { checkValue, instance } from '../check/index.js'
import { native } from '../native/index.js'
import { context } from './context.js'
import type { Device } from './dtype.js'
import { own } from './ops.js'
import { Tensor } from './tensor.js'

const stateField = instance<Tensor>(Tensor, 'a tensor from getState()')

/** libtorch's default generators: {@link manualSeed} seeds them. */
export const rng = {
  /** Resolves when no queued operator is going to draw random numbers any more. */
  async ready(): Promise<void> {
    await native.randomReady()
  },
  /**
   * The state of a device's default generator, as `torch.get_rng_state()` and `torch.cuda.get_rng_state()`.
   * @param device default `cpu`
   */
  getState(device: Device = 'cpu'): Tensor {
    return device === 'cpu' ? new Tensor(native.randomState()) : own.rngState(device)
  },
  /** Puts a state back, as `torch.set_rng_state` and `torch.cuda.set_rng_state`. */
  setState(state: Tensor, device: Device = 'cpu'): void {
    checkValue(stateField, state, 'state')
    if (device === 'cpu') native.setRandomState(state.handle, context().origin)
    else own.setRngState(device, state)
  },
}
