import { basename, isAbsolute, join } from 'node:path'
import { checkOptions, invalidArgument, TorchLearnerError } from '../../check/index.js'
import {
  CategoryBlock,
  type DataLoaderOptions,
  DataLoaders,
  type DataLoadersOptions,
  type Label,
  type Loader,
  listImages,
  MultiCategoryBlock,
  PassedOver,
  parentLabel,
  RegexLabeller,
} from '../../data/index.js'
import { inTurns, mapped } from '../../files/index.js'
import { type Built, build, buildItems, buildSubfolders, checkFiles, checkPath, labelled } from './loaders-build.js'
import {
  blockOf,
  FolderOptions,
  type ImageDataLoadersOptions,
  type ImageFolderOptions,
  type LabelFunction,
  Options,
} from './loaders-options.js'
import { CsvOptions, type CsvTableOptions, readTable } from './table.js'

/**
 * Training and validation batches from picture files: for one class a picture, several, or numbers (see
 * {@link ImageDataLoadersOptions.yBlock}).
 */
export class ImageDataLoaders extends DataLoaders {
  /** With `onBadFile: 'skip'`: the files that were left out so far, and what is wrong with each. */
  readonly badFiles: ReadonlyMap<string, string>

  /** @param badFiles filled while batches are read */
  constructor(
    train: Loader,
    valid?: Loader,
    options: DataLoadersOptions = {},
    badFiles: ReadonlyMap<string, string> = new Map(),
  ) {
    super(train, valid, options)
    this.badFiles = badFiles
  }

  override new(options: DataLoaderOptions = {}): ImageDataLoaders {
    const [train, valid] = this.renewed(options)
    return new ImageDataLoaders(train, valid, this.about, this.badFiles)
  }

  /**
   * From a folder with a subfolder for each class: `path/train/cat/1.png`, `path/valid/cat/2.png`; or `path/cat/1.png` together with
   * `validPct` or `splitter`.
   *
   * @throws TorchLearnerError `ERR_NOT_FOUND` for a folder that isn't there; `ERR_NO_DATA` when there are no pictures, one class only,
   * or fewer pictures than a batch; `ERR_INVALID_ARG` for a wrong option, and for a label in validation that training hasn't
   * @example const dls = await ImageDataLoaders.fromFolder('digits', { bs: 128, itemTfms: new Resize(32) })
   */
  static async fromFolder(path: string, options: ImageFolderOptions = {}): Promise<ImageDataLoaders> {
    const { train, valid, ...checked } = checkOptions(FolderOptions, options, 'ImageDataLoaders.fromFolder')
    checkPath(path)
    if (checked.validPct !== undefined || checked.splitter) {
      const named = train ?? valid
      if (named) throw invalidArgument('train and valid', 'nothing together with validPct or splitter', named)
      const passedOver = new PassedOver()
      const files = await listImages(path, passedOver)
      if (files.length === 0) throw passedOver.noPictures(path)
      passedOver.warn(path)
      return of(await buildItems(path, await labelled(files, parentLabel), checked, parentLabel))
    }
    return of(await buildSubfolders(path, train ?? 'train', valid ?? 'valid', checked))
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
    return await ImageDataLoaders.fromNameFunc(path, files, RegexLabeller(pattern), options)
  }

  /**
   * From files and a function that gives the label for a file's name.
   *
   * @param files paths, for instance of `getImageFiles`
   * @throws as {@link ImageDataLoaders.fromFolder}
   * @example await ImageDataLoaders.fromNameFunc(path, files, name => (/^[A-Z]/.test(name) ? 'cat' : 'dog'))
   */
  static async fromNameFunc(
    path: string,
    files: readonly string[],
    label: LabelFunction,
    options: ImageDataLoadersOptions = {},
  ): Promise<ImageDataLoaders> {
    if (typeof label !== 'function') throw invalidArgument('label', "a function from a file's name to its label", label)
    return await ImageDataLoaders.fromPathFunc(path, files, file => label(basename(file)), options)
  }

  /**
   * From files and a function that gives the label for a file's path.
   *
   * @param files paths, for instance of `getImageFiles`
   * @throws as {@link ImageDataLoaders.fromFolder}
   * @example await ImageDataLoaders.fromPathFunc(path, files, file => tags.get(file) ?? [], { yBlock: MultiCategoryBlock })
   */
  static async fromPathFunc(
    path: string,
    files: readonly string[],
    label: LabelFunction,
    options: ImageDataLoadersOptions = {},
  ): Promise<ImageDataLoaders> {
    const checked = checkOptions(Options, options, 'ImageDataLoaders')
    checkPath(path)
    return of(await buildItems(path, await labelled(files, label), checked, label))
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
   * From files and their labels, one each: names of classes, arrays of names, numbers or arrays of numbers.
   *
   * @param files paths, as they are or in `path`
   * @throws as {@link ImageDataLoaders.fromFolder}
   * @example await ImageDataLoaders.fromLists(path, ['a.jpg', 'b.jpg', 'c.jpg'], [['cat', 'grass'], ['dog'], []], { bs: 2 })
   */
  static async fromLists(
    path: string,
    files: readonly string[],
    labels: readonly Label[],
    options: ImageDataLoadersOptions = {},
  ): Promise<ImageDataLoaders> {
    const checked = checkOptions(Options, options, 'ImageDataLoaders')
    checkPath(path)
    checkFiles(files)
    if (!Array.isArray(labels) || labels.length !== files.length) {
      throw invalidArgument('labels', `an array of ${files.length} labels, one a file,`, labels)
    }
    const given: readonly Label[] = labels.slice()
    const item = (file: string, i: number) => ({ file: isAbsolute(file) ? file : join(path, file), label: given[i] })
    const items = await inTurns(mapped(files.slice(), item))
    return of(await buildItems(path, items, checked))
  }

  /**
   * From a table of files and labels: `path/labels.csv`.
   *
   * @throws as {@link ImageDataLoaders.fromFolder}; `ERR_FILE_FORMAT` for a table without such a column or a row without such a field
   * @example await ImageDataLoaders.fromCsv(path, { folder: 'train', suff: '.jpg', labelDelim: ' ', validCol: 'is_valid' })
   */
  static async fromCsv(
    path: string,
    options: ImageDataLoadersOptions & CsvTableOptions = {},
  ): Promise<ImageDataLoaders> {
    checkPath(path)
    if (typeof options !== 'object' || options === null) {
      throw invalidArgument("ImageDataLoaders.fromCsv's options", 'an object', options)
    }
    const isCsv = ([name]: [string, unknown]) => Object.hasOwn(CsvOptions.shape, name)
    const entries = Object.entries(options)
    const others = Object.fromEntries(entries.filter(entry => !isCsv(entry)))
    const checked = checkOptions(Options, others, 'ImageDataLoaders')
    const table = checkOptions(CsvOptions, Object.fromEntries(entries.filter(isCsv)), 'ImageDataLoaders.fromCsv')
    const several = Array.isArray(table.labelCol) || table.labelDelim !== undefined
    const block = blockOf(checked) ?? (several ? new MultiCategoryBlock() : new CategoryBlock())
    const isMulti = block instanceof MultiCategoryBlock
    const vocab = isMulti || block instanceof CategoryBlock ? block.vocab : undefined
    const items = await readTable(path, table, { vocab, none: several && isMulti && !block.encoded })
    const typed = { ...checked, yBlock: block, vocab: undefined }
    if (table.validCol === undefined) return of(await buildItems(path, items, typed))
    const { splitter, validPct } = checked
    if (splitter || validPct !== undefined) {
      throw invalidArgument(splitter ? 'splitter' : 'validPct', 'nothing together with validCol', splitter ?? validPct)
    }
    const train = items.filter(({ valid }) => !valid)
    const valid = items.filter(item => item.valid)
    if (train.length === 0 || valid.length === 0) {
      const missing = train.length === 0 ? 'training' : 'validation'
      throw new TorchLearnerError('ERR_NO_DATA', `${join(path, table.csvFname)} has no pictures for ${missing}`)
    }
    return of(await build(path, { train, valid }, typed))
  }
}

/** The last step of every road: `loaders-build.ts` makes the parts, and calls nothing here. */
function of({ train, valid, about, badFiles }: Built): ImageDataLoaders {
  return new ImageDataLoaders(train, valid, about, badFiles)
}
