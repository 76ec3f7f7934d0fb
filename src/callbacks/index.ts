// these give Learner its further methods: fitOneCycle, fitFlatCos, fitSgdr, fineTune
import './one-cycle.js'
import './sgdr.js'
import './fine-tune.js'

export type { FineTuneOptions } from './fine-tune.js'
export { MixHandler, type MixOptions, MixUp } from './mixup.js'
export type { FlatCosOptions, OneCycleOptions } from './one-cycle.js'
export {
  combinedCos,
  combineScheds,
  ParamScheduler,
  type Schedule,
  schedCos,
  schedExp,
  schedLin,
  schedNo,
  schedPoly,
} from './schedule.js'
export type { SgdrOptions } from './sgdr.js'
