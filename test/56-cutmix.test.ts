// Boxes of partners pasted: the native pass through its pure face, and what is drawn for it.
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import {
  type Box,
  cutmix,
  type DType,
  drawCutmix,
  drawFmix,
  drawMix,
  drawResizeMix,
  fmix,
  manualSeed,
  ops,
  randBboxMinMax,
  randint,
  randn,
  resizeMix,
  type Tensor,
  tensor,
  zeros,
} from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'
import { analyticalGradient, numericalGradient } from './helpers/gradients.js'

async function assertEqual(t: ExecutionContext, actual: Tensor, expected: Tensor, label?: string): Promise<void> {
  t.deepEqual(actual.shape, expected.shape, label)
  t.deepEqual(await actual.data(), await expected.data(), label)
}

const inBox = (x: Tensor, [x1, y1, x2, y2]: Box) => x.slice(-2, y1, y2).slice(-1, x1, x2)

/** The same with slices, sample by sample. */
function bySlices(x: Tensor, perm: number[], boxes: readonly Box[]): Tensor {
  const out = x.clone()
  for (const [i, partner] of perm.entries()) {
    const box = boxes[boxes.length > 1 ? i : 0] as Box
    inBox(out.select(0, i), box).copy_(inBox(x.select(0, partner), box))
  }
  return out
}

const shapes = [
  [4, 3, 6, 5],
  [4, 3, 2, 6, 5],
  [4, 6, 5],
  [1, 3, 6, 5],
  [4, 0, 6, 5],
]
const dtypes: DType[] = ['float32', 'float64', 'float16', 'bfloat16', 'uint8', 'int64', 'bool']
const box: Box = [1, 2, 4, 5]
const boxes: Box[] = [box, [0, 0, 5, 6], [2, 2, 2, 4], [4, 5, 5, 6]]
const shifted = (n: number) => Array.from({ length: n }, (_, i) => (i + 1) % n)

test('boxes are pasted, whatever the shape and the dtype; into a new tensor, a given one, and in place', async t => {
  for (const shape of shapes) {
    for (const dtype of dtypes) {
      const x = randn(shape).mul(40).to({ dtype })
      const before = x.clone()
      const perm = shifted(shape[0] as number)
      const expected = bySlices(x, perm, [box])
      const label = `${dtype} ${shape}`
      await assertEqual(t, cutmix(x, perm, box), expected, label)
      await assertEqual(t, x, before, `${label}: the input`)
      await assertEqual(t, cutmix(x, perm, box, { out: zeros(shape, { dtype }) }), expected, `${label}: out`)
      const changed = x.clone()
      t.is(cutmix(changed, perm, box, { inPlace: true }), changed)
      await assertEqual(t, changed, expected, `${label}: in place`)
    }
  }
})

test('a box for each sample; partners several samples share', async t => {
  for (const shape of [
    [4, 3, 6, 5],
    [4, 3, 2, 6, 5],
    [4, 6, 5],
  ]) {
    for (const perm of [shifted(4), [2, 2, 2, 0], [0, 1, 2, 3]]) {
      const x = randn(shape)
      const expected = bySlices(x, perm, boxes)
      await assertEqual(t, cutmix(x, perm, boxes), expected)
      await assertEqual(t, cutmix(x.clone(), perm, boxes, { inPlace: true }), expected)
    }
  }
})

test('channels_last stays so, with the same result', async t => {
  for (const [shape, memoryFormat] of [
    [[4, 3, 6, 5], 'channels_last'],
    [[4, 3, 2, 6, 5], 'channels_last_3d'],
  ] as const) {
    const x = randn(shape)
    const expected = bySlices(x, shifted(4), boxes)
    const last = x.contiguous({ memoryFormat })
    const mixed = cutmix(last, shifted(4), boxes)
    t.is(mixed.memoryFormat, memoryFormat)
    await assertEqual(t, mixed, expected)
    await assertEqual(t, cutmix(last, shifted(4), boxes, { inPlace: true }), expected)
    await assertEqual(t, cutmix(x, shifted(4), boxes, { out: last }), expected)
  }
})

test('slices, transposed and expanded inputs', async t => {
  const base = randn([4, 3, 8, 9])
  for (const x of [base.narrow(3, 1, 5).narrow(2, 2, 6), base.transpose(2, 3).narrow(3, 0, 6).narrow(2, 0, 6)]) {
    const expected = bySlices(x, shifted(4), boxes)
    await assertEqual(t, cutmix(x, shifted(4), boxes), expected)
    await assertEqual(t, cutmix(x, shifted(4), boxes, { inPlace: true }), expected)
  }
  const one = base.narrow(0, 0, 1).expand([4, 3, 8, 9])
  await assertEqual(t, cutmix(one, shifted(4), box), one.contiguous())
  await t.throwsAsync(cutmix(one, shifted(4), box, { inPlace: true }).data(), { code: 'ERR_OP_FAILED' })
})

test('a batch that fills the caches many times over', async t => {
  const x = randint(0, 256, [16, 3, 230, 226], { dtype: 'uint8' })
  const large: Box = [3, 5, 200, 190]
  const expected = bySlices(x, shifted(16), [large])
  await assertEqual(t, cutmix(x, shifted(16), large), expected)
  await assertEqual(t, cutmix(x, shifted(16), large, { inPlace: true }), expected)
})

test('the gradient is that of finite differences', async t => {
  for (const where of [box, boxes]) {
    const weights = randn([4, 2, 6, 5], { dtype: 'float64' })
    const f = (x: Tensor) => cutmix(x, [1, 1, 0, 3], where).pow(2).mul(weights).sum()
    const x = randn([4, 2, 6, 5], { dtype: 'float64' })
    assertNumbers(t, await analyticalGradient(f, x), await numericalGradient(f, x), { atol: 1e-7, rtol: 1e-6 })
  }
  t.false(cutmix(randn([2, 3, 6, 5]), [1, 0], box).requiresGrad)
})

test('what doesn’t fit is said when the result is read', async t => {
  const x = randn([2, 3, 6, 5])
  const fails = async (mixed: Tensor, message: RegExp) =>
    void (await t.throwsAsync(mixed.data(), { code: 'ERR_OP_FAILED', message }))
  await fails(cutmix(randn([2, 3]), [1, 0], box), /x of shape \(N, C, H, W\)/)
  await fails(cutmix(x, [1, 2], box), /sample numbers from 0 to 1 in perm but received 2/)
  await fails(cutmix(x, [1], box), /perm of shape \[2\]/)
  await fails(cutmix(x, [1, 0], [0, 0, 6, 6]), /boxes of 0 <= x1 <= x2 <= 5/)
  await fails(cutmix(x, [1, 0], [3, 0, 2, 6]), /boxes of 0 <= x1 <= x2 <= 5/)
  await fails(cutmix(x, [1, 0], [box, box, box]), /8 for 2 samples but received 12/)
  await fails(cutmix(x, [1, 0], box, { out: x }), /out in memory of its own/)
  const leaf = randn([2, 3, 6, 5], { requiresGrad: true })
  await fails(cutmix(leaf, [1, 0], box, { inPlace: true }), /doesn't require a gradient/)
  await fails(ops.torch_learner.cutmix(x, tensor([1, 0]), [0, 0, 1, 1]), /perm of dtype int64 or int32/)
})

test('what can’t be an argument is said at once', t => {
  const x = randn([2, 3, 6, 5])
  const call = (...args: unknown[]) => Reflect.apply(cutmix, null, args)
  const code = 'ERR_INVALID_ARG'
  t.throws(() => call([1], [1, 0], box), { code, message: /a tensor for x/ })
  t.throws(() => call(x, [1, 0], [1, 2, 3]), { code, message: /for boxes/ })
  t.throws(() => call(x, [1, 0], [-1, 0, 3, 3]), { code, message: /for boxes/ })
  t.throws(() => call(x, [1, 0], [0.5, 0, 3, 3]), { code, message: /for boxes/ })
  t.throws(() => call(x, [1, 0], box, { out: 1 }), { code, message: /a tensor for out/ })
  t.throws(() => call(x, [1, 0], box, { out: x, inPlace: true }), { code, message: /inPlace/ })
})

/** How many pixels of each picture show the partner: samples are numbered, so that every pasted pixel is a changed one. */
async function changedShares(mixed: Tensor): Promise<number[]> {
  const [n, area] = [mixed.shape[0] as number, mixed.numel / (mixed.shape[0] as number)]
  const data = Array.from(await mixed.data(), Number)
  return Array.from({ length: n }, (_, i) => {
    const changed = data.slice(i * area, (i + 1) * area).filter(value => Math.round(value) !== i).length
    return changed / area
  })
}

test.serial('lambda is 1 - changed area / area, exactly, for every way of drawing', async t => {
  manualSeed(3)
  const settings = fc.record({
    W: fc.integer({ min: 1, max: 24 }),
    H: fc.integer({ min: 1, max: 24 }),
    n: fc.integer({ min: 2, max: 5 }),
    alpha: fc.double({ min: 0.05, max: 4, noNaN: true }),
    mode: fc.constantFrom('elem', 'pair', 'batch'),
    prob: fc.constantFrom(0.5, 1),
    way: fc.constantFrom('box', 'minmax', 'resize', 'mask'),
  })
  const property = fc.asyncProperty(settings, async ({ W, H, n, alpha, mode, prob, way }) => {
    const options = { mode, prob } as const
    const numbered = tensor(Float32Array.from({ length: n }, (_, i) => i))
      .view([n, 1, 1])
      .expand([n, H, W])
      .contiguous()
    const draws = {
      box: () => drawCutmix(n, W, H, alpha, options),
      minmax: () => drawCutmix(n, W, H, alpha, { ...options, minmax: [0.2, 0.9] }),
      resize: () => drawResizeMix(n, W, H, options),
      mask: () => drawFmix(n, W, H, alpha, options),
    }
    const draw = draws[way]()
    if (draw === null) return prob < 1
    const mixed =
      'mask' in draw
        ? fmix(numbered, draw.perm, draw.mask)
        : (way === 'resize' ? resizeMix : cutmix)(numbered, draw.perm, draw.boxes)
    const changed = await changedShares(mixed)
    const { lam, perm } = draw
    return changed.every((share, i) => {
      const kept = lam[lam.length > 1 ? i : 0] as number
      return perm[i] === i
        ? share === 0
        : Math.fround(1 - Math.fround(share)) === kept || Math.fround(1 - share) === kept
    })
  })
  await t.notThrowsAsync(fc.assert(property, { numRuns: 150, seed: 11 }))
})

/** Pearson's statistic of counts against equal ones. */
function chiSquare(counts: number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

test.serial('boxes are uniform over all positions, the last ones included', t => {
  manualSeed(5)
  const [W, H, side] = [9, 7, 3]
  const origins = new Array<number>((W - side + 1) * (H - side + 1)).fill(0)
  for (let i = 0; i < 20000; i++) {
    const [x1, y1, x2, y2] = randBboxMinMax(W, H, [side / W + 1e-9, side / W + 1e-9])
    t.assert(x2 - x1 === side && y2 - y1 === 2)
    if (y1 < H - side + 1) origins[y1 * (W - side + 1) + x1] += 1
  }
  // 34 degrees of freedom: above 65 in one of a thousand seeds
  t.true(chiSquare(origins) < 65, String(chiSquare(origins)))

  const positions = new Array<number>(6 * 5).fill(0)
  for (let i = 0; i < 20000; i++) {
    const [box] = drawResizeMix(1, 8, 8, { scale: [0.4, 0.4] })?.boxes ?? []
    const [x1, y1, x2] = box as Box
    t.assert(x2 - x1 === 3)
    if (y1 < 5) positions[y1 * 6 + x1] += 1
  }
  t.true(chiSquare(positions) < 60, String(chiSquare(positions)))

  const centres = new Array<number>(W * H).fill(0)
  for (let i = 0; i < 20000; i++) {
    const [box] = drawCutmix(1, W, H, 1e6)?.boxes ?? []
    const [x1, y1] = box as Box
    // of a box of 6 x 5, cut off where it sticks out: centre 3 and 2 pixels from its corner
    if (x1 > 0 && y1 > 0) centres[(y1 + 2) * W + x1 + 3] += 1
  }
  const inside = centres.filter((_, i) => i % W > 3 && Math.floor(i / W) > 2)
  t.true(chiSquare(inside) < 50, String(chiSquare(inside)))
})

test.serial('who is mixed with whom, by mode and probability', t => {
  manualSeed(7)
  const pair = drawMix(7, 1, { mode: 'pair' })
  if (pair === null) return t.fail()
  const { perm, lam } = pair
  const alone = Array.from(perm).filter((partner, i) => partner === i)
  t.is(alone.length, 1)
  t.is(lam[alone[0] as number], 1)
  for (const [i, partner] of perm.entries()) {
    t.is(perm[partner], i)
    t.is(lam[partner], lam[i])
  }
  t.is(drawMix(7, 1, { mode: 'batch' })?.lam.length, 1)
  t.is(drawMix(7, 1, { prob: 0 }), null)
  let [mixed, batches] = [0, 0]
  for (let i = 0; i < 400; i++) {
    mixed += drawMix(10, 1, { prob: 0.3 })?.lam.reduce((sum, weight) => sum + (weight < 1 ? 1 : 0), 0) ?? 0
    batches += drawMix(10, 1, { prob: 0.3, mode: 'batch' }) === null ? 0 : 1
  }
  t.true(Math.abs(mixed / 4000 - 0.3) < 0.03, String(mixed))
  t.true(Math.abs(batches / 400 - 0.3) < 0.08, String(batches))
})

test.serial('the same seed draws the same', async t => {
  const draw = async () => {
    manualSeed(21)
    const fmixed = drawFmix(3, 9, 8, 1, { mode: 'elem' })
    const mask = await fmixed?.mask.toArray()
    return [drawCutmix(5, 9, 8, 1), drawCutmix(5, 9, 8, 1, { mode: 'elem' }), drawResizeMix(5, 9, 8), mask]
  }
  t.deepEqual(await draw(), await draw())
})

test('resizeMix: the whole partner, smaller', async t => {
  const x = randn([3, 2, 8, 6]).contiguous({ memoryFormat: 'channels_last' })
  const before = x.clone()
  const where: Box = [1, 2, 4, 6]
  const small = ops.unsafe.aten._upsample_bilinear2d_aa(x, [4, 3], false) as Tensor
  const mixed = resizeMix(x, [2, 0, 1], where)
  const expected = x.clone()
  inBox(expected, where).copy_(small.indexSelect(0, tensor(Int32Array.of(2, 0, 1))))
  await assertEqual(t, mixed, expected)
  await assertEqual(t, x, before)
  t.is(mixed.memoryFormat, 'channels_last')
  await assertEqual(t, resizeMix(x, [2, 0, 1], [where, where, where]), expected)
  await assertEqual(t, resizeMix(x, [2, 0, 1], [0, 0, 6, 8]), x.indexSelect(0, tensor(Int32Array.of(2, 0, 1))))
  const mask = randint(0, 9, [3, 8, 6])
  const values = new Set(((await mask.toArray()) as number[][][]).flat(2))
  const cut = (await resizeMix(mask, [2, 0, 1], where, { method: 'nearest' }).toArray()) as number[][][]
  t.true(cut.flat(2).every(value => values.has(value)))
  for (const dtype of ['uint8', 'float16', 'bfloat16', 'float64'] as const) {
    const picture = x.mul(40).abs().to({ dtype })
    t.is(resizeMix(picture, [2, 0, 1], where).dtype, dtype)
    await t.notThrowsAsync(resizeMix(picture, [2, 0, 1], where).data(), dtype)
  }
  t.throws(() => resizeMix(x, [2, 0, 1], [0, 0, 7, 8]), { code: 'ERR_INVALID_ARG', message: /for boxes/ })
  t.throws(() => resizeMix(randn([3, 8]), [2, 0, 1], where), { code: 'ERR_INVALID_ARG', message: /pictures of shape/ })
})

test.serial('fmix: either picture, along one outline; masks are smooth', async t => {
  manualSeed(9)
  const x = randn([3, 2, 32, 32]).contiguous({ memoryFormat: 'channels_last' })
  const draw = drawFmix(3, 32, 32, 1, { mode: 'batch' })
  if (draw === null) return t.fail()
  const mixed = fmix(x, draw.perm, draw.mask)
  t.is(mixed.memoryFormat, 'channels_last')
  const partner = x.indexSelect(0, tensor(draw.perm))
  await assertEqual(t, mixed, partner.lerp(x, draw.mask.to({ dtype: 'float32' })))
  const rows = (await drawFmix(1, 32, 32, 1e6)?.mask.toArray()) as boolean[][]
  const borders = rows.flatMap(row => row.map((value, i) => (i > 0 && value !== row[i - 1] ? 1 : 0) as number))
  const crossings = borders.reduce((sum, value) => sum + value, 0)
  t.true(crossings > 0 && crossings < 200, `${crossings} changes along the rows of half a mask`)
  t.throws(() => fmix(x, [0, 1, 2], zeros([32, 32])), { code: 'ERR_INVALID_ARG', message: /bool of shape/ })
  const own = { beta: () => Float32Array.of(0.5), permutation: () => Int32Array.of(0), integer: () => 0 }
  const normal = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i))
  const again = async () => await drawFmix(1, 9, 9, 1, { random: { ...own, normal } })?.mask.toArray()
  t.deepEqual(await again(), await again())
})
