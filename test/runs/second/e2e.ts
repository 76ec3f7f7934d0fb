// Whole trainings with other channels, classes, batches and epochs, accumulating over 10 samples instead of 12.
import { hostRandom, type MixRandom, manualSeed, randint, randn } from 'torch-learner'
import { extras, mixing, Net, observe, type Run, type Step } from '../../helpers/e2e.js'
import { golden } from '../../helpers/golden.js'
import { recordedBatches, recordedState, recordedTensor, write } from './write.js'

type Draws = Pick<Step, 'beta' | 'perm' | 'bbox_center'>

/** libtorch's draws, written down: one entry a mixed batch. */
function writtenDown(): { random: MixRandom; draws: Draws[] } {
  const draws: Draws[] = []
  const centres: number[] = []
  const random: MixRandom = {
    beta(alpha, n) {
      const drawn = hostRandom.beta(alpha, n)
      draws.push({ beta: { shape: [n], dtype: 'float32', data: Array.from(drawn) }, perm: null, bbox_center: null })
      return drawn
    },
    permutation(n) {
      const drawn = hostRandom.permutation(n)
      const last = draws.at(-1)
      if (last) last.perm = { shape: [n], dtype: 'int64', data: Array.from(drawn) }
      return drawn
    },
    integer(maxExclusive) {
      const drawn = hostRandom.integer(maxExclusive)
      const last = draws.at(-1)
      if (centres.push(drawn) % 2 === 0 && last) last.bbox_center = [centres.at(-2) ?? 0, drawn]
      return drawn
    },
  }
  return { random, draws }
}

async function trained(recorded: Run, isExtra: boolean): Promise<Run> {
  const [ch, c, inputs] = [3, 7, 2]
  const batch = (bs: number) => [randn([bs, inputs, 6, 6]), randint(0, c, [bs])]
  const sized: Run = {
    ...recorded,
    ...{ ch, c, n_epoch: recorded.n_epoch + 1, steps: [], epochs: [] },
    init: await recordedState(new Net(inputs, ch, c)),
    train: await recordedBatches([batch(5), batch(5), batch(5)]),
    valid: await recordedBatches([batch(4)]),
    extra_callbacks:
      recorded.extra_callbacks?.map(call =>
        call
          .replace('n_acc=12', 'n_acc=10')
          .replace('max_norm=0.1', 'max_norm=0.3')
          .replace('fine_tune(1, base_lr=1e-2', 'fine_tune(2, base_lr=2e-2'),
      ) ?? null,
  }
  const { random, draws } = writtenDown()
  const { cbs = [], ...rest } = isExtra ? extras(sized) : {}
  const { learn, seen } = await observe(sized, { cbs: [...mixing(sized, random), ...cbs], ...rest })
  const { losses, values } = learn.recorder
  const unrecorded = seen.length - losses.length // of a fit before the last one, which the recorder has forgotten
  const { preds } = await learn.getPreds()
  return {
    ...sized,
    steps: seen.map(({ pred, loss, lr, norms }, k) => ({
      ...(draws[k] ?? { beta: null, perm: null, bbox_center: null }),
      ...{ lr, mom: [], lam: null, loss, smooth_loss: losses[k - unrecorded] ?? 0, grad_norms: norms },
      pred: { shape: [pred.length], dtype: 'float32', data: pred },
    })),
    epochs: values.map(row => Object.fromEntries(row.map((value, i) => [String(i), Number(value)]))),
    final: await recordedState(learn.model),
    final_valid_preds: await recordedTensor(preds.narrow(0, 0, 2)),
  }
}

export async function e2e(folder: string): Promise<void> {
  manualSeed(11)
  for (const name of ['e2e_plain', 'e2e_mixup', 'e2e_cutmix', 'e2e_extras']) {
    const first = golden<{ runs: Run[] }>(name)
    const runs: Run[] = []
    for (const run of first.runs.filter(({ loss }) => loss !== 'bce'))
      runs.push(await trained(run, name === 'e2e_extras'))
    write(folder, name, { ...first, runs })
  }
}
