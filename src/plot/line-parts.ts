import type { Axis } from './axis.js'
import type { Mark, Series } from './line.js'
import { element, fixed, label } from './svg.js'
import { textWidth } from './text.js'
import { seriesColors } from './theme.js'

/** Where the curves are. */
export interface Frame {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

export interface Scales {
  readonly across: Axis
  readonly left: Axis
  readonly right?: Axis
}

/** Font sizes: of the numbers beside an axis, of names, of the heading. */
export const TICK = 12.5
export const NAME = 13
export const HEAD = { 'font-size': 16, 'font-weight': 'bold', class: 'ink' }

/** More points than this can't be told apart: each bundle is drawn as its lowest and highest. */
const MAX_POINTS = 2000
/** So few values get a dot each. */
const FEW = 24
const DASHES = '6 5'

const placeX = (frame: Frame, share: number) => frame.left + share * (frame.right - frame.left)
const placeY = (frame: Frame, share: number) => frame.bottom - share * (frame.bottom - frame.top)

/** Lines at the ticks, and their numbers. */
export function grid(frame: Frame, { across, left, right }: Scales): string[] {
  const style = { 'font-size': TICK, class: 'faint' }
  const upright = (value: number, length: number, kind: string) => {
    const x = placeX(frame, across.share(value))
    return element('line', { class: kind, x1: x, x2: x, y1: frame.bottom, y2: frame.bottom + length })
  }
  const below = across.ticks.flatMap(({ value, text }) => {
    const x = placeX(frame, across.share(value))
    return [upright(value, 5, 'frame'), label(text, x, frame.bottom + 19, { ...style, 'text-anchor': 'middle' })]
  })
  const level = (value: number) => {
    const y = placeY(frame, left.share(value))
    return element('line', { class: 'grid', x1: frame.left, x2: frame.right, y1: y, y2: y })
  }
  const beside = left.ticks.flatMap(({ value, text }) => {
    const y = placeY(frame, left.share(value)) + 4.5
    return [level(value), label(text, frame.left - 7, y, { ...style, 'text-anchor': 'end' })]
  })
  const beyond = (right?.ticks ?? []).map(({ value, text }) =>
    label(text, frame.right + 7, placeY(frame, right?.share(value) ?? 0) + 4.5, style),
  )
  const floor = element('line', { class: 'frame', x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom })
  return [...beside, ...beyond, ...across.between.map(value => upright(value, 3, 'frame')), floor, ...below]
}

/** A line, and its dots. */
export function curve(series: Series, x: ArrayLike<number>, index: number, frame: Frame, scales: Scales): string {
  const up = (series.axis === 'right' && scales.right) || scales.left
  const color = index % seriesColors
  const runs: string[][] = [[]]
  for (const i of shown(series.y)) {
    const [across, height] = [scales.across.share(x[i]), up.share(series.y[i])]
    if (Number.isFinite(across) && Number.isFinite(height)) {
      runs.at(-1)?.push(`${fixed(placeX(frame, across))} ${fixed(placeY(frame, height))}`)
    } else runs.push([])
  }
  // a value between two gaps is a line of no length, which its round ends make visible
  const path = runs.map(run => (run.length === 0 ? '' : `M${run.length === 1 ? `${run[0]}L${run[0]}` : run.join('L')}`))
  const line = element('path', {
    d: path.join('') || 'M0 0',
    class: `line${color}`,
    fill: 'none',
    'stroke-width': 2.25,
    'stroke-linejoin': 'round',
    'stroke-linecap': 'round',
    'stroke-dasharray': dashes(series, index),
  })
  if (!(series.dots ?? series.y.length <= FEW)) return line
  const dots = runs.flat().map(point => {
    const [cx, cy] = point.split(' ').map(Number)
    return element('circle', { cx, cy, r: 3.5, class: `swatch${color}` })
  })
  return line + dots.join('')
}

/** Where colours repeat, dashes tell them apart. */
function dashes({ dashed }: Series, index: number): string | undefined {
  return dashed ? DASHES : index >= seriesColors ? '2 5' : undefined
}

/** A point that is pointed out, and its place on the scale below. */
export function mark({ x, y }: Mark, index: number, frame: Frame, { across, left }: Scales): string {
  const [cx, cy] = [placeX(frame, across.share(x)), placeY(frame, left.share(y))]
  const color = index % seriesColors
  const ends = { x1: cx, x2: cx, y1: cy, y2: frame.bottom }
  return (
    element('line', { class: `line${color}`, ...ends, 'stroke-width': 1.5, 'stroke-dasharray': '2 3' }) +
    element('circle', { cx, cy, r: 6, class: `swatch${color} halo`, 'stroke-width': 2 })
  )
}

/** Names and samples of the lines, in as many rows as they need. */
export function legend(
  entries: readonly (Series | Mark)[],
  left: number,
  top: number,
  length: number,
): { drawn: string[]; height: number } {
  let [x, y] = [left, top]
  const right = left + length
  const drawn = entries.flatMap((entry, i) => {
    if (entry.name === '') return []
    const room = typeof entry.y === 'number' ? 18 : 27
    const width = room + textWidth(entry.name, NAME)
    if (x > left && x + width > right) [x, y] = [left, y + 19]
    const start = x
    x += width + 16
    return [sample(entry, i, start, y - 4.5), label(entry.name, start + room, y, { 'font-size': NAME, class: 'ink' })]
  })
  return { drawn, height: y - top }
}

function sample(entry: Series | Mark, index: number, x: number, y: number): string {
  const color = index % seriesColors
  if (typeof entry.y === 'number') return element('circle', { cx: x + 7, cy: y, r: 5.5, class: `swatch${color}` })
  const dash = dashes(entry as Series, index)
  const ends = { x1: x, x2: x + 21, y1: y, y2: y }
  return element('line', { class: `line${color}`, ...ends, 'stroke-width': 3, 'stroke-dasharray': dash })
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
