// Mixing alone: one native pass against the two operators that it replaces, and against what memory itself allows.
import { pathToFileURL } from 'node:url'
import { cutmix, emptyCache, mark, mixup, ops, rand, randn, randperm, scope, zeros } from 'torch-learner'
import { median, print } from './table.mjs'

export const milliseconds = value => `${value.toFixed(value < 1 ? 3 : 2)} ms`

/** Milliseconds of one call of `fn`, from its being queued until it has run; short ones are queued several at a time. */
async function timed(fn, repeats) {
  await mark()
  const start = process.hrtime.bigint()
  for (let i = 0; i < repeats; i++) scope(() => void fn())
  await mark()
  return Number(process.hrtime.bigint() - start) / 1e6 / repeats
}

/** Medians of several functions that take turns, so that whatever else happens on the machine hits all of them. */
export async function inTurns(functions, rounds, repeats) {
  const times = Object.fromEntries(Object.keys(functions).map(name => [name, []]))
  for (let round = -2; round < rounds; round++) {
    for (const [name, { fn, before }] of Object.entries(functions)) {
      await before?.()
      const time = await timed(fn, repeats)
      if (round >= 0) times[name].push(time)
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]))
}

/** Memory as PyTorch's allocator hands it out for large tensors: fresh from the system, page by page. */
export async function coldMemory() {
  await mark()
  emptyCache()
}

async function compare(n, size, { rounds, repeats }) {
  const shape = [n, 3, size, size]
  const x = randn(shape)
  const other = randn(shape)
  const out = zeros(shape)
  const perm = randperm(n)
  const lam = rand([n])
  const weights = lam.view([n, 1, 1, 1])
  const twoOperators = () => x.index([perm]).lerp(x, weights)
  const times = await inTurns(
    {
      cold: { fn: twoOperators, before: coldMemory },
      warm: { fn: twoOperators },
      mixup: { fn: () => mixup(x, perm, lam) },
      into: { fn: () => mixup(x, perm, lam, { out }) },
      copy: { fn: () => out.copy_(x) },
      triad: { fn: () => ops.aten.add(x, other, { alpha: 3, out }) },
    },
    rounds,
    repeats,
  )
  for (const tensor of [x, other, out, perm, lam, weights]) tensor.dispose()
  return times
}

/** A box of three fifths of the height and width, 36 % of the picture, as reference.py has it. */
async function compareBoxes(n, size, { rounds, repeats }) {
  const shape = [n, 3, size, size]
  const [x, out] = [randn(shape), zeros(shape)]
  const perm = randperm(n)
  const [from, to] = [Math.floor(size / 5), Math.floor((size * 4) / 5)]
  const box = [from, from, to, to]
  const inBox = t => t.slice(2, from, to).slice(3, from, to)
  // fastai's way: every picture is gathered, for the sake of a box
  const gathered = () => inBox(x).copy_(inBox(x.index([perm])))
  const times = await inTurns(
    {
      cold: { fn: gathered, before: coldMemory },
      warm: { fn: gathered },
      inPlace: { fn: () => cutmix(x, perm, box, { inPlace: true }) },
      apart: { fn: () => cutmix(x, perm, box) },
      copy: { fn: () => out.copy_(x) },
    },
    rounds,
    repeats,
  )
  for (const tensor of [x, out, perm]) tensor.dispose()
  return times
}

async function boxRows(reference, n, size, options, add) {
  const times = await compareBoxes(n, size, options)
  const what = `cutmix of ${n}x3x${size}x${size} float32`
  if (reference !== null) {
    const python = median((await reference.ask(`cutmix ${n} ${size} 30`)).slice(5)) * 1000
    add(`${what}, in place, against fastai's way in Python`, times.inPlace, python, python / times.inPlace, '')
    add(`${what}, leaving the batch, against the same`, times.apart, python, python / times.apart, '')
  }
  add(`${what}, in place, against x[perm] in fresh memory`, times.inPlace, times.cold, times.cold / times.inPlace, '')
  add(`${what}, in place, against x[perm] in reused memory`, times.inPlace, times.warm, times.warm / times.inPlace, '')
  add(`${what}, leaving the batch, against memcpy`, times.apart, times.copy, times.copy / times.apart, '')
}

/**
 * @param reference the Python side (see python.mjs), or null: then PyTorch's way is measured with our operators in cold
 * memory
 * @returns rows for the table; ratios are speeds, the reference's time through ours
 */
export async function run(reference = null) {
  const rows = []
  const add = (what, here, against, ratio, aim) =>
    rows.push({
      what,
      here: milliseconds(here),
      reference: milliseconds(against),
      ratio: `${ratio.toFixed(2)}x`,
      aim,
    })
  for (const [n, size] of [
    [64, 224],
    [128, 64],
    [128, 32],
  ]) {
    const large = size === 224
    const options = large ? { rounds: 25, repeats: 1 } : { rounds: 40, repeats: 20 }
    const times = await compare(n, size, options)
    const what = `mixup of ${n}x3x${size}x${size} float32`
    const python = reference === null ? null : median((await reference.ask(`mixup ${n} ${size} 30`)).slice(5)) * 1000
    if (python !== null) add(`${what}, against Python's x[perm] + lerp`, times.mixup, python, python / times.mixup, '')
    if (large) {
      add(`${what}, against x[perm] + lerp in fresh memory`, times.mixup, times.cold, times.cold / times.mixup, '>= 8x')
    }
    add(`${what}, against x[perm] + lerp in reused memory`, times.mixup, times.warm, times.warm / times.mixup, '')
    add(`${what}, into a given tensor, against memcpy`, times.into, times.copy, times.copy / times.into, '')
    add(
      `${what}, into a given tensor, against triad`,
      times.into,
      times.triad,
      times.triad / times.into,
      large ? '>= 0.9x' : '',
    )
    await boxRows(reference, n, size, options, add)
  }
  return rows
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) print(await run())
