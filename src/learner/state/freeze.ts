import { checkValue, integer } from '../../check/index.js'
import { Learner } from '../learner.js'
import { warnAllFrozen } from '../report/warnings.js'

declare module '../learner.js' {
  interface Learner {
    /**
     * Lets only the parameter groups from `n` on train; negative numbers count from the end. Normalisation layers train
     * in any case, unless the Learner was made with `trainBn: false`; their running statistics move even then. Forgets
     * the optimizer's state and all gradients: a frozen parameter must not move by an old gradient or by weight decay.
     * Warns when there is no such group, so that all are frozen.
     *
     * @throws TorchLearnerError `ERR_INVALID_ARG` unless `n` is a whole number
     */
    freezeTo(n: number): void
    /** Freezes all parameter groups but the last. */
    freeze(): void
    /** Lets all parameter groups train. */
    unfreeze(): void
  }
}

Learner.prototype.freezeTo = function (this: Learner, n) {
  checkValue(integer, n, 'n')
  const opt = this.opt ?? this.createOpt()
  const first = n < 0 ? opt.paramGroups.length + n : n
  if (first >= opt.paramGroups.length) warnAllFrozen(n, opt.paramGroups.length)
  opt.paramGroups.forEach(({ params }, i) => {
    for (const parameter of params) {
      parameter.requiresGrad = i >= first || opt.flags(parameter).forceTrain
      parameter.grad = null
    }
  })
  opt.clearState()
}

Learner.prototype.freeze = function (this: Learner) {
  this.freezeTo(-1)
}

Learner.prototype.unfreeze = function (this: Learner) {
  this.freezeTo(0)
}
