import {
  anything,
  checkValue,
  finite,
  flag,
  list,
  type Output,
  only,
  record,
  strictObject,
  string,
  TorchLearnerError,
  whole,
} from '../../check/index.js'
import { exists, reading, readSealed, saveSealed } from '../../files/index.js'
import {
  describeOptimizer,
  type Learner,
  optimizerState,
  optimizerTensors,
  runState,
  stateful,
} from '../../learner/index.js'
import { mark, scope, type Tensor } from '../../tensor/index.js'
import { checkCallbacks, checkModel, checkOptimizer } from './checkpoint-fits.js'
import { type RandomState, restoreRandom } from './checkpoint-random.js'

/** What a fit is, as far as a checkpoint can tell. */
export interface Plan {
  epochs: number
  /** Training batches an epoch. */
  batches: number
  validBatches: number
  /** Training samples, and how many a batch, where known. */
  samples: number | null
  bs: number | null
}

/** Where a fit stands: `batch` batches of `epoch` are done. */
export interface Position {
  epoch: number
  batch: number
  /** The fit is over, `afterFit` included. */
  done: boolean
}

/** What there is to write beside the Learner's own state. */
export interface Moment {
  run: string
  plan: Plan
  position: Position
  now: RandomState
  /** As it was when the epoch's training began, in the middle of an epoch. */
  epoch: RandomState | null
  /** See {@link fingerprint}. */
  batch: string | null
}

/** Of the format; a file of a higher one is of a newer release. */
const VERSION = 2

const number = whole(0)
const loaders = strictObject({ train: anything, valid: anything })
const description = strictObject({
  version: only(VERSION),
  run: string(),
  plan: strictObject({
    epochs: number,
    batches: number,
    validBatches: number,
    samples: number.nullable(),
    bs: number.nullable(),
  }),
  position: strictObject({ epoch: number, batch: number, done: flag }),
  loop: strictObject({
    epoch: number.nullable(),
    trainIter: number,
    pctTrain: finite,
    smoothLoss: finite.nullable(),
    finalRecord: list(finite.nullable())
      .to(row => [...row])
      .nullable(),
    training: flag,
  }),
  /** For each module, whether it is in training mode. */
  modes: list(flag),
  loaders: strictObject({ now: loaders, epoch: loaders.nullable() }),
  batch: string().nullable(),
  optimizer: strictObject({ kind: string(), state: string() }).nullable(),
  callbacks: record(record(anything)),
})

type Description = Output<typeof description>

/** A checkpoint that has been read; its tensors stay until {@link Restorable.dispose}. */
export interface Restorable extends Moment {
  /** Puts everything back but the random numbers. May be called again. */
  restore(learn: Learner): Promise<void>
  restoreRandom(learn: Learner, from: RandomState): void
  dispose(): void
}

const NOW = 'rng/now/'
const EPOCH = 'rng/epoch/'

/** Writes everything that a fit needs to go on. Call it once everything queued has run. */
export function saveCheckpoint(file: string, learn: Learner, moment: Moment): Promise<void> {
  return scope(() => save(file, learn, moment)) // what it makes of handles to read from is freed
}

async function save(file: string, learn: Learner, moment: Moment): Promise<void> {
  const { run, plan, position, now, epoch, batch } = moment
  const tensors = new Map<string, Tensor>()
  for (const [name, tensor] of runState.model.read(learn)) tensors.set(`model/${name}`, tensor.detach())
  for (const [name, grad] of runState.gradients.read(learn)) tensors.set(`grad/${name}`, grad)
  const state = runState.optimizer.read(learn)
  for (const [name, tensor] of state ? optimizerTensors(state) : []) tensors.set(name, tensor)
  for (const [device, tensor] of now.generators) tensors.set(NOW + device, tensor)
  for (const [device, tensor] of epoch?.generators ?? []) tensors.set(EPOCH + device, tensor)
  const callbacks: Description['callbacks'] = {}
  for (const [name, { values = {}, tensors: own = {} }] of runState.callbacks.read(learn)) {
    callbacks[name] = values
    for (const [key, tensor] of Object.entries(own)) tensors.set(`callback/${name}/${key}`, tensor)
  }
  const told: Description = {
    version: VERSION,
    ...{ run, plan, position, batch, callbacks },
    loop: spelt(runState.loop.read(learn)),
    modes: runState.modes.read(learn),
    loaders: { now: now.loaders, epoch: epoch?.loaders ?? null },
    optimizer: state ? { kind: kindOf(learn), state: describeOptimizer(state) } : null,
  }
  await saveSealed(file, tensors, { checkpoint: JSON.stringify(told) })
}

function kindOf({ opt }: Learner): string {
  return opt?.constructor.name ?? 'none'
}

/** JSON has no NaN: such a loss is as good as none. */
function spelt(loop: ReturnType<typeof runState.loop.read>): Description['loop'] {
  const finite = (value: number | null) => (value !== null && Number.isFinite(value) ? value : null)
  return { ...loop, smoothLoss: finite(loop.smoothLoss), finalRecord: loop.finalRecord?.map(finite) ?? null }
}

/** The checkpoint in a file, `null` if there is no file. */
export async function readCheckpoint(file: string): Promise<Restorable | null> {
  if (!(await reading(file, () => exists(file)))) return null
  const { tensors, metadata } = await readSealed(file)
  try {
    return toRestorable(file, tensors, parse(file, metadata.checkpoint))
  } catch (error) {
    for (const tensor of tensors.values()) tensor.dispose()
    throw error
  }
}

function toRestorable(file: string, tensors: Map<string, Tensor>, told: Description): Restorable {
  for (const tensor of tensors.values()) tensor.keep()
  const part = (prefix: string) =>
    new Map([...tensors].filter(([name]) => name.startsWith(prefix)).map(([name, t]) => [name.slice(prefix.length), t]))
  const { run, plan, position, loop, modes, batch } = told
  const now = { generators: part(NOW), loaders: told.loaders.now }
  if (!now.generators.has('cpu')) throw damaged(file)
  return {
    ...{ run, plan, position, now, batch },
    epoch: told.loaders.epoch && { generators: part(EPOCH), loaders: told.loaders.epoch },
    async restore(learn) {
      checkCallbacks(file, Object.keys(told.callbacks), [...stateful(learn).keys()])
      checkModel(file, learn.model, part('model/'))
      if (told.optimizer !== null) {
        const moments = new Map([...tensors].filter(([name]) => name.startsWith('optimizer/')))
        if (!learn.opt) learn.createOpt()
        checkOptimizer(file, told.optimizer.kind, kindOf(learn))
        runState.optimizer.write(learn, optimizerState(file, told.optimizer.state, moments))
      }
      runState.model.write(learn, part('model/'))
      runState.modes.write(learn, modes)
      runState.gradients.write(learn, part('grad/'))
      runState.loop.write(learn, loop)
      const callbacks = Object.entries(told.callbacks).map(([name, values]) => {
        return [name, { values, tensors: Object.fromEntries(part(`callback/${name}/`)) }] as const
      })
      await runState.callbacks.write(learn, new Map(callbacks))
      await mark()
    },
    restoreRandom: (learn, from) => restoreRandom(learn, from),
    dispose() {
      for (const tensor of tensors.values()) tensor.dispose()
    },
  }
}

function parse(file: string, text: string | undefined): Description {
  let cause: unknown
  try {
    const json: unknown = JSON.parse(text ?? 'null')
    const version: unknown = typeof json === 'object' && json !== null ? Reflect.get(json, 'version') : undefined
    if (typeof version === 'number' && version !== VERSION) throw otherVersion(file, version)
    return checkValue(description, json, 'it')
  } catch (error) {
    if (error instanceof TorchLearnerError) throw error
    cause = error
  }
  throw damaged(file, cause)
}

function otherVersion(file: string, version: number): TorchLearnerError {
  const which = version > VERSION ? 'a newer' : 'an older'
  return new TorchLearnerError(
    'ERR_FILE_FORMAT',
    `Expected a checkpoint of format ${VERSION} but ${file} has format ${version}, of ${which} torch-learner: continue ` +
      'with that release, or choose another fname. The file is left as it is',
  )
}

function damaged(file: string, cause?: unknown): TorchLearnerError {
  return new TorchLearnerError(
    'ERR_FILE_FORMAT',
    `Expected a checkpoint written by the Checkpoint callback but ${file} is something else, or damaged`,
    { cause },
  )
}
