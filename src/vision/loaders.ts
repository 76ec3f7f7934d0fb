import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
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
}

/** Training and validation batches from picture files, for classification. */
export class ImageDataLoaders extends DataLoaders {
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
      return await split(path, await getImageFiles(path), file => parentLabel(file), checked, checked.validPct)
    }
    await checkSubfolders(path, checked)
    const train = await getImageFiles(join(path, checked.train))
    const valid = await getImageFiles(join(path, checked.valid))
    if (train.length === 0) throw noPictures(join(path, checked.train))
    if (valid.length === 0) throw noPictures(join(path, checked.valid))
    return await build(path, { train, valid }, parentLabel, checked)
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
    if (!Array.isArray(files) || files.some(file => typeof file !== 'string')) {
      throw invalidArgument('files', 'an array of paths', files)
    }
    return await split(path, files, label, checked, checked.validPct ?? 0.2)
  }
}

interface Parts {
  readonly train: readonly string[]
  readonly valid: readonly string[]
}

async function split(path: string, files: readonly string[], label: Labeller, checked: Checked, validPct: number) {
  if (files.length === 0) throw noPictures(path)
  const [train, valid] = RandomSplitter(validPct, { seed: checked.seed })(files)
  const pick = (indices: Int32Array) => Array.from(indices, index => files[index])
  if (valid.length === 0 || train.length === 0) {
    throw new TorchLearnerError(
      'ERR_NO_DATA',
      `A share of ${validPct} of ${files.length} pictures leaves none for ${valid.length === 0 ? 'validation' : 'training'}`,
    )
  }
  return await build(path, { train: pick(train), valid: pick(valid) }, label, checked)
}

async function build(
  path: string,
  { train, valid }: Parts,
  label: Labeller,
  checked: Checked,
): Promise<ImageDataLoaders> {
  const trainLabels = train.map(label)
  const vocab = new Vocab(trainLabels)
  if (vocab.length < 2) {
    throw new TorchLearnerError(
      'ERR_NO_DATA',
      `All ${train.length} training pictures of ${path} have one label, ${describe(vocab.items[0])}: ` +
        'to tell classes apart at least two are needed, each in a folder of its own',
    )
  }
  const request = await pictureRequest(train[0], checked)
  const workers = checked.numWorkers ?? Math.min(4, availableParallelism())
  const source = (files: readonly string[], labels: readonly string[]) =>
    new ImageSource({ files, labels: Int32Array.from(labels, name => vocab.encode(name)), request, workers })
  const { bs, seed, prefetch, device, shuffle } = checked
  const batchTfms = [new IntToFloatTensor(), ...checked.batchTfms]
  const common = { batchTfms, prefetch, device, seed }
  return new ImageDataLoaders(
    new DataLoader(source(train, trainLabels), { ...common, bs, shuffle, dropLast: shuffle, training: true }),
    new DataLoader(source(valid, valid.map(label)), { ...common, bs: checked.valBs ?? bs }),
    { path, device, vocab: vocab.items, nInp: 1, lossFunc: new CrossEntropyLossFlat() },
  )
}

/** Without a Resize the first picture sets the size. */
async function pictureRequest(first: string, { itemTfms, maxPixels }: Checked): Promise<PictureRequest> {
  const transform = Array.isArray(itemTfms) ? itemTfms[0] : itemTfms
  if (transform) return transform.request(maxPixels)
  return { ...(await imageSize(first)), method: 'exact', padMode: 'zeros', maxPixels }
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
