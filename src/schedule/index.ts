// All of it is public: src/index.ts passes everything on.

// these give Learner its further methods: fitOneCycle, fitFlatCos, fitSgdr, fineTune, lrFind
import './one-cycle.js'
import './sgdr.js'
import './fine-tune.js'
import './lr-find.js'

export type { FineTuneOptions } from './fine-tune.js'
export type { LrCurve, LrFindOptions, LrFindResult } from './lr-find.js'
export type { SuggestFuncs, SuggestFunction, Suggestion, SuggestName } from './lr-suggest.js'
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
