// Pictures of other sizes and classes, and short trainings of a real ResNet-18 with other batches, classes and epochs.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import {
  type DType,
  getImageFiles,
  hostRandom,
  ImageDataLoaders,
  imagenetStats,
  manualSeed,
  Normalize,
  noGrad,
  rand,
  type Tensor,
} from 'torch-learner'
import { observeResnet, type ResnetRecording, type ResnetRun } from '../../helpers/e2e-resnet.js'
import { type Fixture, golden } from '../../helpers/golden.js'
import { picture, writeFiles } from '../../helpers/pictures.js'
import { recordedTensor, write } from './write.js'

const whole = (data: number[]): Fixture => ({ shape: [data.length], dtype: 'int64', data })

/** Four classes in 17 files; a batch of 5 pictures of 6 x 9. */
export async function imageLoaders(folder: string): Promise<void> {
  manualSeed(29)
  const names = ['ant', 'Bee', 'cow', 'Dog'].flatMap((label, k) =>
    Array.from({ length: k + 3 }, (_, i) => `${label}_${3 * i + k}.png`),
  )
  const pictures = await mkdtemp(join(tmpdir(), 'torch-learner-pictures-'))
  const png = await picture(4, 4).png().toBuffer()
  await writeFiles(pictures, Object.fromEntries(names.map(name => [name, png])))
  const files = await getImageFiles(pictures)
  const dls = await ImageDataLoaders.fromNameRe(pictures, files, /^(.*)_\d+.png$/, { validPct: 0.3, seed: 42, bs: 3 })
  const labels: number[] = []
  for await (const [, y] of dls.valid ?? []) labels.push(...Array.from(await y.data(), Number))
  const [train, valid] = dls.loaders
  const { vocab = [] } = dls
  await rm(pictures, { recursive: true })

  const x = rand([5, 3, 6, 9])
  const normalize = Normalize.fromStats(imagenetStats)
  const normalised = normalize.encodes(x, 'cpu')
  const shown = normalize.decodes(normalised, 'cpu').mul(255).trunc().to({ dtype: 'int64' })
  const decoded_show_batch: object[] = []
  for (let i = 0; i < 5; i++) decoded_show_batch.push({ img: await recordedTensor(shown.select(0, i)) })
  write(folder, 'image_dls', {
    ...golden<object>('image_dls'),
    sorted_names: files.map(file => basename(file)),
    vocab,
    ...{ n_train: train.n, n_valid: valid.n, valid_bs: 3 },
    valid_labels: labels.map(label => vocab[label]),
    valid_batch: { x: await recordedTensor(x) },
    valid_batch_normalized_x: await recordedTensor(normalised),
    decoded_show_batch,
  })
}

/** Random choices for one step. */
function drawn(
  { kind, bs, size }: ResnetRun,
  dtype: DType,
): Pick<ResnetRun['steps'][0], 'beta' | 'perm' | 'lam'> & {
  bbox_center: [number, number] | null
} {
  if (kind === 'none') return { beta: null, perm: null, lam: null, bbox_center: null }
  const [alpha, n] = kind === 'mixup' ? [0.4, bs] : [1, 1]
  const beta = Array.from(hostRandom.beta(alpha, n))
  const lam = beta.map(share => Math.max(share, 1 - share))
  return {
    beta: { shape: [n], dtype: 'float32', data: beta },
    perm: whole(Array.from(hostRandom.permutation(bs))),
    lam: kind === 'mixup' ? { shape: [n], dtype, data: lam } : null,
    bbox_center: kind === 'cutmix' ? [hostRandom.integer(size), hostRandom.integer(size)] : null,
  }
}

async function trained(recorded: ResnetRun, dtype: DType): Promise<ResnetRun> {
  const [bs, n_out, size, batches, n_epoch] = [3, 5, 40, 2, 3]
  const labels = (k: number) => whole(Array.from({ length: bs }, (_, i) => (2 * i + k) % n_out))
  const sized: ResnetRun = {
    ...recorded,
    ...{ bs, n_out, size, n_epoch, epochs: [] },
    train_x_salts: Array.from({ length: batches }, (_, i) => 500 + i),
    train_y: Array.from({ length: batches }, (_, i) => labels(i)),
    valid_y: labels(batches),
    steps: [],
  }
  const unknown = {
    lr: [],
    mom: [],
    pred: whole([]),
    loss: 0,
    smooth_loss: 0,
    grad_norms: {},
    pred_first_row: whole([]),
  }
  const steps = Array.from({ length: batches * n_epoch }, () => ({ ...unknown, ...drawn(sized, dtype) }))
  const { learn, seen } = await observeResnet({ ...sized, steps }, dtype)
  const wide = (x: Tensor) => noGrad(() => x.detach().to({ dtype: 'float64' }))
  const final_param_norms: Record<string, number> = {}
  for (const [name, x] of learn.model.namedParameters()) final_param_norms[name] = await wide(x).norm().item()
  const final_bn: ResnetRun['final_bn'] = {}
  for (const [name, mean] of learn.model.stateDict()) {
    const [, layer] = /^(.*)\.running_mean$/.exec(name) ?? []
    const variance = learn.model.stateDict().get(`${layer}.running_var`)
    if (layer === undefined || !variance) continue
    final_bn[layer] = { mean_sum: await wide(mean).sum().item(), var_sum: await wide(variance).sum().item() }
  }
  return {
    ...sized,
    ...{ final_param_norms, final_bn },
    steps: steps.map((step, k) => {
      const { first, lr, mom, loss } = seen[k]
      return { ...step, lr, mom, loss, pred_first_row: { shape: [first.length], dtype, data: first } }
    }),
    epochs: learn.recorder.values.map(([train_loss, valid_loss, error_rate]) => ({
      train_loss: Number(train_loss),
      valid_loss: Number(valid_loss),
      error_rate: Number(error_rate),
    })),
  }
}

export async function resnetTraining(folder: string): Promise<void> {
  manualSeed(31)
  for (const name of ['e2e_resnet18', 'e2e_resnet18_f64']) {
    const first = golden<ResnetRecording>(name)
    const runs: ResnetRun[] = []
    for (const run of first.runs) runs.push(await trained(run, first.dtype ?? 'float32'))
    write(folder, name, { ...first, runs })
  }
}
