import { type Batch, batches, type Learner } from '../../learner/index.js'
import { BatchNorm, keepModes } from '../../nn/index.js'
import { autocast, mark, noGrad, scope, type Tensor } from '../../tensor/index.js'

/** The batch norms that follow the batches' statistics now, by their names in the model. */
export function followingNorms({ model }: Learner): string[] {
  return normsOf(model, norm => norm.training).map(([name]) => name)
}

/**
 * Recomputes the statistics of batch norms, in one pass of the model over the training data as the loader gives them
 * (PyTorch's `torch.optim.swa_utils.update_bn`): means over all batches, each with the same weight. The rest of the
 * model is in training mode, so that dropout is at work as it was when the weights were trained.
 *
 * @param names of the batch norms to compute; others stay as they are
 * @returns false if the fit's signal ended the pass, which leaves statistics of some of the data
 */
export async function recomputeNorms(learn: Learner, names: readonly string[]): Promise<boolean> {
  const { model, dls, signal } = learn
  const [chosen, others] = [normsOf(model, (_, name) => names.includes(name)), normsOf(model)]
  const momenta = chosen.map(([, norm]) => norm.momentum)
  const restoreModes = keepModes(model)
  try {
    model.train()
    for (const [, norm] of others) norm.eval()
    for (const [, norm] of chosen) restart(norm.train())
    for await (const batch of batches(dls.train, signal ?? undefined)) await pass(learn, batch)
    return !signal?.aborted
  } finally {
    for (const [i, [, norm]] of chosen.entries()) norm.momentum = momenta[i]
    restoreModes()
  }
}

/** What batch norms measure: mean, variance and number of batches of each. */
export function statisticsOf(learn: Learner, names: readonly string[]): Tensor[] {
  return normsOf(learn.model, (_, name) => names.includes(name)).flatMap(([, norm]) => norm.buffers())
}

function normsOf(
  model: Learner['model'],
  fits: (norm: BatchNorm, name: string) => boolean = () => true,
): [string, BatchNorm][] {
  const norms: [string, BatchNorm][] = []
  for (const [name, module] of model.namedModules()) {
    if (module instanceof BatchNorm && module.trackRunningStats && fits(module, name)) norms.push([name, module])
  }
  return norms
}

/** The first batch's statistics replace what was there: without momentum they count for 1 / 1. */
function restart(norm: BatchNorm): void {
  norm.momentum = null
  norm.numBatchesTracked?.zero_()
}

/** One batch at a time: nothing piles up before the stream. */
async function pass(learn: Learner, batch: Batch): Promise<void> {
  const { autocast: dtype, model, dls } = learn
  try {
    scope(() => {
      learn.split(batch)
      const forward = () => model(...learn.xb)
      noGrad(() => void (dtype ? autocast({ dtype }, forward) : forward()))
    })
    await mark()
  } finally {
    learn.clearBatch()
    if (dls.train.fresh) for (const tensor of batch) tensor.dispose()
  }
}
