// The box that CutMix pastes.
import test from 'ava'
import fc from 'fast-check'
import { randBbox } from 'torch-learner'
import { golden } from './helpers/golden.js'

interface BboxCase {
  W: number
  H: number
  lam: number
  cx: number
  cy: number
  x1: number
  y1: number
  x2: number
  y2: number
}

test('randBbox is the reference’s, in float32 with ties to even (golden)', t => {
  const { cases } = golden<{ cases: BboxCase[] }>('rand_bbox')
  const wrong = cases.filter(({ W, H, lam, cx, cy, x1, y1, x2, y2 }) => {
    return randBbox(W, H, lam, { cx, cy }).join() !== [x1, y1, x2, y2].join()
  })
  t.deepEqual(wrong, [])
  t.true(cases.length > 0)
})

test('a box lies in its picture, around its centre, and is never larger than 1 - lam of it', t => {
  const pictures = fc.tuple(
    fc.integer({ min: 1, max: 300 }),
    fc.integer({ min: 1, max: 300 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  )
  const place = fc.double({ min: 0, max: 0.999, noNaN: true })
  const bounded = fc.property(pictures, place, place, ([W, H, lam], u, v) => {
    const [cx, cy] = [Math.floor(u * W), Math.floor(v * H)]
    const [x1, y1, x2, y2] = randBbox(W, H, lam, { cx, cy })
    const inside = 0 <= x1 && x1 <= cx && cx <= x2 && x2 <= W && 0 <= y1 && y1 <= cy && cy <= y2 && y2 <= H
    // each side may be half a pixel too long by rounding
    const side = Math.sqrt(1 - lam)
    return inside && x2 - x1 <= W * side + 0.51 && y2 - y1 <= H * side + 0.51
  })
  t.notThrows(() => fc.assert(bounded))
})

test('the centre is drawn column first, from the generator that is given', t => {
  const asked: number[] = []
  const random = {
    beta: () => new Float32Array(),
    permutation: () => new Int32Array(),
    integer: (maxExclusive: number) => asked.push(maxExclusive) + 2,
  }
  t.deepEqual(randBbox(12, 10, 0.75, { random }), randBbox(12, 10, 0.75, { cx: 3, cy: 4 }))
  t.deepEqual(asked, [12, 10])
})

test('sizes, weights and centres that can’t be', t => {
  const code = 'ERR_INVALID_ARG'
  t.throws(() => randBbox(0, 4, 0.5), { code, message: /a width in pixels for W but received 0/ })
  t.throws(() => randBbox(4, 2.5, 0.5), { code, message: /a height in pixels for H but received 2.5/ })
  for (const lam of [-0.1, 1.1, Number.NaN])
    t.throws(() => randBbox(4, 4, lam), { code, message: /from 0 to 1 for lam/ })
  t.throws(() => randBbox(4, 4, 0.5, { cx: 4, cy: 0 }), {
    code,
    message: /an integer from 0 to 3 for cx but received 4/,
  })
})
