// What the other folders of src/ may use. What users get of it, src/index.ts lists.

// these give Learner its further methods, by subject
import './state/assigned.js'
import './state/freeze.js'
import './predict/predict.js'
import './loop/quiet.js'
import './report/recorder-plot.js'
import './predict/results.js'
import './report/summary.js'
import './loop/training-loop.js'

export { Learner } from './learner.js'
export { Callback, type CallbackFlags, type CallbackHandlers } from './loop/callback.js'
export type { CallbackState, SavedCallbackState } from './loop/callback-state.js'
export { nest, readState, unnest } from './loop/callback-state.js'
export type { Batch, BatchLoader, LearnerData, LoaderChanges } from './loop/data.js'
export { batches, isLoader } from './loop/data.js'
export { endingWith } from './loop/ending.js'
export { type Awaitable, EVENTS, type EventName, INNER_EVENTS } from './loop/events.js'
export type { Logger, LoopState, Mixed, ModelOutput } from './loop/loop-state.js'
export type { OutputsLearnerOptions, OutputsMetric, OutputsModule } from './loop/parts.js'
export {
  CancelBackward,
  CancelBatch,
  CancelEpoch,
  CancelFit,
  CancelSignal,
  CancelStep,
  CancelTrain,
  CancelValid,
} from './loop/signals.js'
export { SkipToEpoch } from './loop/skip-to-epoch.js'
export { TrainEvalCallback } from './loop/train-eval.js'
export type { RunPurpose } from './loop/working.js'
export * from './metrics/index.js'
export type {
  CallbackClass,
  CallbackLike,
  CallbackList,
  CallbackRefs,
  FitOptions,
  LearnerOptions,
  Moms,
} from './options.js'
export { checkEpochs, fields, fitSchema } from './options.js'
export type { Prediction, TtaOptions, TtaPreds } from './predict/predict.js'
export type { Preds, PredsOptions, PredsWithout, ValidateOptions } from './predict/preds.js'
export { chosenLoader, dsIdx, predsSchema } from './predict/preds.js'
export type { ShowResultsOptions } from './predict/results.js'
export { formatTime } from './report/format.js'
export { ProgressCallback, type ProgressOptions } from './report/progress.js'
export { Recorder, type RecorderOptions, type RecordRow, type TrainingRecord } from './report/recorder.js'
export type { PlotLossOptions, PlotSchedOptions, RecorderPlotOptions } from './report/recorder-plot.js'
export { LiveRenderer, type PassState, PlainRenderer, type Renderer, type TextSink } from './report/renderer.js'
export { SmoothLoss } from './report/smooth-loss.js'
export { type Splitter, trainableParams } from './state/optimizer.js'
export { runState, stateful } from './state/run-state.js'
export type { LoadOptions, SaveOptions } from './state/save.js'
export { describeOptimizer, optimizerState, optimizerTensors, savedFile } from './state/save.js'
export { Snapshot } from './state/snapshot.js'
