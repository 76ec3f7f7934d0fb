import { createHash } from 'node:crypto'
import { TorchLearnerError } from '../../check/index.js'
import { type Batch, type BatchLoader, type Learner, runState } from '../../learner/index.js'
import { rng, type Tensor } from '../../tensor/index.js'

/** Where all sources of random numbers stand that a fit draws from. */
export interface RandomState {
  /** libtorch's generators, by device. */
  generators: Map<string, Tensor>
  /** What the loaders' `getState` gave; `null` for loaders without it. */
  loaders: { train: unknown; valid: unknown }
}

/** Waits for queued draws. The tensors belong to the caller. */
export async function captureRandom(learn: Learner): Promise<RandomState> {
  await rng.ready()
  const generators = runState.generators.read(learn)
  for (const state of generators.values()) state.keep()
  return { generators, loaders: runState.loaders.read(learn) }
}

/** Puts back what {@link captureRandom} gave. */
export function restoreRandom(learn: Learner, { generators, loaders }: RandomState): void {
  const { train, valid } = learn.dls
  checkLoader('training', train, loaders.train)
  if (valid) checkLoader('validation', valid, loaders.valid)
  runState.generators.write(learn, generators)
  runState.loaders.write(learn, loaders)
}

function checkLoader(which: string, loader: BatchLoader, state: unknown): void {
  if (state === null ? !loader.getState : loader.setState) return
  const found = state === null ? 'none' : 'one, which this loader has no setState for'
  throw new TorchLearnerError('ERR_STATE', `Expected the state of the ${which} loader but the checkpoint has ${found}`)
}

/** Frees the tensors. */
export function disposeRandom(state: RandomState | null): void {
  for (const tensor of state?.generators.values() ?? []) tensor.dispose()
}

/**
 * A fingerprint of a batch's last tensor, its target: by it a loader that keeps no state is found out when it gives
 * other batches the second time. `null` for loaders that keep one, unless they only pass on what comes.
 */
export async function fingerprint(loader: BatchLoader, batch: Batch): Promise<string | null> {
  const target = batch.at(-1)
  if ((loader.getState && !loader.sequential) || !target) return null
  const { buffer, byteOffset, byteLength } = await target.detach().data()
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex')
}
