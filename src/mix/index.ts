/**
 * Mixing as pure functions of tensors and numbers: no learner, no state. The callbacks (src/callbacks/mixup.ts) only
 * decide when to call them.
 *
 * - random.ts      what is drawn, and from which generator
 * - mixup.ts       samples with their partners; the native pass is binding/ops/mix_cpu.cpp
 * - bbox.ts        the box of CutMix
 * - reduce-loss.ts losses with and without their reduction
 * - mixed-loss.ts  the loss against both targets; natively fused for cross entropy
 */
export { type BboxOptions, type Box, randBbox } from './bbox.js'
export { mixedLoss } from './mixed-loss.js'
export { type MixWeights, mixup, type Partners, partnersOf } from './mixup.js'
export { checkAlpha, defaultRandom, drawMixup, type MixRandom, type MixupDraw } from './random.js'
export { type LossFunction, noneReduce, reduce_loss, reduceLoss, reductionOf, withReduction } from './reduce-loss.js'
