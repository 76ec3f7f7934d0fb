export { type AccuracyMultiOptions, accuracy, accuracyMulti, errorRate, topKAccuracy } from './accuracy.js'
export type { AverageOptions } from './averages.js'
export {
  type ClassMetricOptions,
  ConfusionMetric,
  confusionMatrix,
  F1Score,
  FBeta,
  Precision,
  Recall,
} from './confusion.js'
export { AvgLoss, AvgMetric, Metric, type MetricFunction } from './metric.js'
export {
  F1ScoreMulti,
  MultiLabelMetric,
  type MultiLabelOptions,
  PrecisionMulti,
  RecallMulti,
} from './multi-label.js'
export { expRmspe, mae, mse, rmse } from './regression.js'
export { RocAuc, RocAucBinary, rocAuc } from './roc-auc.js'
export { AccumMetric, type SetFunction } from './set-metric.js'
export type { MetricLike } from './to-metric.js'
