// Pictures of mixed batches.
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  CrossEntropyLossFlat,
  CutMix,
  DataLoader,
  DataLoaders,
  FMix,
  hostRandom,
  Learner,
  MixChoice,
  MixUp,
  manualSeed,
  nn,
  ResizeMix,
  rand,
  randint,
  showMixed,
  TensorDataset,
} from 'torch-learner'

const folder = mkdtempSync(join(tmpdir(), 'mixed-'))
const vocab = ['cat', 'dog', 'owl']

function makeDls() {
  const data = new TensorDataset(rand([12, 3, 16, 16]), randint(0, 3, [12]))
  return new DataLoaders(new DataLoader(data, { bs: 8, shuffle: true }), undefined, { vocab })
}

test.serial('both labels and lambda above each picture; random numbers go on as if nothing had been', async t => {
  manualSeed(1)
  const dls = makeDls()
  const both = />(\d+) % (cat|dog|owl)/g
  for (const callback of [
    new MixUp(1),
    new CutMix({ minmax: [0.3, 0.5] }),
    new ResizeMix({ mode: 'elem' }),
    new FMix(5),
    new MixChoice([new MixUp(1), new CutMix(1)]),
  ]) {
    manualSeed(4)
    const expected = hostRandom.integer(1e9)
    manualSeed(4)
    const file = join(folder, `${callback.name}.svg`)
    t.is(await showMixed(dls, callback, { file, rows: 2, cols: 3 }), file)
    const svg = readFileSync(file, 'utf8')
    t.is(svg.match(/<image/g)?.length, 6)
    const shares = Array.from(svg.matchAll(both), match => Number(match[1]))
    t.true(shares.length >= 2 && shares.length % 2 === 0, String(shares))
    for (let i = 0; i < shares.length; i += 2)
      t.true(Math.abs((shares[i] as number) + (shares[i + 1] as number) - 100) < 1e-9)
    t.is(hostRandom.integer(1e9), expected)
  }
})

test.serial('of a Learner, whose loss and callbacks stay', async t => {
  const cutmix = new CutMix(1)
  const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(768, 3))
  const lossFunc = new CrossEntropyLossFlat()
  const learn = new Learner(makeDls(), model, { lossFunc, cbs: cutmix, defaultCbs: false })
  await showMixed(learn, cutmix, { file: join(folder, 'learn.png') })
  t.is(cutmix.learn, learn)
  t.is(learn.lossFunc, lossFunc)
  learn.training = true
  await learn.fit(1)
  const off = new MixUp({ alpha: pct => (pct < 0.5 ? 0 : 1) })
  for (const [pct, parts] of [
    [0, 0],
    [1, 16],
  ] as const) {
    const svg = readFileSync(await showMixed(learn, off, { file: join(folder, 'off.svg'), pct }), 'utf8')
    t.is(svg.match(/\d+ % (cat|dog|owl)/g)?.length ?? 0, parts)
  }
})

test.serial('several callbacks: a row each, of the same pictures', async t => {
  manualSeed(2)
  const mixers = [new MixUp(1), new CutMix(1), new MixChoice([new FMix(1), new ResizeMix()])]
  const file = await showMixed(makeDls(), mixers, { file: join(folder, 'rows.svg'), cols: 4 })
  const svg = readFileSync(file, 'utf8')
  t.is(svg.match(/<image/g)?.length, 12)
  t.deepEqual(
    [...svg.matchAll(/font-weight="bold"[^>]*>([^<]*)</g)].map(([, text]) => text),
    ['MixUp', 'CutMix', 'MixChoice'],
  )
  const own = [...svg.matchAll(/>(?:\d+ % )?(cat|dog|owl)</g)].map(([, text]) => text)
  t.true(own.length >= 12)
})

test('what it can’t show', async t => {
  const code = 'ERR_INVALID_ARG'
  const call = (...args: unknown[]) => Reflect.apply(showMixed, null, args) as Promise<string>
  await t.throwsAsync(call({}, new MixUp()), { code, message: /a Learner or DataLoaders for from/ })
  await t.throwsAsync(call(makeDls(), 3), { code, message: /a callback that mixes/ })
  await t.throwsAsync(call(makeDls(), new MixUp(), { rows: 0 }), { code, message: /showMixed's rows/ })
  await t.throwsAsync(call(makeDls(), []), { code, message: /several in an array/ })
  await t.throwsAsync(call(makeDls(), [new MixUp()], { rows: 2 }), { code, message: /which get a row each/ })
  const rows = new DataLoaders([[rand([4, 5]), randint(0, 2, [4])]])
  await t.throwsAsync(showMixed(rows, new MixUp(), { file: join(folder, 'no.png') }), {
    code,
    message: /pictures of shape/,
  })
})
