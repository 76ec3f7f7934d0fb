import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, invalidArgument, TorchLearnerError } from '../../check/index.js'
import {
  blockFor,
  CategoryBlock,
  DataLoader,
  type DataLoadersOptions,
  type ItemSplitter,
  listImages,
  PassedOver,
  parentLabel,
  RandomSplitter,
} from '../../data/index.js'
import { inTurns, mapped, stepsOf } from '../../files/index.js'
import { BadFiles } from '../decode/bad-files.js'
import { defaultWorkers, imageSize } from '../decode/decode.js'
import { readOptions } from '../decode/picture.js'
import { bringToOneSize, type PicturePlan, planOf } from '../transforms/item-transform.js'
import { IntToFloatTensor } from '../transforms/normalize.js'
import { blockOf, type Checked, type LabelFunction, type WeightFunction } from './loaders-options.js'
import { ImageSource } from './source.js'
import type { Item } from './table.js'

/** Items for training and for validation. */
interface Parts {
  readonly train: readonly Item[]
  readonly valid: readonly Item[]
  /** A picture's label by its path, where that is how the items got theirs. */
  readonly label?: LabelFunction
}

/** What `ImageDataLoaders` are made of. */
export interface Built {
  readonly train: DataLoader
  readonly valid: DataLoader
  readonly about: DataLoadersOptions
  readonly badFiles: ReadonlyMap<string, string>
}

/** Each file with what the function makes of it. */
export async function labelled(files: readonly string[], label: LabelFunction): Promise<Item[]> {
  checkFiles(files)
  if (typeof label !== 'function')
    throw invalidArgument('label', "a function from a path to its picture's label", label)
  return await inTurns(mapped(files.slice(), file => ({ file, label: label(file) })))
}

/** @throws TorchLearnerError `ERR_INVALID_ARG` for anything but an array of paths */
export function checkFiles(files: unknown): asserts files is readonly string[] {
  // findIndex visits holes, too
  const at = Array.isArray(files) ? files.findIndex(file => typeof file !== 'string' || file === '') : undefined
  if (at === -1) return
  const hint = Array.isArray(files) && at !== undefined ? `files[${at}] is ${describe(files[at])}` : undefined
  throw invalidArgument('files', 'an array of paths', files, hint)
}

/** @throws TorchLearnerError `ERR_INVALID_ARG` for anything but a path, which may be empty */
export function checkPath(path: unknown): asserts path is string {
  if (typeof path !== 'string') throw invalidArgument('path', "a folder's path", path)
}

/** More can't be meant: arrays may claim any length. */
const MOST_INDICES = 2 ** 27

/** A random share for validation, or what the splitter says. */
async function splitItems(path: string, items: readonly Item[], { validPct, splitter, seed }: Checked): Promise<Parts> {
  if (items.length === 0) throw noPictures(path)
  if (splitter && validPct !== undefined) {
    throw invalidArgument('validPct', 'nothing together with splitter', validPct)
  }
  const share = validPct ?? 0.2
  const split: ItemSplitter<string> = splitter ?? RandomSplitter(share, { seed })
  const files = await inTurns(mapped(items, ({ file }) => file))
  const steps = stepsOf(split)
  const parts: unknown = steps ? await inTurns(steps(files)) : split(files)
  if (!Array.isArray(parts) || parts.length !== 2 || !parts.every(isList)) {
    throw invalidArgument("the splitter's result", '[train, valid], two lists of indices,', parts)
  }
  const [train, valid] = parts
  if (valid.length === 0 || train.length === 0) {
    const how = splitter ? 'The splitter' : `A share of ${share}`
    throw new TorchLearnerError(
      'ERR_NO_DATA',
      `${how} of ${items.length} pictures leaves none for ${valid.length === 0 ? 'validation' : 'training'}`,
    )
  }
  const pick = async (indices: ArrayLike<number>) => {
    if (indices.length > MOST_INDICES) {
      throw invalidArgument("the splitter's answer", `at most ${MOST_INDICES} indices`, indices)
    }
    return await inTurns(mapped(indices, index => itemAt(items, index)))
  }
  return { train: await pick(train), valid: await pick(valid) }
}

const isList = (value: unknown): value is ArrayLike<number> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value)

function itemAt(items: readonly Item[], index: number): Item {
  const item = items[index]
  if (item) return item
  throw invalidArgument("the splitter's indices", `whole numbers below ${items.length}`, index)
}

/** From items that are still to be split. */
export async function buildItems(
  path: string,
  items: readonly Item[],
  checked: Checked,
  label?: LabelFunction,
): Promise<Built> {
  return await build(path, { ...(await splitItems(path, items, checked)), label }, checked)
}

/** From a folder for training and one for validation, with a subfolder for each class. */
export async function buildSubfolders(
  path: string,
  trainName: string,
  validName: string,
  checked: Checked,
): Promise<Built> {
  await checkSubfolders(path, trainName, validName)
  const passedOver = new PassedOver()
  const items = async (name: string) => {
    const folder = join(path, name)
    const here = new PassedOver()
    const files = await listImages(folder, here)
    if (files.length === 0) throw here.noPictures(folder)
    passedOver.add(here)
    return await labelled(files, parentLabel)
  }
  const parts = { train: await items(trainName), valid: await items(validName), label: parentLabel }
  passedOver.warn(path)
  return await build(path, parts, checked)
}

/** Learns the targets from the training items and makes both loaders. */
export async function build(path: string, { train, valid, label }: Parts, checked: Checked): Promise<Built> {
  const { vocab, c, lossFunc, encode } = await encoderOf(path, train, checked)
  const plan = await picturePlan(train, checked)
  const workers = checked.numWorkers ?? defaultWorkers()
  const bad = new BadFiles()
  const badFiles = checked.onBadFile === 'skip' ? bad : undefined
  const source = async (items: readonly Item[]) => {
    const files = await inTurns(mapped(items, ({ file }) => file))
    const labels = await inTurns(mapped(items, ({ label }) => label))
    const where = (i: number) => files[i]
    const steps = stepsOf(encode)
    const targets = steps ? await inTurns(steps(labels, where)) : encode(labels, where)
    return new ImageSource({ files, targets, encode, label, plan, workers, badFiles })
  }
  const { bs, seed, prefetch, device, shuffle = true, numSamples, replacement } = checked
  const weights = typeof checked.weights === 'function' ? await weightsOf(train, checked.weights) : checked.weights
  const sampling = { shuffle, weights, numSamples, replacement }
  const batchTfms = [new IntToFloatTensor(), ...checked.batchTfms]
  const common = { batchTfms, prefetch, device, seed }
  return {
    train: new DataLoader(await source(train), { ...common, ...sampling, bs, dropLast: shuffle, training: true }),
    valid: new DataLoader(await source(valid), { ...common, bs: checked.valBs ?? bs }),
    about: { path, device, vocab, c, nInp: 1, lossFunc },
    badFiles: bad.reasons,
  }
}

async function weightsOf(items: readonly Item[], weigh: WeightFunction): Promise<number[]> {
  const weightOf = ({ file, label }: Item) => {
    const weight: unknown = weigh(file, label)
    if (typeof weight === 'number' && weight >= 0 && weight < Number.POSITIVE_INFINITY) return weight
    throw invalidArgument(`the weight of ${file}`, 'a finite number from 0', weight)
  }
  return await inTurns(mapped(items, weightOf))
}

async function encoderOf(path: string, train: readonly Item[], checked: Checked) {
  const labels = await inTurns(mapped(train, ({ label }) => label))
  const block = blockOf(checked) ?? blockFor(labels)
  const where = (i: number) => train[i].file
  const steps = stepsOf(block.setup)
  const encoder = steps ? await inTurns(steps.call(block, labels, where)) : block.setup(labels, where)
  if (block instanceof CategoryBlock && encoder.c < 2) {
    throw new TorchLearnerError(
      'ERR_NO_DATA',
      `All ${train.length} training pictures of ${path} have one label, ${describe(encoder.vocab?.[0])}: ` +
        'to tell classes apart at least two are needed, each in a folder of its own',
    )
  }
  return encoder
}

/** Without a transform that sets the size the first picture does, or the first that can be read. */
async function picturePlan(items: readonly Item[], checked: Checked): Promise<PicturePlan> {
  const { itemTfms, orientation, onBadFile } = checked
  const reading = readOptions(checked)
  if (bringToOneSize(itemTfms)) return planOf(itemTfms, reading, { width: 1, height: 1 })
  const last = onBadFile === 'skip' ? items.length - 1 : 0
  for (const [i, { file }] of items.entries()) {
    try {
      return planOf(itemTfms, reading, await imageSize(file, { orientation }))
    } catch (error) {
      if (i >= last || !(error instanceof TorchLearnerError)) throw error
    }
  }
  throw new TorchLearnerError('ERR_NO_DATA', 'There are no pictures')
}

/** Says what is wrong when the folders for training and validation aren't there. */
async function checkSubfolders(path: string, train: string, valid: string): Promise<void> {
  if (path === '') throw invalidArgument('path', "a folder's path", path)
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
