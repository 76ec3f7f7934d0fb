import './one-cycle.js' // gives Learner its methods fitOneCycle and fitFlatCos

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
