import { access, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import type { Callback } from '../learner/callback.js'
import type { Learner } from '../learner/learner.js'
import { describeOptimizer, optimizerState, optimizerTensors } from '../learner/save.js'
import { TorchLearnerError } from '../native/index.js'
import { readSafetensors, saveSafetensors } from '../nn/safetensors.js'
import { noGrad, rng, type Tensor } from '../tensor/index.js'

/** Where a fit stands: `batch` batches of `epoch` are done. */
export interface Position {
  epoch: number
  batch: number
  nEpoch: number
  nIter: number
}

const whole = z.int().min(0)
const description = z.strictObject({
  version: z.literal(1),
  position: z.strictObject({ epoch: whole, batch: whole, nEpoch: whole, nIter: whole }),
  loop: z.strictObject({ trainIter: whole, pctTrain: z.number(), smoothLoss: z.number().nullable() }),
  optimizer: z.string().nullable(),
  callbacks: z.record(z.string(), z.record(z.string(), z.unknown())),
})

type Description = z.output<typeof description>

/** A checkpoint that has been read. */
export interface Restorable {
  readonly position: Position
  /** libtorch's CPU generator then, and at the beginning of the epoch. */
  readonly rng: Tensor
  readonly epochRng: Tensor | null
  restore(learn: Learner): Promise<void>
  dispose(): void
}

/** A name for each callback that has a state: its own, with a number if another one has it too. */
function* stateful(learn: Learner): Generator<[string, Callback]> {
  const seen = new Map<string, number>()
  for (const callback of learn.cbs) {
    const nth = seen.get(callback.name) ?? 0
    seen.set(callback.name, nth + 1)
    if (callback.saveState) yield [nth === 0 ? callback.name : `${callback.name}:${nth}`, callback]
  }
}

/** Writes everything that a fit needs to go on. */
export async function saveCheckpoint(
  file: string,
  learn: Learner,
  position: Position,
  epochRng: Tensor | null,
): Promise<void> {
  const { trainIter, pctTrain, smoothLoss, opt } = learn
  const tensors = new Map<string, Tensor>()
  for (const [name, tensor] of learn.model.stateDict()) tensors.set(`model/${name}`, tensor)
  for (const [name, { grad }] of learn.model.namedParameters()) if (grad) tensors.set(`grad/${name}`, grad)
  const state = opt?.stateDict()
  for (const [name, tensor] of state ? optimizerTensors(state) : []) tensors.set(name, tensor)
  tensors.set('rng/now', rng.getState())
  if (epochRng) tensors.set('rng/epoch', epochRng)
  const callbacks: Description['callbacks'] = {}
  for (const [name, callback] of stateful(learn)) {
    const { values = {}, tensors: own = {} } = callback.saveState?.() ?? {}
    callbacks[name] = values
    for (const [key, tensor] of Object.entries(own)) tensors.set(`callback/${name}/${key}`, tensor)
  }
  const finite = smoothLoss !== null && Number.isFinite(smoothLoss) ? smoothLoss : null
  const told: Description = {
    version: 1,
    position,
    loop: { trainIter, pctTrain, smoothLoss: finite },
    optimizer: state ? describeOptimizer(state) : null,
    callbacks,
  }
  await saveSafetensors(file, tensors, { metadata: { checkpoint: JSON.stringify(told) } })
}

/** The checkpoint in a file, `null` if there is no file. */
export async function readCheckpoint(file: string): Promise<Restorable | null> {
  if (!(await exists(file))) return null
  const { tensors, metadata } = await readSafetensors(file)
  for (const tensor of tensors.values()) tensor.keep()
  const told = parse(file, metadata.checkpoint)
  const part = (prefix: string) =>
    new Map([...tensors].filter(([name]) => name.startsWith(prefix)).map(([name, t]) => [name.slice(prefix.length), t]))
  const now = tensors.get('rng/now')
  if (!now) throw damaged(file)
  return {
    position: told.position,
    rng: now,
    epochRng: tensors.get('rng/epoch') ?? null,
    async restore(learn) {
      learn.model.loadStateDict(part('model/'))
      const gradients = part('grad/')
      for (const [name, parameter] of learn.model.namedParameters()) {
        const saved = gradients.get(name)
        // in the parameter's layout, as a backward pass would have left it
        parameter.grad = saved ? noGrad(() => parameter.detach().emptyLike().copy_(saved)).keep() : null
      }
      if (told.optimizer !== null) {
        const moments = new Map([...tensors].filter(([name]) => name.startsWith('optimizer/')))
        const opt = learn.opt ?? learn.createOpt()
        opt.loadStateDict(optimizerState(file, told.optimizer, moments))
      }
      Object.assign(learn, told.loop)
      for (const [name, callback] of stateful(learn)) {
        const values = told.callbacks[name]
        const own = Object.fromEntries(part(`callback/${name}/`))
        if (values) await callback.loadState?.({ values, tensors: own })
      }
    },
    dispose() {
      for (const tensor of tensors.values()) tensor.dispose()
    },
  }
}

function parse(file: string, text: string | undefined): Description {
  let cause: unknown
  try {
    const parsed = description.safeParse(JSON.parse(text ?? 'null'))
    if (parsed.success) return parsed.data
    cause = parsed.error
  } catch (error) {
    cause = error
  }
  throw damaged(file, cause)
}

function damaged(file: string, cause?: unknown): TorchLearnerError {
  return new TorchLearnerError(
    'ERR_FILE_FORMAT',
    `Expected a checkpoint written by the Checkpoint callback but ${file} is something else, or of another version`,
    { cause },
  )
}

/** Removes what a process that died in the middle of a write has left. */
export async function removeLeftovers(file: string): Promise<void> {
  const folder = dirname(file)
  if (!(await exists(folder))) return
  const left = (await readdir(folder)).filter(name => name.startsWith(`${basename(file)}.`) && name.endsWith('.tmp'))
  for (const name of left) await rm(join(folder, name), { force: true })
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
