import { invalidArgument } from '../../check/index.js'
import { AvgMetric, Metric, type MetricFunction } from './metric.js'
import { AccumMetric } from './set-metric.js'

/** What `metrics` takes: functions, metrics, or classes of metrics. */
export type MetricLike = MetricFunction | Metric | (new () => Metric)

/** A metric from what a user gave. */
export function toMetric(like: MetricLike): Metric {
  if (like instanceof Metric) return like
  if (typeof like !== 'function') throw invalidArgument('metrics', 'functions, metrics or classes of metrics', like)
  if (isMetricClass(like)) return new like()
  return like.wholeSet ? new AccumMetric(like) : new AvgMetric(like)
}

function isMetricClass(like: MetricFunction | (new () => Metric)): like is new () => Metric {
  return like.prototype instanceof Metric
}
