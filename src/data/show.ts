import {
  checkOptions,
  count,
  field,
  figureFile,
  invalidArgument,
  list,
  oneOf,
  strictObject,
  string,
  theme,
} from '../check/index.js'
import { gridShape, imageGrid, saveFigure, type Theme, type Tile } from '../plot/index.js'
import { mark, noGrad, scope, Tensor } from '../tensor/index.js'

const Options = strictObject({
  b: field<readonly (Tensor | readonly Tensor[])[]>('an array of tensors: inputs, then targets,', isBatch).optional(),
  rows: count.optional(),
  cols: count.optional(),
  maxN: count.default(9),
  file: figureFile.default('batch.png'),
  titles: list(string(), 'an array of strings').optional(),
  tones: list(oneOf('good', 'bad'), 'an array of good and bad').optional(),
  title: string().optional(),
  theme: theme.default('auto'),
})

/** What of a batch is drawn, and where to. */
export interface ShowBatchOptions {
  /** The batch: inputs, then targets; the first of each is shown. A group of tensors may stand for one. */
  b?: readonly (Tensor | readonly Tensor[])[]
  /** Default: floor(sqrt(n)) rows and as many columns as it then takes. */
  rows?: number
  cols?: number
  /** At most so many pictures; default 9, or rows * cols when both are given. */
  maxN?: number
  /** Where to write, `.png` or `.svg`; default `batch.png`. Its folder is made when it isn't there. */
  file?: string
  /** Above each picture. Default: the label. */
  titles?: readonly string[]
  /** The colour of each picture's title: green for `good`, red for `bad`. */
  tones?: readonly ('good' | 'bad')[]
  /** Above everything. */
  title?: string
  /** Default `auto`: as the viewer's settings say, which an SVG can follow; a PNG is light. */
  theme?: Theme
}

/** What is known of a batch's making. */
export interface Origin {
  readonly vocab?: readonly string[]
  readonly train: { decode?(batch: readonly Tensor[]): Tensor[] }
}

/** See `DataLoaders.showBatch`. */
export async function showBatch(
  batch: readonly (Tensor | readonly Tensor[])[],
  origin: Origin,
  options: ShowBatchOptions,
): Promise<string> {
  const { rows, cols, maxN, file, titles, tones, title, theme } = checkOptions(Options, options, 'showBatch')
  const most = rows !== undefined && cols !== undefined && options.maxN === undefined ? rows * cols : maxN
  const tiles = await batchTiles(batch, origin, { most, titles, tones })
  return await saveFigure(file, await imageGrid(tiles, { ...gridShape(tiles.length, rows, cols), title, theme }))
}

/** A batch's first pictures, denormalised, with their titles. */
export async function batchTiles(
  batch: readonly (Tensor | readonly Tensor[])[],
  { vocab, train }: Origin,
  { most, titles, tones }: Pick<ShowBatchOptions, 'titles' | 'tones'> & { most: number },
): Promise<Tile[]> {
  const [x, y] = batch.map(first)
  if (x === undefined) throw invalidArgument('b', 'an array of tensors: inputs, then targets,', batch)
  await mark() // from here on shapes are known: asking for them doesn't hold the event loop
  const [count, channels] = x.shape
  if (x.ndim !== 4 || (channels !== 1 && channels !== 3)) {
    throw invalidArgument('b', 'pictures of shape (N, 1, H, W) or (N, 3, H, W)', x.shape)
  }
  const n = Math.min(count, most)
  const pictures = await pixelsOf(x, n, x => train.decode?.(y === undefined ? [x] : [x, y])[0] ?? x)
  const labels = titles ?? (y === undefined ? [] : await labelsOf(y, n, vocab))
  return pictures.map((picture, i) => ({ ...picture, title: labels[i], tone: tones?.[i] }))
}

function isBatch(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(item => item instanceof Tensor || (Array.isArray(item) && isBatch(item)))
  )
}

function first(part: Tensor | readonly Tensor[]): Tensor {
  return part instanceof Tensor ? part : part[0]
}

/** The first n pictures as bytes, denormalised. */
async function pixelsOf(x: Tensor, n: number, decode: (x: Tensor) => Tensor): Promise<Tile[]> {
  return await noGrad(() =>
    scope(async () => {
      const chosen = x.detach().narrow(0, 0, n)
      const decoded =
        x.dtype === 'uint8' ? chosen : decode(chosen).to({ dtype: 'float32' }).clamp(0, 1).mul(255).round()
      const bytes = decoded.permute([0, 2, 3, 1]).contiguous().to({ device: 'cpu', dtype: 'uint8' })
      const data = await bytes.data()
      // statistics of three channels make three of one
      const [, height, width, channels] = bytes.shape
      const size = channels * height * width
      const pixels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      return Array.from({ length: n }, (_, i) => ({
        data: pixels.subarray(i * size, (i + 1) * size),
        width,
        height,
        channels: channels === 1 ? 1 : 3,
      }))
    }),
  )
}

/** More numbers than this above a picture say nothing. */
const MOST_NUMBERS = 4

/**
 * Targets in words, for the first n samples:
 * - class numbers `(N)` or `(N, 1)`: the classes' names
 * - several labels, `(N, C)` of 0 and 1 for C classes: the names of those that are 1, `none` if there are none
 * - shares of classes, `(N, C)`: those above 1 % with their shares
 * - other numbers, `(N, K)`: the numbers, four at most
 * - anything larger, such as masks: nothing
 */
export async function labelsOf(y: Tensor, n: number, vocab?: readonly string[]): Promise<string[]> {
  if (y.ndim > 3) return new Array<string>(n).fill('')
  const values = await scope(async () =>
    Array.from(await y.detach().narrow(0, 0, n).to({ dtype: 'float32' }).data(), Number),
  )
  const width = values.length / n
  return Array.from({ length: n }, (_, i) => {
    const row = values.slice(i * width, (i + 1) * width)
    if (width === 1 && !(vocab && y.ndim > 1)) return vocab?.[row[0]] ?? shortNumber(row[0])
    if (vocab?.length === width && y.ndim === 2) return classesOf(row, vocab)
    return y.ndim === 3 && width > 2 * MOST_NUMBERS ? '' : numbersOf(row)
  })
}

/** Whether targets or decisions are classes, which are the same or not, rather than numbers, which are nearer or farther. */
export function areClasses(y: Tensor, vocab?: readonly string[]): boolean {
  if (vocab && y.ndim === 2 && y.shape[1] === vocab.length) return true
  return y.ndim === 1 && (vocab !== undefined || !/float/.test(y.dtype))
}

function classesOf(row: readonly number[], vocab: readonly string[]): string {
  if (row.every(value => value === 0 || value === 1)) return vocab.filter((_, c) => row[c] === 1).join(', ') || 'none'
  const shares = row.flatMap((share, c) =>
    share > 0.01 ? [share > 0.99 ? vocab[c] : `${vocab[c]} ${share.toFixed(2)}`] : [],
  )
  return shares.join(' + ') || 'none'
}

function numbersOf(row: readonly number[]): string {
  return row.slice(0, MOST_NUMBERS).map(shortNumber).join(', ') + (row.length > MOST_NUMBERS ? ', …' : '')
}

/** Four digits. */
function shortNumber(value: number): string {
  const rounded = Number(value.toPrecision(4))
  return rounded !== 0 && (Math.abs(rounded) < 1e-3 || Math.abs(rounded) >= 1e6)
    ? Number(value.toPrecision(3)).toExponential()
    : String(rounded)
}
