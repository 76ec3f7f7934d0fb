import { TorchLearnerError } from '../../check/index.js'
import type { Learner } from '../../learner/index.js'
import type { Module } from '../../nn/index.js'
import type { Tensor } from '../../tensor/index.js'
import type { Plan } from './checkpoint-file.js'

/** The fit that is about to begin. */
export function planOf({ nEpoch, dls: { train, valid } }: Learner): Plan {
  return {
    epochs: nEpoch,
    batches: train.length,
    validBatches: valid?.length ?? 0,
    samples: numberOf(train, 'n'),
    bs: numberOf(train, 'bs'),
  }
}

function numberOf(loader: object, name: string): number | null {
  const value: unknown = Reflect.get(loader, name)
  return typeof value === 'number' ? value : null
}

const WORDS: Readonly<Record<keyof Plan, string>> = {
  epochs: 'epochs',
  batches: 'training batches an epoch',
  validBatches: 'validation batches',
  samples: 'training samples',
  bs: 'samples a batch',
}

/** Complains if a checkpoint is of a fit of other length or other data. */
export function checkPlan(file: string, saved: Plan, here: Plan): void {
  const names = Object.keys(WORDS) as (keyof Plan)[]
  const differing = names.filter(name => saved[name] !== here[name])
  if (differing.length === 0) return
  const tell = (plan: Plan) =>
    differing.map(name => `${plan[name] ?? 'an unknown number of'} ${WORDS[name]}`).join(', ')
  throw changed(`Expected the checkpoint of a fit of ${tell(here)} but ${file} is of one of ${tell(saved)}`)
}

/** Complains if callbacks with a state have come or gone. */
export function checkCallbacks(file: string, saved: readonly string[], here: readonly string[]): void {
  const gone = saved.filter(name => !here.includes(name))
  const added = here.filter(name => !saved.includes(name))
  const complaints = [
    ...(gone.length > 0 ? [`has the state of ${gone.join(', ')}, which this fit is without`] : []),
    ...(added.length > 0 ? [`has no state of ${added.join(', ')}`] : []),
  ]
  if (complaints.length > 0) {
    throw changed(`Expected the checkpoint of a fit with the same callbacks but ${file} ${complaints.join(' and ')}`)
  }
}

/** Complains if a checkpoint is of an optimizer of another class. */
export function checkOptimizer(file: string, saved: string, here: string): void {
  if (saved !== here) throw changed(`Expected the checkpoint of a fit with ${here} but ${file} is of one with ${saved}`)
}

/** Complains if a checkpoint is of another model. */
export function checkModel(file: string, model: Module, saved: ReadonlyMap<string, Tensor>): void {
  const here = model.stateDict()
  const differing = [...new Set([...here.keys(), ...saved.keys()])].filter(
    name => tell(here.get(name)) !== tell(saved.get(name)),
  )
  if (differing.length === 0) return
  const [first] = differing
  const more = differing.length > 1 ? ` (and ${differing.length - 1} more)` : ''
  throw changed(
    `Expected the checkpoint of this model but ${file} has ${tell(saved.get(first))} for ${first}, where the model has ` +
      `${tell(here.get(first))}${more}`,
  )
}

function tell(tensor: Tensor | undefined): string {
  return tensor ? `${tensor.dtype} [${tensor.shape.join(', ')}]` : 'nothing'
}

function changed(complaint: string): TorchLearnerError {
  return new TorchLearnerError('ERR_STATE', `${complaint}: continue with the same script, or choose another fname`)
}
