// One small fit, the same in every case of the drill: its loss must be the same, too. Prints it as JSON.
export async function train(torch, started) {
  const loaded = performance.now()
  const { DataLoader, DataLoaders, Learner, MixUp, nn, TensorDataset, CrossEntropyLossFlat } = torch
  torch.setNumThreads(1)
  torch.manualSeed(0)
  const set = new TensorDataset(torch.randn([64, 3, 16, 16]), torch.randint(0, 4, [64]))
  const dls = new DataLoaders(new DataLoader(set, { bs: 16 }), new DataLoader(set, { bs: 32 }))
  const model = new nn.Sequential(
    new nn.Conv2d(3, 8, 3, { padding: 1 }),
    new nn.ReLU(),
    new nn.Flatten(),
    new nn.Linear(8 * 16 * 16, 4),
  )
  const learn = new Learner(dls, model, { lossFunc: new CrossEntropyLossFlat() })
  await learn.fit(1, { lr: 1e-3, cbs: [new MixUp(0.4)] })
  const loss = learn.recorder.values.at(-1)[1]
  return { import: Math.round(loaded - started), loss: Number(loss.toFixed(5)) }
}

export const tell = result => console.log(`DRILL ${JSON.stringify(result)}`)
