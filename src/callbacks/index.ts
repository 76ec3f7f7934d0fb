// All of it is public: src/index.ts passes everything on.

// these give Learner its further methods: fitOneCycle, fitFlatCos, fitSgdr, fineTune, lrFind
import './one-cycle.js'
import './sgdr.js'
import './fine-tune.js'
import './lr-find.js'

export { BnFreeze } from './bn-freeze.js'
export { ChannelsLast } from './channels-last.js'
export { Checkpoint, type CheckpointOptions } from './checkpoint.js'
export type { Position } from './checkpoint-file.js'
export { CSVLogger, type CSVLoggerOptions, type CSVRow } from './csv-logger.js'
export { CutMix, type CutMixOptions } from './cutmix.js'
export { EarlyStopping, type EarlyStoppingOptions } from './early-stopping.js'
export { FetchPreds, type FetchPredsOptions } from './fetch-preds.js'
export type { FineTuneOptions } from './fine-tune.js'
export { FMix, type FMixOptions } from './fmix.js'
export { GradientAccumulation, type GradientAccumulationOptions } from './gradient-accumulation.js'
export { GradientClip, type GradientClipOptions } from './gradient-clip.js'
export type { LrCurve, LrFindOptions, LrFindResult } from './lr-find.js'
export type { SuggestFuncs, SuggestFunction, Suggestion, SuggestName } from './lr-suggest.js'
export { MixChoice, type MixChoiceOptions } from './mix-choice.js'
export { type AlphaSchedule, MixHandler, type MixOptions } from './mix-handler.js'
export { MixedPrecision, type MixedPrecisionOptions } from './mixed-precision.js'
export { MixUp, type MixUpOptions } from './mixup.js'
export { ModelEMA, type ModelEMAOptions } from './model-ema.js'
export type { FlatCosOptions, OneCycleOptions } from './one-cycle.js'
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from './reduce-lr-on-plateau.js'
export { type Region, RegionMix, type RegionMixOptions } from './region-mix.js'
export { ResizeMix, type ResizeMixOptions } from './resize-mix.js'
export { SaveModel, type SaveModelOptions } from './save-model.js'
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
export { ShortEpoch, type ShortEpochOptions } from './short-epoch.js'
export { type ShowMixedOptions, showMixed } from './show-mixed.js'
export { StochasticWeightAveraging, type StochasticWeightAveragingOptions } from './stochastic-weight-averaging.js'
export { TerminateOnNaN } from './terminate-on-nan.js'
export { type PatientOptions, PatientTracker, Tracker, type TrackerOptions } from './tracker.js'
