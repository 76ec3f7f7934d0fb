import { inspect } from 'node:util'
import test from 'ava'
import { arange, manualSeed, nn, ones, rand, randn, type Tensor, tensor, zeros } from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'

const invalid = { code: 'ERR_INVALID_ARG' }
// Whether a CPU multiplies and adds in one instruction, and its logarithms, show in the last bit.
const lastBit = { atol: 3e-8, rtol: 3e-7 }
const read = async (x: Tensor) => [...((await x.to({ dtype: 'float64' }).data()) as Float64Array)]

test.serial('a new Linear holds what PyTorch draws: evenly from ±1/√in, weight before bias', async t => {
  manualSeed(7)
  const { weight, bias } = new nn.Linear(6, 4)
  manualSeed(7)
  const bound = 1 / Math.sqrt(6)
  const expected = [await read(rand([4, 6])), await read(rand([4]))].map(list => list.map(u => u * 2 * bound - bound))
  assertNumbers(t, await read(weight), expected[0], { atol: 1e-7 })
  assertNumbers(t, bias === null ? [] : await read(bias), expected[1], { atol: 1e-7 })
})

test.serial('a new Conv2d holds what PyTorch draws: the bound is of inputs times taps, within a group', async t => {
  manualSeed(8)
  const { weight } = new nn.Conv2d(8, 4, [3, 1], { groups: 2 })
  t.deepEqual(weight.shape, [4, 4, 3, 1])
  manualSeed(8)
  const bound = 1 / Math.sqrt(12)
  const expected = (await read(rand([4, 4, 3, 1]))).map(u => u * 2 * bound - bound)
  assertNumbers(t, await read(weight), expected, { atol: 1e-7 })
})

test.serial('initial weights are those of PyTorch 2.13 with the same seed', async t => {
  // sums of the float32 values in float64, and first values, from PyTorch itself
  manualSeed(42)
  const layers = [new nn.Conv2d(3, 8, 3), new nn.BatchNorm2d(8), new nn.Linear(10, 5)]
  const net = new nn.Sequential(...layers, new nn.Conv2d(8, 4, [3, 1], { groups: 2 }))
  const expected: Record<string, [number, number]> = {
    '0.weight': [-1.3686804887256585, 0.14713551104068756],
    '0.bias': [-0.12586553022265434, 0.02783934772014618],
    '1.weight': [8, 1],
    '1.bias': [0, 0],
    '1.running_mean': [0, 0],
    '1.running_var': [8, 1],
    '1.num_batches_tracked': [0, 0],
    '2.weight': [-1.31915772263892, -0.31458473205566406],
    '2.bias': [0.21043141186237335, 0.29905861616134644],
    '3.weight': [-1.6823920281603932, -0.2873208820819855],
    '3.bias': [-0.38420838862657547, -0.28488704562187195],
  }
  const state = net.stateDict()
  t.deepEqual([...state.keys()], Object.keys(expected))
  for (const [name, value] of state) {
    const numbers = await read(value)
    assertNumbers(t, [numbers[0]], [expected[name][1]], lastBit, name)
    const sum = numbers.reduce((total, x) => total + x, 0)
    t.true(Math.abs(sum - expected[name][0]) <= 3e-8 * numbers.length, name)
  }
})

test.serial('nn.init fills as PyTorch 2.13 does', async t => {
  manualSeed(1)
  const { init } = nn
  const w = zeros([6, 4, 3, 3])
  const first = async (filled: Tensor, expected: number) => {
    assertNumbers(t, [(await read(filled))[0]], [expected], lastBit)
  }
  await first(init.kaimingNormal_(w, { mode: 'fan_out', nonlinearity: 'relu' }), -0.29360106587409973)
  await first(init.kaimingUniform_(w, { a: 0.5 }), 0.3595290780067444)
  await first(init.xavierUniform_(w, 2), -0.25553053617477417)
  await first(init.xavierNormal_(w), 0.2799924910068512)
  await first(init.normal_(w, 1, 2), 2.1861610412597656)
  await first(init.uniform_(w, -1, 3), -0.3908812999725342)
  await first(init.constant_(w, 0.5), 0.5)
  await first(init.ones_(w), 1)
  await first(init.zeros_(w), 0)
  t.throws(() => init.kaimingUniform_(zeros([3])), invalid)
  t.throws(() => Reflect.apply(init.kaimingUniform_, null, [w, { nonlinearity: 'sine' }]), invalid)
  t.throws(() => Reflect.apply(init.normal_, null, [[1, 2]]), invalid)
})

test('BatchNorm normalises by the batch in training and by its running statistics after', async t => {
  const norm = new nn.BatchNorm1d(2, { momentum: 0.25 })
  const x = tensor([
    [1, 10],
    [3, 30],
    [5, 50],
    [7, 70],
  ])
  const y = await read(norm(x))
  const std = Math.sqrt(5 + 1e-5)
  assertNumbers(t, [y[0], y[2], y[4], y[6]], [-3 / std, -1 / std, 1 / std, 3 / std], { atol: 1e-6 })
  t.is(await norm.num_batches_tracked?.item(), 1)
  // unbiased variance: 20/3 and 2000/3
  assertNumbers(t, await read(norm.running_mean ?? x), [1, 10], { atol: 1e-6 })
  assertNumbers(t, await read(norm.running_var ?? x), [0.75 + 20 / 12, 0.75 + 2000 / 12], { rtol: 1e-6 })
  norm.eval()
  const z = await read(norm(x))
  t.is(await norm.num_batches_tracked?.item(), 1)
  assertNumbers(t, [z[0]], [(1 - 1) / Math.sqrt(0.75 + 20 / 12 + 1e-5)], { atol: 1e-6 })
})

test('BatchNorm without momentum averages over all batches', async t => {
  const norm = new nn.BatchNorm1d(1, { momentum: null, affine: false })
  for (const mean of [0, 3, 6]) norm(tensor([[mean - 1], [mean + 1]]))
  assertNumbers(t, await read(norm.running_mean ?? zeros([1])), [3], { atol: 1e-6 })
  t.is(norm.weight, null)
})

test('BatchNorm without statistics always uses the batch', async t => {
  const norm = new nn.BatchNorm2d(1, { trackRunningStats: false }).eval()
  t.deepEqual([...norm.stateDict().keys()], ['weight', 'bias'])
  const y = await read(norm(tensor([[[[1, 3]]]])))
  assertNumbers(t, y, [-1, 1], { atol: 1e-4 })
})

test('BatchNorm refuses a batch of one value a channel, and inputs of other dimensions', async t => {
  const norm = new nn.BatchNorm1d(3)
  const failed = { code: 'ERR_OP_FAILED', message: /more than one value per channel/ }
  await t.throwsAsync(norm(randn([1, 3])).data(), failed)
  await t.throwsAsync(norm(randn([2, 3, 4, 4])).data(), { code: 'ERR_OP_FAILED', message: /dimensions/ })
  await t.throwsAsync(new nn.BatchNorm2d(3)(randn([2, 3])).data(), { code: 'ERR_OP_FAILED', message: /dimensions/ })
  t.is(await norm.num_batches_tracked?.item(), 0)
  t.deepEqual(await read(norm.running_mean ?? zeros([3])), [0, 0, 0])
  t.deepEqual(norm.eval()(randn([1, 3])).shape, [1, 3])
})

test('pooling layers', async t => {
  const x = arange(16, { dtype: 'float32' }).view([1, 1, 4, 4])
  t.deepEqual(await read(new nn.MaxPool2d(2)(x)), [5, 7, 13, 15])
  t.deepEqual(await read(new nn.MaxPool2d(3, { stride: 2, padding: 1 })(x)), [5, 7, 13, 15])
  t.deepEqual(await read(new nn.AvgPool2d(2)(x)), [2.5, 4.5, 10.5, 12.5])
  t.deepEqual(await read(new nn.AdaptiveAvgPool2d(1)(x)), [7.5])
  t.deepEqual(await read(new nn.AdaptiveAvgPool2d([1, 2])(x)), [6.5, 8.5])
  t.deepEqual(await read(new nn.AdaptiveMaxPool2d(2)(x)), [5, 7, 13, 15])
  const ceil = new nn.MaxPool2d(3, { ceilMode: true })(x)
  t.deepEqual(ceil.shape, [1, 1, 2, 2])
})

test('padding same keeps the size', t => {
  t.deepEqual(new nn.Conv2d(1, 2, 3, { padding: 'same' })(randn([1, 1, 5, 7])).shape, [1, 2, 5, 7])
  t.deepEqual(new nn.Conv2d(1, 2, 3, { padding: 'valid' })(randn([1, 1, 5, 7])).shape, [1, 2, 3, 5])
  t.throws(() => new nn.Conv2d(1, 2, 3, { padding: 'same', stride: 2 }), invalid)
})

test('Flatten, Identity and ReLU', async t => {
  t.deepEqual(new nn.Flatten()(randn([2, 3, 4])).shape, [2, 12])
  t.deepEqual(new nn.Flatten(0, 1)(randn([2, 3, 4])).shape, [6, 4])
  const x = tensor([-1, 2])
  t.is(new nn.Identity()(x), x)
  t.deepEqual(await read(new nn.ReLU()(x)), [0, 2])
  t.deepEqual(await read(x), [-1, 2])
  new nn.ReLU({ inplace: true })(x)
  t.deepEqual(await read(x), [0, 2])
})

test.serial('Dropout scales what it keeps, and is idle in evaluation', async t => {
  manualSeed(0)
  const drop = new nn.Dropout(0.25)
  const kept = await read(drop(ones([4000])))
  const dropped = kept.filter(value => value === 0).length / kept.length
  t.true(Math.abs(dropped - 0.25) < 0.03, String(dropped))
  t.true(kept.every(value => value === 0 || Math.abs(value - 4 / 3) < 1e-6))
  t.deepEqual(await read(drop.eval()(ones([3]))), [1, 1, 1])
})

test('layers print as in PyTorch', t => {
  t.is(
    inspect(new nn.Conv2d(3, 4, [3, 2], { stride: [1, 2], padding: [1, 0], dilation: 2 })),
    'Conv2d(3, 4, kernel_size=(3, 2), stride=(1, 2), padding=(1, 0), dilation=(2, 2))',
  )
  t.is(
    inspect(new nn.Conv2d(4, 4, 3, { groups: 2, padding: 'same', bias: false })),
    'Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), padding=same, groups=2, bias=False)',
  )
  t.is(
    inspect(new nn.BatchNorm1d(4)),
    'BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)',
  )
  t.is(
    inspect(new nn.MaxPool2d(3, { stride: 2, padding: 1 })),
    'MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=False)',
  )
  t.is(inspect(new nn.AvgPool2d(2)), 'AvgPool2d(kernel_size=2, stride=2, padding=0)')
  t.is(inspect(new nn.AdaptiveAvgPool2d([1, 2])), 'AdaptiveAvgPool2d(output_size=(1, 2))')
  t.is(inspect(new nn.Dropout()), 'Dropout(p=0.5, inplace=False)')
  t.is(inspect(new nn.Flatten()), 'Flatten(start_dim=1, end_dim=-1)')
  t.is(inspect(new nn.ReLU({ inplace: true })), 'ReLU(inplace=True)')
  t.is(inspect(new nn.Identity()), 'Identity()')
})

const wrong: [string, () => unknown][] = [
  ['Linear features', () => new nn.Linear(-1, 2)],
  ['Linear features of half', () => new nn.Linear(2, 1.5)],
  ['Linear features as text', () => Reflect.construct(nn.Linear, ['3', 2])],
  ['Linear bias', () => Reflect.construct(nn.Linear, [3, 2, { bias: 1 }])],
  ['Linear option', () => Reflect.construct(nn.Linear, [3, 2, { biass: true }])],
  ['Linear options as boolean', () => Reflect.construct(nn.Linear, [3, 2, false])],
  ['Conv2d kernel', () => new nn.Conv2d(1, 1, 0)],
  ['Conv2d kernel of three', () => Reflect.construct(nn.Conv2d, [1, 1, [1, 2, 3]])],
  ['Conv2d groups', () => new nn.Conv2d(3, 4, 1, { groups: 2 })],
  ['Conv2d stride', () => new nn.Conv2d(1, 1, 1, { stride: 0 })],
  ['Conv2d padding', () => new nn.Conv2d(1, 1, 1, { padding: -1 })],
  ['Conv2d channels', () => new nn.Conv2d(0, 1, 1)],
  ['BatchNorm2d features', () => new nn.BatchNorm2d(0)],
  ['BatchNorm2d momentum', () => new nn.BatchNorm2d(1, { momentum: 2 })],
  ['BatchNorm2d eps', () => new nn.BatchNorm2d(1, { eps: Number.NaN })],
  ['BatchNorm2d affine', () => Reflect.construct(nn.BatchNorm2d, [1, { affine: 'no' }])],
  ['MaxPool2d kernel', () => Reflect.construct(nn.MaxPool2d, [])],
  ['MaxPool2d padding', () => new nn.MaxPool2d(2, { padding: 2 })],
  ['AdaptiveAvgPool2d size', () => new nn.AdaptiveAvgPool2d(0)],
  ['Dropout p', () => new nn.Dropout(1.5)],
  ['Flatten dimension', () => new nn.Flatten(0.5)],
  ['ReLU options', () => Reflect.construct(nn.ReLU, [true])],
]

for (const [name, make] of wrong) {
  test(`refuses a wrong ${name} at construction`, t => {
    const error = t.throws(make, invalid)
    t.regex(error?.message ?? '', /^Expected .* for .* but received .* of type /)
  })
}

test('wrong inputs are reported where the result is read', async t => {
  await t.throwsAsync(new nn.Linear(3, 2)(randn([4, 5])).data(), { code: 'ERR_OP_FAILED' })
  await t.throwsAsync(new nn.Conv2d(3, 2, 3)(randn([1, 2, 8, 8])).data(), { code: 'ERR_OP_FAILED' })
})
