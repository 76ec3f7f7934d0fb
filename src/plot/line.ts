import {
  checkArguments,
  field,
  finite,
  flag,
  invalidArgument,
  list,
  type Output,
  object,
  oneOf,
  positive,
  strictObject,
  string,
  theme,
} from '../check/index.js'
import { type Axis, linearAxis, logAxis } from './axis.js'
import { curve, type Frame, grid, HEAD, legend, mark, NAME, type Scales, TICK } from './line-parts.js'
import { document, element, fixed, label } from './svg.js'
import { textWidth, wrapText } from './text.js'
import { styleSheet, type Theme } from './theme.js'

/** One line of a {@link lineChart}. */
export interface Series {
  /** Its name in the legend; `''` leaves it out there. */
  name: string
  /** Its values; a gap where one isn't finite. */
  y: ArrayLike<number>
  /** Where they stand; default 0, 1, 2... */
  x?: ArrayLike<number>
  /** The scale it is read on. Default `left`. */
  axis?: 'left' | 'right'
  /** Drawn dashed. Default false. */
  dashed?: boolean
  /** A dot at each value. Default: where there are at most 24. */
  dots?: boolean
}

/** A point of a {@link lineChart} that is pointed out, on the left scale. */
export interface Mark {
  /** Its name in the legend. */
  name: string
  x: number
  y: number
}

/** What {@link lineChart} draws. */
export interface LineChartOptions {
  /** One line each. */
  series: readonly Series[]
  /** Points that are pointed out: a dot, and a line down to the scale. */
  marks?: readonly Mark[]
  /** Default `linear`. On a `log` scale points at 0 and below are left out. */
  xScale?: 'linear' | 'log'
  /** The left scale's, in the same way. */
  yScale?: 'linear' | 'log'
  /** Above the chart. */
  title?: string
  /** Names of the axes. */
  xLabel?: string
  yLabel?: string
  rightLabel?: string
  /** Pixels; default 560 x 350, which can be read at two thirds of that. */
  width?: number
  height?: number
  /** Default `auto`: light or dark as the viewer's settings say; light in a PNG. */
  theme?: Theme
}

/**
 * A line chart with up to two vertical scales, as SVG.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` without series or when x and y differ in length
 * @example await saveFigure('loss.svg', lineChart({ series: [{ name: 'loss', y: losses }] }))
 */
export function lineChart(options: LineChartOptions): string {
  const { series, marks, xScale, yScale, title, xLabel, yLabel, rightLabel, width, height, theme } = check(options)
  const heading = title === '' ? [] : wrapText(title, width - 2 * SIDE, 16, 2, true)
  const named = heading.length === 0 ? 22 : 31 + heading.length * 20
  const names = legend([...series, ...marks], SIDE, named, width - 2 * SIDE)
  const top = names.drawn.length === 0 ? named - 8 : named + names.height + 18
  const bottom = height - (xLabel ? 46 : 28)
  const on = (axis: 'left' | 'right') => series.filter(one => (one.axis === 'right') === (axis === 'right'))
  const upward = (lines: readonly Series[], make: typeof linearAxis) =>
    make(numbers(lines.map(({ y }) => y)), Math.max(2, Math.round((bottom - top) / 48)))
  const left = upward(on('left'), yScale === 'log' ? logAxis : linearAxis)
  const right = on('right').length > 0 ? upward(on('right'), linearAxis) : undefined
  const across = numbers([...series.map(xOf), marks.map(({ x }) => x)])
  const frame: Frame = {
    left: beside(left, yLabel),
    right: width - (right ? beside(right, rightLabel) : SIDE + 4),
    top,
    bottom,
  }
  const scales: Scales = { across: spread([...across], xScale, frame.right - frame.left), left, right }
  const middle = { x: (frame.left + frame.right) / 2, y: (top + bottom) / 2 }
  const style = { 'font-size': NAME, class: 'ink', 'text-anchor': 'middle' }
  const turned = (text: string, x: number, angle: number) =>
    label(text, x, middle.y, { ...style, transform: `rotate(${angle} ${fixed(x)} ${fixed(middle.y)})` })
  return document(
    width,
    height,
    title || series.map(({ name }) => name).join(', '),
    styleSheet(theme),
    element('rect', { class: 'background', width, height }),
    ...(heading.length === 0 ? [] : [label(heading.join('\n'), SIDE, 26, HEAD)]),
    ...names.drawn,
    ...grid(frame, scales),
    ...series.map((one, i) => curve(one, xOf(one), i, frame, scales)),
    ...marks.map((one, i) => mark(one, series.length + i, frame, scales)),
    ...(xLabel ? [label(xLabel, middle.x, height - 10, style)] : []),
    ...(yLabel ? [turned(yLabel, SIDE + 5, -90)] : []),
    ...(rightLabel && right ? [turned(rightLabel, width - SIDE - 5, 90)] : []),
  )
}

/** Between the drawing's edge and whatever is next to it. */
const SIDE = 12

/** Room for an axis' numbers and its name beside the frame. */
function beside(axis: Axis, name?: string): number {
  return Math.max(...axis.ticks.map(({ text }) => textWidth(text, TICK))) + SIDE + (name ? 28 : 8)
}

/** A horizontal scale with as many ticks as have room side by side. */
function spread(values: readonly number[], scale: 'linear' | 'log', room: number): Axis {
  const make = (wanted: number) => (scale === 'log' ? logAxis(values, wanted) : linearAxis(values, wanted, true))
  for (let wanted = 8; wanted > 1; wanted--) {
    const axis = make(wanted)
    const text = axis.ticks.reduce((sum, tick) => sum + textWidth(tick.text, TICK) + 16, 0)
    if (text <= room) return axis
  }
  return make(1)
}

const text = string('text')
const scale = oneOf('linear', 'log').default('linear')
const numbersField = field<ArrayLike<number>>('numbers', value => {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value)
})
const seriesField = strictObject({
  name: text,
  y: numbersField,
  x: numbersField.optional(),
  axis: oneOf('left', 'right').optional(),
  dashed: flag.optional(),
  dots: flag.optional(),
})
const schema = strictObject({
  series: list(seriesField, 'one or more series', 1),
  marks: list(object({ name: text, x: finite, y: finite }), 'points with name, x and y').default([]),
  xScale: scale,
  yScale: scale,
  title: text.default(''),
  xLabel: text.optional(),
  yLabel: text.optional(),
  rightLabel: text.optional(),
  width: positive.default(560),
  height: positive.default(350),
  theme: theme.default('auto'),
})

function check(options: LineChartOptions): Output<typeof schema> {
  const checked = checkArguments(schema, options, 'lineChart')
  for (const { name, x, y } of checked.series) {
    if (x && x.length !== y.length) {
      throw invalidArgument(`series ${name}`, `as many x as y (${y.length})`, x.length)
    }
  }
  return checked
}

function xOf({ x, y }: Series): ArrayLike<number> {
  return x ?? Array.from({ length: y.length }, (_, i) => i)
}

function* numbers(lists: readonly ArrayLike<number>[]): Iterable<number> {
  for (const list of lists) for (let i = 0; i < list.length; i++) yield list[i]
}
