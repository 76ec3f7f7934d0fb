// The Learner's entry points leave nothing in native memory.
import test from 'ava'
import {
  CrossEntropyLossFlat,
  DataLoader,
  DataLoaders,
  F1Score,
  Learner,
  manualSeed,
  mark,
  memoryStats,
  nn,
  RocAuc,
  randint,
  randn,
  type Tensor,
  TensorDataset,
} from 'torch-learner'

manualSeed(1)
const set = new TensorDataset(randn([24, 2, 4, 4]), randint(0, 3, [24]))
const dls = new DataLoaders(new DataLoader(set, { bs: 8, shuffle: true }), new DataLoader(set, { bs: 8 }))
const layers = [new nn.Conv2d(2, 4, 3), new nn.BatchNorm2d(4), new nn.Flatten(), new nn.Linear(16, 3)]
const learn = new Learner(dls, new nn.Sequential(...layers), {
  lossFunc: new CrossEntropyLossFlat(),
  metrics: [new F1Score({ average: 'macro' }), RocAuc],
})
learn.removeCb(learn.cbs.filter(cb => cb.name === 'progress'))
learn.logger = () => undefined
const item = randn([2, 4, 4])

function free(...tensors: (Tensor | null | undefined)[]): void {
  for (const tensor of tensors) tensor?.dispose()
}

const entries: Record<string, () => Promise<void>> = {
  fit: () => learn.fit(1),
  validate: async () => void (await learn.validate()),
  fineTune: () => learn.fineTune(1),
  lrFind: async () => void (await learn.lrFind({ numIt: 6 })),
  summary: async () => void (await learn.summary()),
  predict: async () => {
    const { decoded, probs, input } = await learn.predict(item, { withInput: true })
    free(decoded, probs, input)
  },
  tta: async () => {
    const { preds, targs } = await learn.tta({ n: 2 })
    free(preds, targs)
  },
  getPreds: async () => {
    const { preds, targs, losses, decoded, inputs } = await learn.getPreds({
      withLoss: true,
      withDecoded: true,
      withInput: true,
    })
    free(preds, targs, losses, decoded, inputs)
  },
}

for (const [name, run] of Object.entries(entries)) {
  test.serial(name, async t => {
    await run()
    await run()
    await mark()
    const before = memoryStats().tensors
    for (let i = 0; i < 3; i++) await run()
    await mark()
    t.true(memoryStats().tensors <= before) // less: leftovers from before have been collected
  })
}
