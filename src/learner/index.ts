// What the other folders of src/ may use. What users get of it, src/index.ts lists.

// these give Learner its further methods, by subject
import './assigned.js'
import './freeze.js'
import './predict.js'
import './quiet.js'
import './recorder-plot.js'
import './results.js'
import './summary.js'
import './training-loop.js'

export { Callback, type CallbackFlags, type CallbackHandlers } from './callback.js'
export type { CallbackState, SavedCallbackState } from './callback-state.js'
export { nest, readState, unnest } from './callback-state.js'
export type { Batch, BatchLoader, LearnerData, LoaderChanges } from './data.js'
export { batches, isLoader } from './data.js'
export { endingWith } from './ending.js'
export { type Awaitable, EVENTS, type EventName, INNER_EVENTS } from './events.js'
export { formatTime } from './format.js'
export { Learner } from './learner.js'
export type { Logger, LoopState, Mixed, ModelOutput } from './loop-state.js'
export * from './metrics/index.js'
export { type Splitter, trainableParams } from './optimizer.js'
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
export type { OutputsLearnerOptions, OutputsMetric, OutputsModule } from './parts.js'
export type { Prediction, TtaOptions, TtaPreds } from './predict.js'
export type { Preds, PredsOptions, PredsWithout, ValidateOptions } from './preds.js'
export { chosenLoader, predsSchema } from './preds.js'
export { ProgressCallback, type ProgressOptions } from './progress.js'
export { Recorder, type RecorderOptions, type RecordRow, type TrainingRecord } from './recorder.js'
export type { PlotLossOptions, PlotSchedOptions, RecorderPlotOptions } from './recorder-plot.js'
export { LiveRenderer, type PassState, PlainRenderer, type Renderer, type TextSink } from './renderer.js'
export type { ShowResultsOptions } from './results.js'
export { runState, stateful } from './run-state.js'
export type { LoadOptions, SaveOptions } from './save.js'
export { describeOptimizer, optimizerState, optimizerTensors, savedFile } from './save.js'
export {
  CancelBackward,
  CancelBatch,
  CancelEpoch,
  CancelFit,
  CancelSignal,
  CancelStep,
  CancelTrain,
  CancelValid,
} from './signals.js'
export { SkipToEpoch } from './skip-to-epoch.js'
export { SmoothLoss } from './smooth-loss.js'
export { Snapshot } from './snapshot.js'
export { TrainEvalCallback } from './train-eval.js'
export type { RunPurpose } from './working.js'
