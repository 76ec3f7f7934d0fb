import { invalidArgument } from '../native/index.js'
import { type Axis, linearAxis, logAxis } from './axis.js'
import { document, element, escapeText, fixed, label, textWidth } from './svg.js'
import { checkTheme, seriesColors, styleSheet, type Theme } from './theme.js'

/** One line of a {@link lineChart}. */
export interface Series {
  /** Its name in the legend. */
  name: string
  /** Its values; a gap where one isn't finite. */
  y: ArrayLike<number>
  /** Where they stand; default 0, 1, 2... */
  x?: ArrayLike<number>
  /** The scale it is read on. Default `left`. */
  axis?: 'left' | 'right'
  /** Drawn dashed. Default false. */
  dashed?: boolean
}

/** A point of a {@link lineChart} that is pointed out, on the left scale. */
export interface Mark {
  /** Its name in the legend. */
  name: string
  x: number
  y: number
}

export interface LineChartOptions {
  series: readonly Series[]
  /** Points that are pointed out. */
  marks?: readonly Mark[]
  /** Default `linear`. On a `log` scale points at 0 and below are left out. */
  xScale?: 'linear' | 'log'
  title?: string
  /** Names of the axes. */
  xLabel?: string
  yLabel?: string
  rightLabel?: string
  /** Pixels; default 760 x 420. */
  width?: number
  height?: number
  /** Default `auto`: light or dark as the viewer's settings say. */
  theme?: Theme
}

const TICK = 12
const NAME = 13
/** More points than this can't be told apart: each bundle is drawn as its lowest and highest. */
const MAX_POINTS = 2000

/**
 * A line chart with up to two vertical scales, as SVG.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` without series or when x and y differ in length
 * @example await saveFigure('loss.svg', lineChart({ series: [{ name: 'loss', y: losses }] }))
 */
export function lineChart(options: LineChartOptions): string {
  if (typeof options !== 'object' || options === null)
    throw invalidArgument('options', 'an object with series', options)
  const { series, marks = [], xScale = 'linear', title = '', xLabel, yLabel, rightLabel } = options
  const { width = 760, height = 420, theme = 'auto' } = options
  check(series)
  checkLook({ title, xLabel, yLabel, rightLabel }, { width, height })
  checkTheme(theme)
  if (!Array.isArray(marks) || !marks.every(isMark)) throw invalidArgument('marks', 'points with name, x and y', marks)
  const across = numbers([...series.map(xOf), marks.map(({ x }) => x)])
  const right = series.filter(({ axis }) => axis === 'right')
  const scales: Scales = {
    across: xScale === 'log' ? logAxis(across, 10) : linearAxis(across, 8, true),
    left: linearAxis(numbers(series.filter(({ axis }) => axis !== 'right').map(({ y }) => y)), 6),
    right: right.length > 0 ? linearAxis(numbers(right.map(({ y }) => y)), 6) : undefined,
  }
  const frame: Frame = {
    left: margin(scales.left, yLabel),
    right: width - (scales.right ? margin(scales.right, rightLabel) : 24),
    top: title === '' ? 42 : 66,
    bottom: height - (xLabel ? 54 : 34),
  }
  const middle = { x: (frame.left + frame.right) / 2, y: (frame.top + frame.bottom) / 2 }
  const named = { 'font-size': NAME, class: 'ink', 'text-anchor': 'middle' }
  const turned = (text: string, x: number) =>
    label(text, x, middle.y, { ...named, transform: `rotate(-90 ${fixed(x)} ${fixed(middle.y)})` })
  return document(
    width,
    height,
    styleSheet(theme),
    element('title', {}, escapeText(title || series.map(({ name }) => name).join(', '))),
    element('rect', { class: 'background', width, height }),
    ...(title === '' ? [] : [label(title, frame.left, 26, { 'font-size': 16, 'font-weight': 'bold', class: 'ink' })]),
    ...grid(frame, scales),
    element('line', { class: 'frame', x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom }),
    ...series.map((one, i) => curve(one, i, frame, scales)),
    ...marks.map((mark, i) => dot(mark, series.length + i, frame, scales)),
    ...(xLabel ? [label(xLabel, middle.x, height - 14, named)] : []),
    ...(yLabel ? [turned(yLabel, 18)] : []),
    ...(rightLabel && scales.right ? [turned(rightLabel, width - 8)] : []),
    ...legend([...series, ...marks], frame.left, frame.top - 16),
  )
}

interface Frame {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

interface Scales {
  readonly across: Axis
  readonly left: Axis
  readonly right?: Axis
}

const placeX = (frame: Frame, share: number) => frame.left + share * (frame.right - frame.left)
const placeY = (frame: Frame, share: number) => frame.bottom - share * (frame.bottom - frame.top)

/** Room for an axis' numbers and its name beside the frame. */
function margin(axis: Axis, name?: string): number {
  return Math.max(...axis.ticks.map(({ text }) => textWidth(text, TICK))) + (name ? 34 : 18)
}

function grid(frame: Frame, { across, left, right }: Scales): string[] {
  const style = { 'font-size': TICK, class: 'faint' }
  const below = across.ticks.map(({ value, text }) =>
    label(text, placeX(frame, across.share(value)), frame.bottom + 18, { ...style, 'text-anchor': 'middle' }),
  )
  const beside = left.ticks.flatMap(({ value, text }) => {
    const y = placeY(frame, left.share(value))
    return [
      element('line', { class: 'grid', x1: frame.left, x2: frame.right, y1: y, y2: y }),
      label(text, frame.left - 8, y + 4, { ...style, 'text-anchor': 'end' }),
    ]
  })
  const beyond = (right?.ticks ?? []).map(({ value, text }) =>
    label(text, frame.right + 8, placeY(frame, right?.share(value) ?? 0) + 4, style),
  )
  return [...below, ...beside, ...beyond]
}

function check(series: readonly Series[]): void {
  if (!Array.isArray(series) || series.length === 0) throw invalidArgument('series', 'one or more series', series)
  for (const one of series) {
    if (typeof one !== 'object' || one === null) throw invalidArgument('series', 'objects with name and y', one)
    const { name, x, y } = one
    if (typeof name !== 'string') throw invalidArgument('name', "a series' name", name)
    if (!isList(y)) throw invalidArgument(`series ${name}`, 'numbers as y', y)
    if (x !== undefined && !isList(x)) throw invalidArgument(`series ${name}`, 'numbers as x', x)
    if (x && x.length !== y.length) {
      throw invalidArgument(`series ${name}`, `as many x as y (${y.length})`, x.length)
    }
  }
}

const isList = (value: unknown): value is ArrayLike<number> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value)

const isMark = (mark: unknown): mark is Mark =>
  typeof mark === 'object' && mark !== null && 'name' in mark && typeof mark.name === 'string'

function checkLook(texts: Record<string, unknown>, sizes: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(texts)) {
    if (value !== undefined && typeof value !== 'string') throw invalidArgument(name, 'text', value)
  }
  for (const [name, value] of Object.entries(sizes)) {
    if (!(typeof value === 'number' && value > 0)) throw invalidArgument(name, 'a number of pixels above 0', value)
  }
}

function xOf({ x, y }: Series): ArrayLike<number> {
  return x ?? Array.from({ length: y.length }, (_, i) => i)
}

function* numbers(lists: readonly ArrayLike<number>[]): Iterable<number> {
  for (const list of lists) for (let i = 0; i < list.length; i++) yield list[i]
}

function curve(series: Series, index: number, frame: Frame, scales: Scales): string {
  const x = xOf(series)
  const up = (series.axis === 'right' && scales.right) || scales.left
  let path = ''
  let pen = 'M'
  for (const i of shown(series.y)) {
    if (!Number.isFinite(series.y[i]) || !Number.isFinite(scales.across.share(x[i]))) {
      pen = 'M'
      continue
    }
    path += `${pen}${fixed(placeX(frame, scales.across.share(x[i])))} ${fixed(placeY(frame, up.share(series.y[i])))}`
    pen = 'L'
  }
  return element('path', {
    d: path || 'M0 0',
    class: `line${index % seriesColors}`,
    fill: 'none',
    'stroke-width': 2,
    'stroke-linejoin': 'round',
    'stroke-linecap': 'round',
    'stroke-dasharray': series.dashed ? '6 5' : undefined,
  })
}

function dot({ x, y }: Mark, index: number, frame: Frame, { across, left }: Scales): string {
  const [cx, cy] = [placeX(frame, across.share(x)), placeY(frame, left.share(y))]
  return element('circle', { cx, cy, r: 5, class: `swatch${index % seriesColors}` })
}

/** The indices that are drawn. */
function shown(y: ArrayLike<number>): number[] {
  if (y.length <= MAX_POINTS) return Array.from({ length: y.length }, (_, i) => i)
  const bundle = Math.ceil((2 * y.length) / MAX_POINTS)
  const kept: number[] = []
  for (let start = 0; start < y.length; start += bundle) {
    let low = start
    let high = start
    for (let i = start; i < Math.min(start + bundle, y.length); i++) {
      if (y[i] < y[low]) low = i
      if (y[i] > y[high]) high = i
    }
    kept.push(...new Set([Math.min(low, high), Math.max(low, high)]))
  }
  return kept
}

function legend(entries: readonly (Series | Mark)[], x: number, y: number): string[] {
  let at = x
  return entries.flatMap((entry, i) => {
    const { name } = entry
    const start = at
    at += 29 + textWidth(name, NAME) + 14
    const text = label(name, start + 29, y, { 'font-size': NAME, class: 'ink' })
    if (typeof entry.y === 'number') {
      return [element('circle', { cx: start + 11, cy: y - 4, r: 5, class: `swatch${i % seriesColors}` }), text]
    }
    const dashed = 'dashed' in entry && entry.dashed
    return [
      element('line', {
        class: `line${i % seriesColors}`,
        x1: start,
        x2: start + 22,
        y1: y - 4,
        y2: y - 4,
        'stroke-width': 3,
        'stroke-dasharray': dashed ? '6 5' : undefined,
      }),
      text,
    ]
  })
}
