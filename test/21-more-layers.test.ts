import { inspect } from 'node:util'
import test from 'ava'
import { manualSeed, nn, randn, type Tensor, tensor } from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'
import { analyticalGradient, numericalGradient } from './helpers/gradients.js'

const invalid = { code: 'ERR_INVALID_ARG' }
const failed = { code: 'ERR_OP_FAILED' }
const float64 = { dtype: 'float64' } as const
const read = async (x: Tensor) => [...((await x.to(float64).data()) as Float64Array)]
const EXACT = { atol: 1e-12, rtol: 1e-12 } // float64 against the formula in float64

const points = [-7, -3.5, -3, -1, -0.3, 0, 1e-3, 0.4, 1, 2.9, 3, 8]
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

/** The error function: `2/√π · e^(-x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·5···(2n+1))`, whose terms have one sign. */
function erf(x: number): number {
  let term = x
  let sum = x
  for (let n = 1; n < 300; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

const activations: [string, () => nn.Module<[Tensor], Tensor>, (x: number) => number][] = [
  ['GELU', () => new nn.GELU(), x => (x * (1 + erf(x / Math.SQRT2))) / 2],
  [
    'GELU by tanh',
    () => new nn.GELU({ approximate: 'tanh' }),
    x => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  ],
  ['SiLU', () => new nn.SiLU(), x => x * sigmoid(x)],
  ['Hardswish', () => new nn.Hardswish(), x => (x * Math.min(Math.max(x + 3, 0), 6)) / 6],
  ['LeakyReLU', () => new nn.LeakyReLU(0.2), x => (x > 0 ? x : 0.2 * x)],
  ['LeakyReLU by default', () => new nn.LeakyReLU(), x => (x > 0 ? x : 0.01 * x)],
  ['ELU', () => new nn.ELU(1.5), x => (x > 0 ? x : 1.5 * Math.expm1(x))],
  ['Sigmoid', () => new nn.Sigmoid(), sigmoid],
  ['Tanh', () => new nn.Tanh(), Math.tanh],
]

for (const [name, make, formula] of activations) {
  test(`${name} is its formula, and so is its gradient`, async t => {
    const x = tensor(points, float64)
    assertNumbers(t, await read(make()(x)), points.map(formula), EXACT)
    const smooth = tensor([-2.5, -0.7, 0.3, 1.2], float64)
    const f = (input: Tensor) => make()(input).square().sum()
    assertNumbers(t, await analyticalGradient(f, smooth), await numericalGradient(f, smooth), {
      atol: 1e-6,
      rtol: 1e-6,
    })
  })
}

test('inplace activations overwrite their input', async t => {
  for (const make of [
    (inplace: boolean) => new nn.SiLU({ inplace }),
    (inplace: boolean) => new nn.Hardswish({ inplace }),
    (inplace: boolean) => new nn.LeakyReLU(0.1, { inplace }),
    (inplace: boolean) => new nn.ELU(0.5, { inplace }),
  ]) {
    const x = tensor([-1, 2], float64)
    const expected = await read(make(false)(x))
    t.deepEqual(await read(x), [-1, 2])
    make(true)(x)
    t.deepEqual(await read(x), expected)
  }
})

test('Softmax sums to 1 along its dimension', async t => {
  const x = tensor([
    [1, 2],
    [3, 5],
  ]).to(float64)
  const share = (a: number, b: number) => Math.exp(a) / (Math.exp(a) + Math.exp(b))
  assertNumbers(t, await read(new nn.Softmax(1)(x)), [share(1, 2), share(2, 1), share(3, 5), share(5, 3)], EXACT)
  assertNumbers(t, await read(new nn.Softmax(-2)(x)), [share(1, 3), share(2, 5), share(3, 1), share(5, 2)], EXACT)
})

/** Values normalised by their mean and biased variance. */
function normalised(values: number[], eps: number): number[] {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length
  return values.map(x => (x - mean) / Math.sqrt(variance + eps))
}

const chunks = (values: number[], size: number) =>
  Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size))

test('LayerNorm normalises the last dimensions, scales and shifts', async t => {
  const x = randn([2, 3, 4], float64)
  const values = await read(x)
  const layer = new nn.LayerNorm([3, 4], { eps: 1e-3 }).to(float64)
  assertNumbers(
    t,
    await read(layer(x)),
    chunks(values, 12).flatMap(row => normalised(row, 1e-3)),
    EXACT,
  )
  const last = new nn.LayerNorm(4).to(float64)
  nn.init.constant_(last.weight ?? x, 3)
  nn.init.constant_(last.bias ?? x, -1)
  const expected = chunks(values, 4).flatMap(row => normalised(row, 1e-5).map(value => 3 * value - 1))
  assertNumbers(t, await read(last(x)), expected, EXACT)
  t.deepEqual([...new nn.LayerNorm(4, { bias: false }).stateDict().keys()], ['weight'])
  t.deepEqual([...new nn.LayerNorm(4, { elementwiseAffine: false }).stateDict().keys()], [])
  await t.throwsAsync(last(randn([2, 5])).data(), failed)
})

test('GroupNorm normalises groups of channels of each sample', async t => {
  const x = randn([2, 4, 3, 2], float64)
  const values = await read(x)
  const layer = new nn.GroupNorm(2, 4).to(float64)
  assertNumbers(
    t,
    await read(layer(x)),
    chunks(values, 12).flatMap(group => normalised(group, 1e-5)),
    EXACT,
  )
  t.deepEqual(layer.weight?.shape, [4])
  t.deepEqual([...layer.stateDict().keys()], ['weight', 'bias'])
  await t.throwsAsync(layer(randn([2, 6, 3])).data(), failed)
})

test('norm layers count as norm layers for weight decay', t => {
  const net = new nn.Sequential(new nn.Linear(4, 4, { bias: false }), new nn.LayerNorm(4), new nn.GroupNorm(2, 4))
  t.is(nn.normBiasParameters(net).length, 4)
  t.is(nn.normBiasParameters(net, false).length, 4)
})

test('Embedding looks rows up, and trains all but its padding', async t => {
  const layer = new nn.Embedding(5, 3, { paddingIdx: -1 })
  const rows = chunks(await read(layer.weight), 3)
  t.deepEqual(rows[4], [0, 0, 0])
  const indices = tensor([1, 4, 1], { dtype: 'int64' })
  const y = layer(indices)
  t.deepEqual(await read(y), [...rows[1], ...rows[4], ...rows[1]])
  y.sum().backward()
  const gradient = chunks(await read(layer.weight.grad ?? y), 3).map(row => row[0])
  t.deepEqual(gradient, [0, 2, 0, 0, 0])
  const scaled = new nn.Embedding(5, 3, { scaleGradByFreq: true })
  scaled(indices).sum().backward()
  t.deepEqual(
    chunks(await read(scaled.weight.grad ?? y), 3).map(row => row[0]),
    [0, 1, 0, 0, 1],
  )
  await t.throwsAsync(layer(tensor([5], { dtype: 'int64' })).data(), failed)
})

test('ConvTranspose2d spreads each pixel by its window', async t => {
  const [inputs, outputs, groups, height, width] = [4, 6, 2, 3, 2]
  const [stride, padding, extra, dilation] = [
    [2, 3],
    [1, 0],
    [1, 2],
    [2, 1],
  ]
  const layer = new nn.ConvTranspose2d(inputs, outputs, [3, 2], {
    stride: [2, 3],
    padding: [1, 0],
    outputPadding: [1, 2],
    dilation: [2, 1],
    groups,
  }).to(float64)
  const x = randn([1, inputs, height, width], float64)
  const [xs, weights, bias] = [await read(x), await read(layer.weight), await read(layer.bias ?? x)]
  const sizes = [height, width].map(
    (size, i) => (size - 1) * stride[i] - 2 * padding[i] + dilation[i] * ([3, 2][i] - 1) + extra[i] + 1,
  )
  const expected = new Float64Array(outputs * sizes[0] * sizes[1])
  for (let o = 0; o < outputs; o++) expected.fill(bias[o], o * sizes[0] * sizes[1], (o + 1) * sizes[0] * sizes[1])
  const per = outputs / groups
  for (let c = 0; c < inputs; c++) {
    for (let i = 0; i < height * width; i++) {
      for (let k = 0; k < per * 6; k++) {
        const [o, ky, kx] = [Math.floor(k / 6), Math.floor((k % 6) / 2), k % 2]
        const row = Math.floor(i / width) * stride[0] - padding[0] + ky * dilation[0]
        const column = (i % width) * stride[1] - padding[1] + kx * dilation[1]
        if (row < 0 || row >= sizes[0] || column < 0 || column >= sizes[1]) continue
        const channel = Math.floor(c / (inputs / groups)) * per + o
        expected[(channel * sizes[0] + row) * sizes[1] + column] +=
          xs[c * height * width + i] * weights[c * per * 6 + k]
      }
    }
  }
  const y = layer(x)
  t.deepEqual(y.shape, [1, outputs, ...sizes])
  assertNumbers(t, await read(y), expected, { atol: 1e-10, rtol: 1e-10 })
})

test('Upsample: nearest, linear and with corners aligned', async t => {
  const row = tensor([[[1, 2, 4]]]).to(float64)
  t.deepEqual(await read(new nn.Upsample({ scaleFactor: 2 })(row)), [1, 1, 2, 2, 4, 4])
  t.deepEqual(await read(new nn.Upsample({ size: 2, mode: 'nearest-exact' })(row)), [1, 4])
  // positions (i + 0.5) / 2 - 0.5, cut at the ends
  const linear = new nn.Upsample({ scaleFactor: 2, mode: 'linear' })
  assertNumbers(t, await read(linear(row)), [1, 1.25, 1.75, 2.5, 3.5, 4], EXACT)
  const aligned = new nn.Upsample({ size: 5, mode: 'linear', alignCorners: true })
  assertNumbers(t, await read(aligned(row)), [1, 1.5, 2, 3, 4], EXACT)
  const square = tensor([
    [
      [
        [0, 2],
        [4, 6],
      ],
    ],
  ]).to(float64)
  const corners = { size: [3, 3], alignCorners: true } as const
  const expected = [0, 1, 2, 2, 3, 4, 4, 5, 6]
  assertNumbers(t, await read(new nn.Upsample({ ...corners, mode: 'bilinear' })(square)), expected, EXACT)
  t.deepEqual(new nn.Upsample({ scaleFactor: [1.5, 2], mode: 'bicubic' })(square).shape, [1, 1, 3, 4])
  t.deepEqual(new nn.Upsample({ scaleFactor: 2 })(randn([1, 2, 3, 4, 5])).shape, [1, 2, 6, 8, 10])
  t.deepEqual(new nn.Upsample({ size: 4, mode: 'trilinear' })(randn([1, 2, 3, 4, 5])).shape, [1, 2, 4, 4, 4])
  const message = /Expected an input of 4 dimensions for mode bilinear but received shape \[1, 1, 3\]/
  await t.throwsAsync(new nn.Upsample({ size: 2, mode: 'bilinear' })(row).data(), { ...failed, message })
  await t.throwsAsync(new nn.Upsample({ size: [2, 2, 2] })(square).data(), { ...failed, message: /one number or 2/ })
})

test.serial('initial weights are those of PyTorch 2.13 with the same seed', async t => {
  // sums of the float32 values in float64, and first values, from PyTorch itself
  manualSeed(42)
  const transposed = new nn.ConvTranspose2d(4, 6, [3, 2], {
    stride: 2,
    padding: 1,
    outputPadding: [1, 0],
    groups: 2,
    dilation: 2,
  })
  const layers: [string, nn.AnyModule][] = [
    ['ct', transposed],
    ['emb', new nn.Embedding(5, 3, { paddingIdx: -1 })],
    ['mha', new nn.MultiheadAttention(6, 2)],
    ['mha2', new nn.MultiheadAttention(6, 3, { kdim: 4, vdim: 5, bias: false, dropout: 0.1 })],
  ]
  const expected: Record<string, [number, number]> = {
    'ct.weight': [1.357479099649936, 0.18020345270633698],
    'ct.bias': [-0.44899260997772217, 0.2268046736717224],
    'emb.weight': [2.062496304512024, -2.125584363937378],
    'mha.in_proj_weight': [-2.960203528404236, -0.05479240417480469],
    'mha.in_proj_bias': [0, 0],
    'mha.out_proj.weight': [-2.7928167989011854, 0.4080886244773865],
    'mha.out_proj.bias': [0, 0],
    'mha2.q_proj_weight': [-1.301040405407548, -0.45458266139030457],
    'mha2.k_proj_weight': [-2.9426885172724724, -0.5891624689102173],
    'mha2.v_proj_weight': [0.4177249353379011, 0.4473782777786255],
    'mha2.out_proj.weight': [-1.3635089858435094, 0.2916659414768219],
  }
  const found = layers.flatMap(([name, layer]) =>
    [...layer.stateDict()].map(([key, value]) => [`${name}.${key}`, value] as const),
  )
  t.deepEqual(
    found.map(([key]) => key),
    Object.keys(expected),
  )
  for (const [name, value] of found) {
    const numbers = await read(value)
    // the last bit depends on whether a CPU multiplies and adds in one instruction, and on its logarithms
    assertNumbers(t, [numbers[0]], [expected[name][1]], { atol: 3e-8, rtol: 3e-7 }, name)
    const sum = numbers.reduce((total, x) => total + x, 0)
    t.true(Math.abs(sum - expected[name][0]) <= 1e-7 * numbers.length, name)
  }
})

test('layers print as in PyTorch', t => {
  const printed: [nn.AnyModule, string][] = [
    [new nn.GELU(), "GELU(approximate='none')"],
    [new nn.SiLU({ inplace: true }), 'SiLU(inplace=True)'],
    [new nn.Hardswish({ inplace: true }), 'Hardswish()'],
    [new nn.LeakyReLU(), 'LeakyReLU(negative_slope=0.01)'],
    [new nn.LeakyReLU(0.2, { inplace: true }), 'LeakyReLU(negative_slope=0.2, inplace=True)'],
    [new nn.ELU(), 'ELU(alpha=1.0)'],
    [new nn.ELU(0.5, { inplace: true }), 'ELU(alpha=0.5, inplace=True)'],
    [new nn.Sigmoid(), 'Sigmoid()'],
    [new nn.Softmax(1), 'Softmax(dim=1)'],
    [new nn.LayerNorm([3, 4]), 'LayerNorm((3, 4), eps=1e-05, elementwise_affine=True, bias=True)'],
    [
      new nn.LayerNorm(4, { bias: false, eps: 1e-6 }),
      'LayerNorm((4,), eps=1e-06, elementwise_affine=True, bias=False)',
    ],
    [new nn.GroupNorm(2, 4), 'GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)'],
    [new nn.Embedding(5, 3, { paddingIdx: -1 }), 'Embedding(5, 3, padding_idx=4)'],
    [new nn.Upsample({ scaleFactor: [1.5, 2], mode: 'bicubic' }), "Upsample(scale_factor=(1.5, 2.0), mode='bicubic')"],
    [new nn.Upsample({ size: [3, 4] }), "Upsample(size=(3, 4), mode='nearest')"],
    [
      new nn.ConvTranspose2d(4, 6, [3, 2], { stride: 2, padding: 1, outputPadding: [1, 0], groups: 2, dilation: 2 }),
      'ConvTranspose2d(4, 6, kernel_size=(3, 2), stride=(2, 2), padding=(1, 1), dilation=(2, 2), output_padding=(1, 0), groups=2)',
    ],
  ]
  for (const [layer, text] of printed) t.is(inspect(layer), text)
})

const wrong: [string, () => unknown][] = [
  ['GELU approximation', () => Reflect.construct(nn.GELU, [{ approximate: 'erf' }])],
  ['SiLU option', () => Reflect.construct(nn.SiLU, [{ inPlace: true }])],
  ['LeakyReLU slope', () => new nn.LeakyReLU(Number.NaN)],
  ['ELU alpha', () => Reflect.construct(nn.ELU, ['1'])],
  ['Softmax dimension', () => Reflect.construct(nn.Softmax, [])],
  ['LayerNorm shape', () => new nn.LayerNorm([])],
  ['LayerNorm size', () => new nn.LayerNorm([3, 0])],
  ['GroupNorm groups', () => new nn.GroupNorm(3, 4)],
  ['Embedding padding', () => new nn.Embedding(4, 2, { paddingIdx: 4 })],
  ['Embedding size', () => new nn.Embedding(0, 2)],
  ['ConvTranspose2d groups', () => new nn.ConvTranspose2d(3, 4, 1, { groups: 2 })],
  ['ConvTranspose2d outputPadding', () => new nn.ConvTranspose2d(3, 4, 1, { outputPadding: 1 })],
  ['Upsample without a size', () => Reflect.construct(nn.Upsample, [{}])],
  ['Upsample with two sizes', () => new nn.Upsample({ size: 2, scaleFactor: 2 })],
  ['Upsample factor', () => new nn.Upsample({ scaleFactor: 0 })],
  ['Upsample size', () => new nn.Upsample({ size: 1.5 })],
  ['Upsample corners', () => new nn.Upsample({ size: 2, alignCorners: true })],
  ['MultiheadAttention heads', () => new nn.MultiheadAttention(6, 4)],
  ['MultiheadAttention dropout', () => new nn.MultiheadAttention(6, 2, { dropout: 2 })],
]

for (const [name, make] of wrong) {
  test(`refuses a wrong ${name} at construction`, t => {
    const error = t.throws(make, invalid)
    t.regex(error?.message ?? '', /^Expected .* for .* but received .* of type /)
  })
}
