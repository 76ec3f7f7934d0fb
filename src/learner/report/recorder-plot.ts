import {
  checkOptions,
  figureFile,
  flag,
  list,
  strictObject,
  string,
  TorchLearnerError,
  theme,
  whole,
} from '../../check/index.js'
import { lineChart, type Series, saveFigure, type Theme } from '../../plot/index.js'
import { Recorder } from './recorder.js'

/** Where and how the {@link Recorder} draws. */
export interface RecorderPlotOptions {
  /** Ends in `.png` or `.svg`. */
  file?: string
  title?: string
  /** Default `auto`: as the viewer's settings say, which an SVG can follow; a PNG is light. */
  theme?: Theme
}

/** Options of {@link Recorder.plotLoss}. */
export interface PlotLossOptions extends RecorderPlotOptions {
  /** Leave out so many batches at the start, where the loss is far above the rest. Default 5. */
  skipStart?: number
  /** Draw the validation loss at the end of each epoch too. Default true. */
  withValid?: boolean
  /** A logarithmic scale. Default false. */
  log?: boolean
}

/** Options of {@link Recorder.plotSched}. */
export interface PlotSchedOptions extends RecorderPlotOptions {
  /** Which hyper-parameters: the first on the left scale, the others on the right one. Default: all that were scheduled. */
  keys?: readonly string[]
}

declare module './recorder.js' {
  interface Recorder {
    /**
     * Draws the smoothed loss of the last training, and the validation loss where it was measured. `options.file`: default `loss.png`.
     *
     * @returns the file's path
     * @throws TorchLearnerError `ERR_NO_DATA` when no batch is left to show
     * @example await learn.recorder.plotLoss({ file: 'loss.svg' })
     */
    plotLoss(options?: PlotLossOptions): Promise<string>

    /**
     * Draws what the schedule set at each training batch: learning rate, momentum. `options.file`: default `sched.png`.
     *
     * @returns the file's path
     * @throws TorchLearnerError `ERR_NO_DATA` before the first batch; `ERR_INVALID_ARG` for an unknown key
     */
    plotSched(options?: PlotSchedOptions): Promise<string>

    /**
     * Draws the table: losses on the left scale and metrics on the right one, by epoch. `options.file`: default `metrics.png`.
     *
     * @returns the file's path
     * @throws TorchLearnerError `ERR_NO_DATA` before the end of the first epoch
     */
    plotMetrics(options?: RecorderPlotOptions): Promise<string>
  }
}

const plain = strictObject({
  file: figureFile.optional(),
  title: string().optional(),
  theme: theme.optional(),
})
const lossSchema = plain.extend({
  skipStart: whole(0).optional(),
  withValid: flag.optional(),
  log: flag.optional(),
})
const schedSchema = plain.extend({ keys: list(string('a name'), 'an array of names', 1).optional() })

Recorder.prototype.plotLoss = async function (this: Recorder, options = {}) {
  checkOptions(lossSchema, options, 'plotLoss')
  const { file = 'loss.png', title = 'Loss', theme, skipStart = 5, withValid = true, log = false } = options
  const { losses, iters, values, metricNames } = this.training
  const from = Math.min(skipStart, losses.length)
  if (losses.length === from) throw nothing('plotLoss', losses.length === 0 ? '' : ` after the first ${from} batches`)
  const x = Array.from(losses.keys()).slice(from)
  const series: Series[] = [{ name: 'train', x, y: losses.slice(from), dots: false }]
  const column = metricNames.indexOf('valid_loss') - 1
  const valid = values.map((row, epoch) => ({ x: iters[epoch], y: row[column] ?? Number.NaN }))
  const shown = valid.filter(point => column >= 0 && point.x > from && Number.isFinite(point.y))
  if (withValid && shown.length > 0) {
    series.push({ name: 'valid', x: shown.map(({ x }) => x), y: shown.map(({ y }) => y), dots: shown.length <= 60 })
  }
  const scale = log ? 'log' : 'linear'
  const chart = lineChart({ title, theme, series, xLabel: 'iteration', yLabel: 'loss', yScale: scale })
  return await saveFigure(file, chart)
}

/** As people say it. */
const SPOKEN: Readonly<Record<string, string>> = { lr: 'learning rate', mom: 'momentum', wd: 'weight decay' }

Recorder.prototype.plotSched = async function (this: Recorder, options = {}) {
  checkOptions(schedSchema, options, 'plotSched')
  const { file = 'sched.png', title = 'Schedule', theme } = options
  const { hps, lrs } = this.training
  const known: Record<string, number[]> = Object.keys(hps).length > 0 ? hps : { lr: lrs }
  const keys = options.keys ?? Object.keys(known)
  const series = keys.map((key, i): Series => {
    const y = known[key] ?? (key === 'lr' ? lrs : undefined)
    if (y) return { name: SPOKEN[key] ?? key, y, axis: i === 0 ? 'left' : 'right', dashed: i > 0, dots: false }
    throw new TorchLearnerError(
      'ERR_INVALID_ARG',
      `plotSched: ${key} was not scheduled, only ${Object.keys(known).join(', ')}`,
    )
  })
  if (series.every(({ y }) => y.length === 0)) throw nothing('plotSched')
  const [left, ...right] = series.map(({ name }) => name)
  const chart = lineChart({ title, theme, series, xLabel: 'iteration', yLabel: left, rightLabel: right.join(', ') })
  return await saveFigure(file, chart)
}

Recorder.prototype.plotMetrics = async function (this: Recorder, options = {}) {
  checkOptions(plain, options, 'plotMetrics')
  const { file = 'metrics.png', title = 'Metrics', theme } = options
  const { values, metricNames } = this.training
  if (values.length === 0) throw nothing('plotMetrics')
  const x = values.map((_, epoch) => epoch + 1)
  const series = metricNames.slice(1).flatMap((name, column): Series[] => {
    const y = values.map(row => row[column] ?? Number.NaN)
    if (name === 'time' || !y.some(Number.isFinite)) return []
    const metric = !/loss$/.test(name)
    return [{ name, x, y, axis: metric ? 'right' : 'left', dashed: metric }]
  })
  if (series.length === 0) throw nothing('plotMetrics')
  const chart = lineChart({ title, theme, series, xLabel: 'epoch', yLabel: 'loss', rightLabel: 'metrics' })
  return await saveFigure(file, chart)
}

function nothing(what: string, where = ''): TorchLearnerError {
  return new TorchLearnerError('ERR_NO_DATA', `${what}: nothing has been recorded${where}; train first`)
}
