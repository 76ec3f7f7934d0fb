import { isTensor, lossPair } from '../../nn/index.js'
import type { Tensor } from '../../tensor/index.js'

// Sizes are compared natively, where they are known: an error surfaces where the metric's value is read. Elementwise
// operators by themselves would broadcast (N) against (N, 1), and yield a number that means nothing.

const PLAIN = { axis: -1, byClass: false, floatify: false, flatten: true }

/** Predictions and targets as one long row each, equally long: fastai's `flatten_check`. */
export function flatPair(pred: Tensor, targ: Tensor): [pred: Tensor, targ: Tensor] {
  return lossPair(isTensor('pred', pred), isTensor('targ', targ), PLAIN)
}

/** Targets in the shape of what they are compared with, one for each; `(N, 1)` goes with `(N)`. */
export function targetsLike(pred: Tensor, targ: Tensor): Tensor {
  return flatPair(pred, targ)[1].viewAs(pred)
}

/** Scores `(N, C)` and one class for each row, `(N)`, whatever dimensions the classes had. */
export function classPair(rows: Tensor, targ: Tensor): [scores: Tensor, classes: Tensor] {
  return lossPair(rows, isTensor('targ', targ), { ...PLAIN, byClass: true })
}

/** Predictions and targets of one shape. */
export function samePair(pred: Tensor, targ: Tensor): [pred: Tensor, targ: Tensor] {
  return lossPair(isTensor('pred', pred), isTensor('targ', targ), { ...PLAIN, flatten: false })
}
