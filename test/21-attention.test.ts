// MultiheadAttention against its formula, in float64.
import test from 'ava'
import { nn, ones, randn, type Tensor, tensor, zeros } from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'
import { analyticalGradient, numericalGradient } from './helpers/gradients.js'

const invalid = { code: 'ERR_INVALID_ARG' }
const failed = { code: 'ERR_OP_FAILED' }
const float64 = { dtype: 'float64' } as const
const read = async (x: Tensor) => [...((await x.to(float64).data()) as Float64Array)]
const EXACT = { atol: 1e-12, rtol: 1e-12 } // float64 against the formula in float64
const chunks = (values: number[], size: number) =>
  Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size))

interface Attention {
  output: number[]
  weights: number[]
}

/** Attention by the formula, for one sample: rows of `q`, `k` and `v` are positions. */
async function attend(layer: nn.MultiheadAttention, inputs: Tensor[], hidden: (i: number, j: number) => boolean) {
  const size = layer.embedDim
  const packed = layer.in_proj_weight
  const matrices = packed
    ? chunks(await read(packed), size * size)
    : await Promise.all([layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight].map(w => read(w as Tensor)))
  const shift = layer.in_proj_bias ? await read(layer.in_proj_bias) : new Array<number>(3 * size).fill(0)
  const multiply = (rows: number[][], matrix: number[], bias: number[]) =>
    rows.map(row => bias.map((b, o) => row.reduce((sum, value, i) => sum + value * matrix[o * row.length + i], b)))
  const projected = await Promise.all(
    inputs.map(async (input, part) =>
      multiply(chunks(await read(input), input.shape[1]), matrices[part], shift.slice(part * size, (part + 1) * size)),
    ),
  )
  const [q, k, v] = projected
  const d = size / layer.numHeads
  const mixed = q.map(() => new Array<number>(size).fill(0))
  const shares = q.map(() => new Array<number>(k.length).fill(0))
  for (let head = 0; head < layer.numHeads; head++) {
    for (const [i, query] of q.entries()) {
      const scores = k.map((key, j) => {
        let sum = 0
        for (let c = head * d; c < (head + 1) * d; c++) sum += query[c] * key[c]
        return hidden(i, j) ? 0 : Math.exp(sum / Math.sqrt(d))
      })
      const total = scores.reduce((sum, score) => sum + score, 0)
      for (const [j, score] of scores.entries()) {
        shares[i][j] += score / total / layer.numHeads
        for (let c = head * d; c < (head + 1) * d; c++) mixed[i][c] += (score / total) * v[j][c]
      }
    }
  }
  const bias = layer.out_proj.bias ? await read(layer.out_proj.bias) : new Array<number>(size).fill(0)
  const output = multiply(mixed, await read(layer.out_proj.weight), bias)
  return { output: output.flat(), weights: shares.flat() } satisfies Attention
}

const LOOSE = { atol: 1e-10, rtol: 1e-10 } // some hundred float64 products

test('MultiheadAttention is its formula, with and without its weights', async t => {
  const layer = new nn.MultiheadAttention(6, 2).to(float64)
  nn.init.uniform_(layer.in_proj_bias ?? zeros([1]), -1, 1)
  nn.init.uniform_(layer.out_proj.bias ?? zeros([1]), -1, 1)
  const [q, k, v] = [randn([3, 6], float64), randn([4, 6], float64), randn([4, 6], float64)]
  const expected = await attend(layer, [q, k, v], () => false)
  const [output, weights] = layer(q, k, v)
  t.deepEqual(
    [output.shape, weights?.shape],
    [
      [3, 6],
      [3, 4],
    ],
  )
  assertNumbers(t, await read(output), expected.output, LOOSE)
  assertNumbers(t, await read(weights ?? output), expected.weights, LOOSE)
  const [fast, none] = layer(q, k, v, { needWeights: false })
  assertNumbers(t, await read(fast), expected.output, LOOSE)
  t.is(none, null)
  const [, heads] = layer(q, k, v, { averageAttnWeights: false })
  t.deepEqual(heads?.shape, [2, 3, 4])
})

test('MultiheadAttention takes batches in both layouts, and keys and values of other sizes', async t => {
  const layer = new nn.MultiheadAttention(6, 3, { kdim: 4, vdim: 5, bias: false }).to(float64)
  const first = new nn.MultiheadAttention(6, 3, { kdim: 4, vdim: 5, bias: false, batchFirst: true }).to(float64)
  first.loadStateDict(layer.stateDict())
  const [q, k, v] = [randn([2, 3, 6], float64), randn([2, 7, 4], float64), randn([2, 7, 5], float64)]
  const [batch, weights] = first(q, k, v)
  const [other] = layer(q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1))
  t.deepEqual(
    [batch.shape, other.shape, weights?.shape],
    [
      [2, 3, 6],
      [3, 2, 6],
      [2, 3, 7],
    ],
  )
  assertNumbers(t, await read(other.transpose(0, 1)), await read(batch), EXACT)
  for (const i of [0, 1]) {
    const expected = await attend(first, [q.select(0, i), k.select(0, i), v.select(0, i)], () => false)
    assertNumbers(t, await read(batch.select(0, i)), expected.output, LOOSE)
  }
})

test('MultiheadAttention leaves out what its masks name', async t => {
  const layer = new nn.MultiheadAttention(4, 2, { batchFirst: true }).to(float64)
  const x = randn([2, 3, 4], float64)
  const causal = await attend(layer, [x.select(0, 1), x.select(0, 1), x.select(0, 1)], (i, j) => j > i)
  const mask = tensor([
    [false, true, true],
    [false, false, true],
    [false, false, false],
  ])
  for (const needWeights of [true, false]) {
    for (const options of [
      { isCausal: true },
      { attnMask: mask },
      { attnMask: mask.unsqueeze(0).expand([4, 3, 3]) },
      { attnMask: zeros([3, 3], float64).maskedFill(mask, Number.NEGATIVE_INFINITY) },
    ]) {
      const [output] = layer(x, x, x, { ...options, needWeights })
      assertNumbers(t, await read(output.select(0, 1)), causal.output, LOOSE)
    }
    const padding = tensor([
      [false, false, true],
      [false, true, false],
    ])
    const [output] = layer(x, x, x, { keyPaddingMask: padding, needWeights })
    for (const i of [0, 1]) {
      const one = x.select(0, i)
      const expected = await attend(layer, [one, one, one], (_, j) => j === (i === 0 ? 2 : 1))
      assertNumbers(t, await read(output.select(0, i)), expected.output, LOOSE)
    }
  }
})

test('MultiheadAttention is differentiable, and drops weights in training only', async t => {
  const layer = new nn.MultiheadAttention(4, 2).to(float64)
  const x = randn([3, 4], float64)
  const f = (input: Tensor) => layer(input, input, input)[0].square().sum()
  assertNumbers(t, await analyticalGradient(f, x), await numericalGradient(f, x), { atol: 1e-6, rtol: 1e-6 })
  const dropping = new nn.MultiheadAttention(4, 1, { dropout: 0.5 })
  const [, weights] = dropping(ones([64, 4]), ones([64, 4]), ones([64, 4]))
  const values = await read(weights ?? x)
  t.true(values.every(value => value === 0 || Math.abs(value - 2 / 64) < 1e-6))
  t.true(values.some(value => value === 0) && values.some(value => value > 0))
  const [, calm] = dropping.eval()(ones([64, 4]), ones([64, 4]), ones([64, 4]))
  t.true((await read(calm ?? x)).every(value => Math.abs(value - 1 / 64) < 1e-6))
})

test('MultiheadAttention names what does not fit', async t => {
  const layer = new nn.MultiheadAttention(4, 2)
  const x = randn([3, 2, 4])
  const says = async (result: [Tensor, Tensor | null], message: RegExp) =>
    t.throwsAsync(result[0].data(), { ...failed, message })
  await says(layer(x, x, randn([3, 2, 5])), /Expected a value of 4 features/)
  await says(layer(x, randn([3, 4]), x), /of three dimensions, or all of two/)
  await says(layer(x, randn([4, 2, 4]), x), /one batch size/)
  await says(layer(x, x, x, { attnMask: zeros([3, 4]) }), /Expected attnMask of shape \[3, 3\] or \[4, 3, 3\]/)
  await says(layer(x, x, x, { keyPaddingMask: zeros([3, 2]) }), /Expected keyPaddingMask of shape \[2, 3\]/)
  await says(layer(x, x, x, { attnMask: zeros([3, 3], { dtype: 'int64' }) }), /boolean or floating/)
  t.throws(() => Reflect.apply(layer, null, [x, x, 3]), invalid)
  t.throws(() => Reflect.apply(layer, null, [x, x, x, { needWeight: true }]), invalid)
})
