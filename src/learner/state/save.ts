import { extname, resolve } from 'node:path'
import {
  checkOptions,
  checkValue,
  finite,
  flag,
  invalidArgument,
  list,
  type Output,
  record,
  strictObject,
  string,
  TorchLearnerError,
} from '../../check/index.js'
import { exists, loadPth, reading, readSafetensors, saveSafetensors } from '../../files/index.js'
import { loadInTurns } from '../../nn/index.js'
import type { Optimizer, OptimizerState } from '../../optim/index.js'
import { mark, scope, type Tensor } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import { warnOptimizerState } from '../report/warnings.js'

/** Options of {@link Learner.save}. */
export interface SaveOptions {
  /** Whether the optimizer's state goes into the file too. Default true. */
  withOpt?: boolean
}

/** Options of {@link Learner.load}. */
export interface LoadOptions {
  /** Moves the model there first. Default: it stays where it is. */
  device?: string
  /** Whether to take over the optimizer's state, if the file has one. Default true. */
  withOpt?: boolean
  /** Whether the file's names must be exactly the model's. Default true. */
  strict?: boolean
  /** For PyTorch's files: where in them the state dict is, as `model_state_dict`. Default: see {@link LoadPthOptions.key}. */
  key?: string
}

const saveSchema = strictObject({ withOpt: flag.optional() })
const loadSchema = strictObject({
  withOpt: flag.optional(),
  strict: flag.optional(),
  device: string('a device').optional(),
  key: string('a key of the dict in the file').optional(),
})

/** Key of the metadata, and first part of the optimizer's names; a module's names have no slash. */
const OPTIMIZER = 'optimizer'
const EXTENSION = '.safetensors'

/** What a file says of the optimizer beside its tensors. */
const optimizerSchema = strictObject({
  hypers: list(record(finite)),
  flags: list(strictObject({ doWd: flag, forceTrain: flag })),
  count: finite.optional(),
})

function modelPath(learn: Learner, name: string): string {
  if (typeof name !== 'string' || name === '' || name.includes('\0'))
    throw invalidArgument('name', 'the name of a file', name)
  return resolve(learn.path, learn.modelDir, name)
}

/** What there is to say of an optimizer beside its tensors, for {@link optimizerState}. */
export function describeOptimizer({ state, hypers, count }: OptimizerState): string {
  const flags = state.map(({ doWd = true, forceTrain = false }) => ({ doWd, forceTrain }))
  return JSON.stringify({ hypers, flags, count })
}

/** Names that say which parameter and which of its moments a tensor is. */
export function* optimizerTensors({ state, slowWeights = [] }: OptimizerState): Generator<[string, Tensor]> {
  for (const [i, { tensors }] of state.entries()) {
    for (const [name, tensor] of Object.entries(tensors)) yield [`${OPTIMIZER}/${i}/${name}`, tensor]
  }
  for (const [i, tensor] of slowWeights.entries()) yield [`${OPTIMIZER}/slow/${i}`, tensor]
}

/** The file that {@link saveLearner} writes. */
export function savedFile(learn: Learner, name: string): string {
  const path = modelPath(learn, name)
  return extname(path) === EXTENSION ? path : path + EXTENSION
}

/** See {@link Learner.save}. */
export async function saveLearner(learn: Learner, name: string, options: SaveOptions): Promise<string> {
  checkOptions(saveSchema, options, 'save')
  const file = savedFile(learn, name)
  await mark() // so that asking for the optimizer's state doesn't block
  await scope(() => {
    const state = new Map(learn.model.stateDict())
    const metadata: Record<string, string> = { format: 'pt' }
    if (learn.opt && options.withOpt !== false) {
      const saved = learn.opt.stateDict()
      metadata[OPTIMIZER] = describeOptimizer(saved)
      for (const [key, tensor] of optimizerTensors(saved)) state.set(key, tensor)
    }
    return saveSafetensors(file, state, { metadata })
  })
  return file
}

/** The file of that name: as it is, or with one of the extensions. */
async function findModel(path: string): Promise<string> {
  const candidates = ['.safetensors', '.pth', '.pt'].includes(extname(path))
    ? [path]
    : [path + EXTENSION, `${path}.pth`]
  for (const candidate of candidates) if (await reading(candidate, () => exists(candidate))) return candidate
  throw new TorchLearnerError('ERR_NOT_FOUND', `There is no file ${candidates.join(' or ')}`)
}

interface Saved {
  model: Map<string, Tensor>
  opt: OptimizerState | null
}

async function readSaved(file: string, key: string | undefined): Promise<Saved> {
  if (extname(file) !== EXTENSION) return { model: await loadPth(file, { key }), opt: null }
  if (key !== undefined) throw invalidArgument('key', "nothing for files other than PyTorch's", key)
  const { tensors, metadata } = await readSafetensors(file)
  const description = metadata[OPTIMIZER]
  if (description === undefined) return { model: tensors, opt: null }
  const model = new Map<string, Tensor>()
  const moments = new Map<string, Tensor>()
  for (const [name, tensor] of tensors) (name.startsWith(`${OPTIMIZER}/`) ? moments : model).set(name, tensor)
  return { model, opt: optimizerState(file, description, moments) }
}

function parseDescription(file: string, description: string): Output<typeof optimizerSchema> {
  let cause: unknown
  try {
    return checkValue(optimizerSchema, JSON.parse(description), 'it')
  } catch (error) {
    cause = error
  }
  const message = `Expected a model saved by a Learner but received ${file}, whose optimizer's description is damaged`
  throw new TorchLearnerError('ERR_FILE_FORMAT', message, { cause })
}

/** The way back from {@link describeOptimizer} and {@link optimizerTensors}. */
export function optimizerState(
  file: string,
  description: string,
  moments: ReadonlyMap<string, Tensor>,
): OptimizerState {
  const { hypers, flags, count } = parseDescription(file, description)
  const state: OptimizerState = { hypers: [...hypers], state: flags.map(item => ({ ...item, tensors: {} })) }
  const slowWeights: Tensor[] = []
  for (const [key, tensor] of moments) {
    const [, first, second] = key.split('/')
    const parameter = state.state[Number(first)]
    if (first === 'slow') slowWeights[Number(second)] = tensor
    else if (parameter !== undefined && second !== undefined) parameter.tensors[second] = tensor
    else
      throw new TorchLearnerError('ERR_FILE_FORMAT', `Expected moments of a parameter in ${file} but received ${key}`)
  }
  return slowWeights.length > 0 ? { ...state, count, slowWeights } : state
}

/** As the reference does: a model without its optimizer's state is better than none. */
function restoreOptimizer(opt: Optimizer, state: OptimizerState, file: string): void {
  try {
    opt.loadStateDict(state)
  } catch (error) {
    if (!(error instanceof TorchLearnerError && error.code === 'ERR_STATE_DICT')) throw error
    warnOptimizerState(file, error.message)
  }
}

/** See {@link Learner.load}. */
export async function loadLearner(learn: Learner, name: string, options: LoadOptions): Promise<void> {
  checkOptions(loadSchema, options, 'load')
  const { device, withOpt = true, strict = true, key } = options
  const file = await findModel(modelPath(learn, name))
  await scope(async () => {
    const { model, opt } = await readSaved(file, key)
    if (device !== undefined) learn.model.to(device)
    await loadInTurns(learn.model, model, { strict })
    if (opt && withOpt) restoreOptimizer(learn.opt ?? learn.createOpt(), opt, file)
    await mark()
  })
}
