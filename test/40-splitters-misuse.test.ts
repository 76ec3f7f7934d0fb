// Splitters, labellers and backward() with arguments that are none: one clear sentence each.
import test from 'ava'
import { GrandparentSplitter, parentLabel, RandomSplitter, RegexLabeller, tensor } from 'torch-learner'
import { coded } from './helpers/pictures.js'

const call = (run: (...args: never[]) => unknown, ...args: unknown[]) => Reflect.apply(run, undefined, args)
const junk = [null, 5, Symbol('s'), {}, '', ['a'], new Proxy({}, {}), () => 1]

test('splitters refuse what is no option, no name, no list and no path', async t => {
  for (const value of [null, 5, 'x', [1], Symbol('s'), { sead: 1 }, { seed: '1' }, { seed: null }]) {
    await coded(t, () => call(RandomSplitter, 0.2, value), 'ERR_INVALID_ARG', /RandomSplitter|seed/)
  }
  for (const value of junk.filter(one => typeof one !== 'string' || one === '')) {
    await coded(t, () => call(GrandparentSplitter, value), 'ERR_INVALID_ARG', /a folder's name for train/)
    await coded(t, () => call(GrandparentSplitter, 'train', value), 'ERR_INVALID_ARG', /a folder's name for valid/)
  }
  for (const split of [RandomSplitter(), RandomSplitter(0.2, { seed: 1 }), GrandparentSplitter()]) {
    for (const value of [undefined, null, 5, {}, 'abc', { length: 3 }]) {
      await coded(t, () => call(split, value), 'ERR_INVALID_ARG', /Expected an array for items/)
    }
  }
  for (const value of [null, 5, Symbol('s'), {}]) {
    await coded(
      t,
      () => call(GrandparentSplitter(), ['train/a/1.png', value]),
      'ERR_INVALID_ARG',
      /a path for paths\[1\]/,
    )
  }
})

test('labellers refuse what is no path and no expression', async t => {
  for (const value of [undefined, null, 5, Symbol('s'), {}, []]) {
    await coded(t, () => call(parentLabel, value), 'ERR_INVALID_ARG', /a path for path/)
    await coded(t, () => call(RegexLabeller(/(a)/), value), 'ERR_INVALID_ARG', /a path for path/)
    await coded(t, () => call(RegexLabeller, value), 'ERR_INVALID_ARG', /a regular expression for pattern/)
  }
  await coded(
    t,
    () => RegexLabeller(/x(.*)\.png/)('x.png'),
    'ERR_INVALID_ARG',
    /its first group must be the label, not empty/,
  )
})

test('backward() refuses unknown and wrong options', async t => {
  const leaf = tensor([1], { requiresGrad: true })
  for (const [options, message] of [
    [{ retain_graph: true }, /options of backward but received "retain_graph"/],
    [{ retainGraph: 1 }, /true or false for retainGraph/],
    [{ createGraph: null }, /true or false for createGraph/],
    [{ inputs: leaf }, /an array of tensors for inputs/],
    [{ inputs: [5] }, /an array of tensors for inputs/],
    [null, /options of backward/],
  ] as const) {
    await coded(t, () => Reflect.apply(leaf.backward, leaf.mul(2), [null, options]), 'ERR_INVALID_ARG', message)
  }
  const sum = leaf.mul(2).sum()
  sum.backward(null, { inputs: [leaf] })
  t.deepEqual(await leaf.grad?.toArray(), [2])
})
