// What callbacks that watch a metric decide, for values given epoch by epoch.
import {
  Callback,
  EarlyStopping,
  type EarlyStoppingOptions,
  Metric,
  ReduceLROnPlateau,
  type ReduceLROnPlateauOptions,
  SaveModel,
  type SaveModelOptions,
} from 'torch-learner'
import { tinyLearner } from './learning.js'

export interface TrackerCase {
  callback: string
  monitor: string
  values: number[]
  /** Each epoch that began, and its learning rate. */
  epochs_started_with_lr: [number, number][]
  /** File, epoch, whether with the optimizer. */
  saved: [string, number, boolean][]
}

/** Has the values that it was given, epoch by epoch. */
export class Scripted extends Metric {
  #epoch = -1
  constructor(
    readonly name: string,
    readonly values: readonly (number | null)[],
  ) {
    super()
  }
  reset(): void {
    this.#epoch += 1
  }
  accumulate(): void {
    // there is nothing to take in
  }
  value(): Promise<number | null> {
    return Promise.resolve(this.values[this.#epoch] ?? null)
  }
}

/** The recorded call of a constructor, `Name(some_option=1)`. */
function construct(text: string, monitor: string): Callback {
  const [, name = '', args = ''] = /^(\w+)\((.*)\)$/.exec(text) ?? []
  const options: Record<string, unknown> = { monitor }
  for (const [, key = '', value = ''] of args.matchAll(/(\w+)=([^,]+)/g)) {
    options[key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())] = Number(value)
  }
  if (name === 'EarlyStopping') return new EarlyStopping(options as EarlyStoppingOptions)
  if (name === 'ReduceLROnPlateau') return new ReduceLROnPlateau(options as ReduceLROnPlateauOptions)
  return new SaveModel({ ...(options as SaveModelOptions), fname: 'trk' })
}

/** Fits as many epochs as there are values. */
export async function decisions(
  { callback, monitor, values }: Pick<TrackerCase, 'callback' | 'monitor' | 'values'>,
  lr: number,
): Promise<Pick<TrackerCase, 'epochs_started_with_lr' | 'saved'>> {
  const learn = tinyLearner({ metrics: new Scripted(monitor, values), batches: [1, 1] })
  const started: [number, number][] = []
  const saved: [string, number, boolean][] = []
  learn.save = async (name, { withOpt = true } = {}) => {
    saved.push([name, learn.epoch ?? -1, withOpt])
    return name
  }
  learn.load = async () => learn
  const watch = new Callback({
    beforeTrain: () => void started.push([learn.epoch ?? -1, learn.opt?.paramGroups[0]?.lr ?? 0]),
  })
  await learn.fit(values.length, { lr, cbs: [construct(callback, monitor), watch] })
  return { epochs_started_with_lr: started, saved }
}
