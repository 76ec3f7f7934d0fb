// What the other folders of src/ may use. What users get of it, src/index.ts lists.

/**
 * Mixing as pure functions of tensors and numbers: no learner, no state. The callbacks (src/callbacks/mixing/mixup.ts) only
 * decide when to call them.
 *
 * - random.ts      what is drawn, and from which generator
 * - mixup.ts       samples with their partners; the native pass is binding/ops/mix_cpu.cc
 * - bbox.ts        the box of CutMix
 * - cutmix.ts      boxes of the partners pasted; the native pass is binding/ops/cutmix_cpu.cc
 * - resize-mix.ts  whole partners pasted, made smaller
 * - fmix.ts        partners along the outline of a random mask
 * - reduce-loss.ts losses with and without their reduction
 * - mixed-loss.ts  the loss against both targets; natively fused for cross entropy
 */
export {
  type BboxOptions,
  type Box,
  keptShare,
  type MinMax,
  minMaxField,
  randBbox,
  randBboxMinMax,
} from './bbox.js'
export {
  type Boxes,
  type CutmixDraw,
  type CutmixDrawOptions,
  type CutmixOutput,
  cutmix,
  drawCutmix,
} from './cutmix.js'
export { decayPowerField, drawFmix, drawFmixWith, type FmixDraw, type FmixDrawOptions, fmix, keptFade } from './fmix.js'
export { type MixedLossOptions, mixedLoss, smoothed } from './mixed-loss.js'
export { type MixWeights, mixup, type Partners, partnersOf } from './mixup.js'
export {
  checkAlpha,
  type DrawOptions,
  defaultRandom,
  drawBeta,
  drawMix,
  drawMixup,
  foldWeights,
  type MixDraw,
  type MixMode,
  type MixRandom,
  type MixupDraw,
  modeField,
  randomField,
} from './random.js'
export { type LossFunction, noneReduce, reduce_loss, reduceLoss, reductionOf, withReduction } from './reduce-loss.js'
export { drawResizeMix, type ResizeMethod, type ResizeMixDrawOptions, resizeMix } from './resize-mix.js'
