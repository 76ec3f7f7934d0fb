import { z } from 'zod'
import { invalidArgument } from '../native/index.js'
import { gridShape, imageGrid, saveFigure, type Theme, type Tile } from '../plot/index.js'
import { mark, noGrad, scope, Tensor } from '../tensor/index.js'
import { checkOptions } from './options.js'

const whole = z.int({ error: 'a whole number from 1' }).min(1, { error: 'a whole number from 1' })

const Options = z.strictObject({
  b: z
    .custom<readonly (Tensor | readonly Tensor[])[]>(isBatch, { error: 'an array of tensors: inputs, then targets,' })
    .optional(),
  rows: whole.optional(),
  cols: whole.optional(),
  maxN: whole.default(9),
  file: z.string({ error: 'a path that ends in .png or .svg' }).default('batch.png'),
  titles: z
    .array(z.string({ error: 'a string' }), { error: 'an array of strings' })
    .readonly()
    .optional(),
  tones: z
    .array(z.enum(['good', 'bad'], { error: 'good or bad' }), { error: 'an array of good and bad' })
    .readonly()
    .optional(),
  title: z.string({ error: 'a string' }).optional(),
  theme: z.enum(['light', 'dark', 'auto'], { error: 'light, dark or auto' }).default('light'),
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
  /** Default `light`. */
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
  { vocab, train }: Origin,
  options: ShowBatchOptions,
): Promise<string> {
  const { rows, cols, maxN, file, titles, tones, title, theme } = checkOptions(Options, options, 'showBatch')
  const [x, y] = batch.map(first)
  if (x === undefined) throw invalidArgument('b', 'an array of tensors: inputs, then targets,', batch)
  await mark() // from here on shapes are known: asking for them doesn't hold the event loop
  const [count, channels] = x.shape
  if (x.ndim !== 4 || (channels !== 1 && channels !== 3)) {
    throw invalidArgument('b', 'pictures of shape (N, 1, H, W) or (N, 3, H, W)', x.shape)
  }
  const n = Math.min(count, rows !== undefined && cols !== undefined && options.maxN === undefined ? rows * cols : maxN)
  const shape = gridShape(n, rows, cols)
  const pictures = await pixelsOf(x, n, x => train.decode?.(y === undefined ? [x] : [x, y])[0] ?? x)
  const labels = titles ?? (y === undefined ? [] : await labelsOf(y, n, vocab))
  const tiles = pictures.map((picture, i): Tile => ({ ...picture, title: labels[i], tone: tones?.[i] }))
  return await saveFigure(file, await imageGrid(tiles, { ...shape, title, theme }))
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
  const [, channels, height, width] = x.shape
  const data = await noGrad(() =>
    scope(async () => {
      const chosen = x.detach().narrow(0, 0, n)
      const shown = x.dtype === 'uint8' ? chosen : decode(chosen).to({ dtype: 'float32' }).clamp(0, 1).mul(255).round()
      return await shown.permute([0, 2, 3, 1]).contiguous().to({ device: 'cpu', dtype: 'uint8' }).data()
    }),
  )
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const size = channels * height * width
  return Array.from({ length: n }, (_, i) => ({
    data: bytes.subarray(i * size, (i + 1) * size),
    width,
    height,
    channels: channels === 1 ? 1 : 3,
  }))
}

/** Class names for class numbers; for shares of classes `(N, C)` those above 1 % with their shares; else the numbers. */
export async function labelsOf(y: Tensor, n: number, vocab?: readonly string[]): Promise<string[]> {
  const name = (value: number) => vocab?.[value] ?? String(Number(value.toPrecision(4)))
  const values = await scope(async () =>
    Array.from(await y.detach().narrow(0, 0, n).to({ dtype: 'float32' }).data(), Number),
  )
  const width = values.length / n
  return Array.from({ length: n }, (_, i) => {
    const row = values.slice(i * width, (i + 1) * width)
    if (width === 1 && !(vocab && y.ndim > 1)) return name(row[0])
    if (vocab?.length !== width)
      return row
        .slice(0, 4)
        .map(value => value.toPrecision(3))
        .join(' ')
    return row
      .flatMap((share, c) => (share > 0.01 ? [share > 0.99 ? vocab[c] : `${vocab[c]} ${share.toFixed(2)}`] : []))
      .join(' + ')
  })
}
