import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, isAbsolute, join } from 'node:path'
import { z } from 'zod'
import {
  BatchTransform,
  checkOptions,
  DataLoader,
  DataLoaders,
  getImageFiles,
  type Labeller,
  parentLabel,
  RandomSplitter,
  RegexLabeller,
  Vocab,
} from '../data/index.js'
import { describe, invalidArgument, type PictureRequest, TorchLearnerError } from '../native/index.js'
import { CrossEntropyLossFlat } from '../nn/losses-flat.js'
import { imageSize, MAX_PIXELS } from './decode.js'
import { IntToFloatTensor } from './normalize.js'
import { Resize } from './resize.js'
import { ImageSource } from './source.js'
import { CsvOptions, type CsvTableOptions, type Item, readTable } from './table.js'

const whole = (from: number) => {
  const error = `a whole number from ${from}`
  return z.int({ error }).min(from, { error })
}
const resize = z.instanceof(Resize, { error: 'a Resize' })

const Options = z.strictObject({
  train: z.string({ error: "a subfolder's name" }).default('train'),
  valid: z.string({ error: "a subfolder's name" }).default('valid'),
  validPct: z
    .number({ error: 'a number above 0 and below 1' })
    .gt(0, { error: 'a number above 0 and below 1' })
    .lt(1, { error: 'a number above 0 and below 1' })
    .optional(),
  seed: z.int({ error: 'a whole number' }).optional(),
  itemTfms: z.union([resize, z.array(resize).max(1)], { error: 'a Resize or an array with one' }).optional(),
  batchTfms: z
    .array(z.instanceof(BatchTransform, { error: 'a BatchTransform' }), { error: 'an array of batch transforms' })
    .default([]),
  bs: whole(1).default(64),
  valBs: whole(1).optional(),
  shuffle: z.boolean({ error: 'true or false' }).default(true),
  device: z.string({ error: 'a device such as cpu or cuda:0' }).default('cpu'),
  numWorkers: whole(1).optional(),
  prefetch: whole(0).default(2),
  maxPixels: whole(1).default(MAX_PIXELS),
  onBadFile: z.enum(['error', 'skip'], { error: 'error or skip' }).default('error'),
})

type Checked = z.output<typeof Options>

/** How {@link ImageDataLoaders} read pictures and make batches of them. */
export interface ImageDataLoadersOptions {
  /** The subfolders of training and validation pictures. Default `train` and `valid`; not used with `validPct`. */
  train?: string
  valid?: string
  /** A random share of all pictures for validation, above 0 and below 1. `fromNameRe` and `fromPathFunc` take 0.2
   * by default. */
  validPct?: number
  /** The same split and the same orders every time. Default: libtorch's generator decides, see `manualSeed`. */
  seed?: number
  /** What is done to each picture: at present a {@link Resize}. Without it all pictures must have one size. */
  itemTfms?: Resize | readonly Resize[]
  /** What is done to each batch: `Normalize`... Bytes have become float32 in 0 to 1 by then. */
  batchTfms?: readonly BatchTransform[]
  /** Pictures in a training batch; default 64. */
  bs?: number
  /** Pictures in a validation batch; default `bs`. */
  valBs?: number
  /** A new order for each epoch of training, the last, smaller batch left out. Default true. */
  shuffle?: boolean
  /** Where batches end up. Default `cpu`. */
  device?: string
  /** How many pieces of a batch are decoded at the same time. Default: as many as there are processors, at most 4. */
  numWorkers?: number
  /** How many batches are prepared ahead of the one in use; default 2. */
  prefetch?: number
  /** Pictures with more pixels are refused. Default 100 million. */
  maxPixels?: number
  /**
   * A file that can't be read ends the pass with an `error` (default) that names it; or is left out (`skip`) with a warning, and
   * listed in `badFiles`: its batch is smaller then.
   */
  onBadFile?: 'error' | 'skip'
}

/** Training and validation batches from picture files, for classification. */
export class ImageDataLoaders extends DataLoaders {
  /** With `onBadFile: 'skip'`: the files that were left out so far, and what is wrong with each. */
  readonly badFiles: ReadonlyMap<string, string> = new Map()

  /**
   * From a folder with a subfolder for each class: `path/train/cat/1.png`, `path/valid/cat/2.png`; or `path/cat/1.png` together with
   * `validPct`.
   *
   * @throws TorchLearnerError `ERR_NOT_FOUND` for a folder that isn't there; `ERR_NO_DATA` when there are no pictures, one class only,
   * or fewer pictures than a batch; `ERR_INVALID_ARG` for a wrong option
   * @example const dls = await ImageDataLoaders.fromFolder('digits', { bs: 128, itemTfms: new Resize(32) })
   */
  static async fromFolder(path: string, options: ImageDataLoadersOptions = {}): Promise<ImageDataLoaders> {
    const checked = checkOptions(Options, options, 'ImageDataLoaders.fromFolder')
    if (checked.validPct !== undefined) {
      return await split(path, labelled(await getImageFiles(path), parentLabel), checked, checked.validPct)
    }
    await checkSubfolders(path, checked)
    const train = await getImageFiles(join(path, checked.train))
    const valid = await getImageFiles(join(path, checked.valid))
    if (train.length === 0) throw noPictures(join(path, checked.train))
    if (valid.length === 0) throw noPictures(join(path, checked.valid))
    return await build(path, { train: labelled(train, parentLabel), valid: labelled(valid, parentLabel) }, checked)
  }

  /**
   * From files whose names hold their labels.
   *
   * @param files paths, for instance of `getImageFiles`
   * @param pattern its first group is the label, searched for in the file's name
   * @throws as {@link ImageDataLoaders.fromFolder}; and `ERR_INVALID_ARG` for a name that the pattern doesn't match
   * @example await ImageDataLoaders.fromNameRe(path, await getImageFiles(path), /^(.+)_\d+.jpg$/)
   */
  static async fromNameRe(
    path: string,
    files: readonly string[],
    pattern: RegExp | string,
    options: ImageDataLoadersOptions = {},
  ): Promise<ImageDataLoaders> {
    const label = RegexLabeller(pattern)
    return await ImageDataLoaders.fromPathFunc(path, files, file => label(basename(file)), options)
  }

  /**
   * From files and a function that gives each file's label.
   *
   * @param files paths, for instance of `getImageFiles`
   * @throws as {@link ImageDataLoaders.fromFolder}
   */
  static async fromPathFunc(
    path: string,
    files: readonly string[],
    label: Labeller,
    options: ImageDataLoadersOptions = {},
  ): Promise<ImageDataLoaders> {
    const checked = checkOptions(Options, options, 'ImageDataLoaders')
    if (!isStrings(files)) throw invalidArgument('files', 'an array of paths', files)
    return await split(path, labelled(files, label), checked, checked.validPct ?? 0.2)
  }

  /**
   * From files whose paths hold their labels.
   *
   * @param pattern its first group is the label, searched for in the whole path, with `/` between its parts
   * @throws as {@link ImageDataLoaders.fromNameRe}
   * @example await ImageDataLoaders.fromPathRe(path, files, /([^/]+)\/day\d+\//)
   */
  static async fromPathRe(
    path: string,
    files: readonly string[],
    pattern: RegExp | string,
    options: ImageDataLoadersOptions = {},
  ): Promise<ImageDataLoaders> {
    return await ImageDataLoaders.fromPathFunc(path, files, RegexLabeller(pattern), options)
  }

  /**
   * From files and their labels, one each.
   *
   * @param files paths, as they are or in `path`
   * @throws as {@link ImageDataLoaders.fromFolder}
   */
  static async fromLists(
    path: string,
    files: readonly string[],
    labels: readonly string[],
    options: ImageDataLoadersOptions = {},
  ): Promise<ImageDataLoaders> {
    const checked = checkOptions(Options, options, 'ImageDataLoaders')
    if (!isStrings(files)) throw invalidArgument('files', 'an array of paths', files)
    if (!isStrings(labels) || labels.length !== files.length) {
      throw invalidArgument('labels', `an array of ${files.length} labels, one a file,`, labels)
    }
    const items = files.map((file, i) => ({ file: isAbsolute(file) ? file : join(path, file), label: labels[i] }))
    return await split(path, items, checked, checked.validPct ?? 0.2)
  }

  /**
   * From a table of files and labels: `path/labels.csv`.
   *
   * @throws as {@link ImageDataLoaders.fromFolder}; `ERR_FILE_FORMAT` for a table without such a column or a row without such a field
   * @example await ImageDataLoaders.fromCsv(path, { folder: 'train', suff: '.jpg', validCol: 'is_valid', bs: 32 })
   */
  static async fromCsv(
    path: string,
    options: ImageDataLoadersOptions & CsvTableOptions = {},
  ): Promise<ImageDataLoaders> {
    const isCsv = ([name]: [string, unknown]) => Object.hasOwn(CsvOptions.shape, name)
    const entries = Object.entries(options)
    const checked = checkOptions(
      Options,
      Object.fromEntries(entries.filter(entry => !isCsv(entry))),
      'ImageDataLoaders',
    )
    const table = checkOptions(CsvOptions, Object.fromEntries(entries.filter(isCsv)), 'ImageDataLoaders.fromCsv')
    const items = await readTable(path, table)
    if (table.validCol === undefined) return await split(path, items, checked, checked.validPct ?? 0.2)
    const train = items.filter(({ valid }) => !valid)
    const valid = items.filter(item => item.valid)
    if (train.length === 0 || valid.length === 0) {
      const missing = train.length === 0 ? 'training' : 'validation'
      throw new TorchLearnerError('ERR_NO_DATA', `${join(path, table.csvFname)} has no pictures for ${missing}`)
    }
    return await build(path, { train, valid }, checked)
  }
}

const labelled = (files: readonly string[], label: Labeller): Item[] =>
  files.map(file => ({ file, label: label(file) }))

const isStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every(item => typeof item === 'string')

interface Parts {
  readonly train: readonly Item[]
  readonly valid: readonly Item[]
}

async function split(path: string, items: readonly Item[], checked: Checked, validPct: number) {
  if (items.length === 0) throw noPictures(path)
  const [train, valid] = RandomSplitter(validPct, { seed: checked.seed })(items)
  const pick = (indices: Int32Array) => Array.from(indices, index => items[index])
  if (valid.length === 0 || train.length === 0) {
    throw new TorchLearnerError(
      'ERR_NO_DATA',
      `A share of ${validPct} of ${items.length} pictures leaves none for ${valid.length === 0 ? 'validation' : 'training'}`,
    )
  }
  return await build(path, { train: pick(train), valid: pick(valid) }, checked)
}

async function build(path: string, { train, valid }: Parts, checked: Checked): Promise<ImageDataLoaders> {
  const vocab = new Vocab(train.map(({ label }) => label))
  if (vocab.length < 2) {
    throw new TorchLearnerError(
      'ERR_NO_DATA',
      `All ${train.length} training pictures of ${path} have one label, ${describe(vocab.items[0])}: ` +
        'to tell classes apart at least two are needed, each in a folder of its own',
    )
  }
  const request = await pictureRequest(train, checked)
  const workers = checked.numWorkers ?? Math.min(4, availableParallelism())
  const badFiles = new Map<string, string>()
  const source = (items: readonly Item[]) =>
    new ImageSource({
      files: items.map(({ file }) => file),
      labels: Int32Array.from(items, ({ label }) => vocab.encode(label)),
      request,
      workers,
      badFiles: checked.onBadFile === 'skip' ? badFiles : undefined,
    })
  const { bs, seed, prefetch, device, shuffle } = checked
  const batchTfms = [new IntToFloatTensor(), ...checked.batchTfms]
  const common = { batchTfms, prefetch, device, seed }
  const dls = new ImageDataLoaders(
    new DataLoader(source(train), { ...common, bs, shuffle, dropLast: shuffle, training: true }),
    new DataLoader(source(valid), { ...common, bs: checked.valBs ?? bs }),
    { path, device, vocab: vocab.items, nInp: 1, lossFunc: new CrossEntropyLossFlat() },
  )
  return Object.assign(dls, { badFiles })
}

/** Without a Resize the first picture sets the size, or the first that can be read. */
async function pictureRequest(items: readonly Item[], checked: Checked): Promise<PictureRequest> {
  const { itemTfms, maxPixels, onBadFile } = checked
  const transform = Array.isArray(itemTfms) ? itemTfms[0] : itemTfms
  if (transform) return transform.request(maxPixels)
  const last = onBadFile === 'skip' ? items.length - 1 : 0
  for (const [i, { file }] of items.entries()) {
    try {
      return { ...(await imageSize(file)), method: 'exact', padMode: 'zeros', maxPixels }
    } catch (error) {
      if (i >= last || !(error instanceof TorchLearnerError)) throw error
    }
  }
  throw new TorchLearnerError('ERR_NO_DATA', 'There are no pictures')
}

async function checkSubfolders(path: string, { train, valid }: Checked): Promise<void> {
  if (typeof path !== 'string' || path === '') throw invalidArgument('path', "a folder's path", path)
  const isFolder = async (folder: string) =>
    await stat(folder).then(
      found => found.isDirectory(),
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
        throw error
      },
    )
  if (!(await isFolder(path))) throw new TorchLearnerError('ERR_NOT_FOUND', `There is no folder ${path}`)
  for (const name of [train, valid]) {
    if (await isFolder(join(path, name))) continue
    throw new TorchLearnerError(
      'ERR_NOT_FOUND',
      `There is no folder ${join(path, name)}: put pictures into ${train} and ${valid} with a subfolder for each class, ` +
        'or have a random share taken for validation with validPct: 0.2',
    )
  }
}

function noPictures(path: string): TorchLearnerError {
  return new TorchLearnerError('ERR_NO_DATA', `There are no pictures in ${path}`)
}
