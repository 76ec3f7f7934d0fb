// From a loader's bytes to a normalised, mixed batch: one pass against the four steps that it replaces, to float,
// normalise, index, lerp.
//   node bench/preprocess.mjs          without PyTorch: the steps are libtorch's operators, called from here
//   npm run bench                      with it, as part of everything
import { pathToFileURL } from 'node:url'
import { imagenetStats, mark, ops, rand, randint, randperm, scope, tensor } from 'torch-learner'
import { coldMemory, inTurns, milliseconds } from './mixup.mjs'
import { median, print } from './table.mjs'

const [mean, std] = imagenetStats

/** Fresh pages that the kernel hands out for one call of `fn`, once memory has been used before. */
async function pageFaults(fn) {
  const calls = 10
  for (let i = 0; i < 3; i++) scope(() => void fn())
  await mark()
  const before = process.resourceUsage().minorPageFault
  for (let i = 0; i < calls; i++) scope(() => void fn())
  await mark()
  return Math.round((process.resourceUsage().minorPageFault - before) / calls)
}

function stepsFor(n, size) {
  // as a decoder leaves pictures: channels last
  const bytes = randint(0, 256, [n, size, size, 3], { dtype: 'uint8' }).permute([0, 3, 1, 2])
  const [means, stds] = [mean, std].map(values => tensor(Float32Array.from(values), { shape: [1, 3, 1, 1] }))
  const perm = randperm(n)
  const lam = rand([n])
  const weights = lam.view([n, 1, 1, 1])
  const normalised = () => bytes.to({ dtype: 'float32' }).div_(255).sub(means).div(stds)
  return {
    tensors: [bytes, means, stds, perm, lam, weights],
    separate: () => {
      const x = normalised()
      return x.index([perm]).lerp(x, weights)
    },
    fused: () => ops.torch_learner.normalize_mixup(bytes, mean, std, perm, lam, { divisor: 255 }),
    normalised,
    normalise: () => ops.torch_learner.normalize(bytes, mean, std, { divisor: 255 }),
  }
}

async function compare(n, size, { rounds, repeats }) {
  const { tensors, separate, fused, normalised, normalise } = stepsFor(n, size)
  const equal = await fused().equal(separate())
  if (!equal) throw new Error('the one pass does not give what the steps give')
  const times = await inTurns(
    {
      cold: { fn: separate, before: coldMemory },
      warm: { fn: separate },
      fused: { fn: fused },
      normalisedCold: { fn: normalised, before: coldMemory },
      normalise: { fn: normalise },
    },
    rounds,
    repeats,
  )
  const faults = await pageFaults(fused)
  for (const one of tensors) one.dispose()
  return { ...times, faults }
}

/**
 * @param reference the Python side (see python.mjs), or null
 * @returns rows for the table; ratios are speeds, the reference's time through ours
 */
export async function run(reference = null) {
  const rows = []
  const add = (what, here, against, aim = '') =>
    rows.push({
      what,
      here: milliseconds(here),
      reference: milliseconds(against),
      ratio: `${(against / here).toFixed(2)}x`,
      aim,
    })
  for (const [n, size] of [
    [64, 224],
    [128, 64],
    [128, 32],
  ]) {
    const large = size === 224
    const times = await compare(n, size, large ? { rounds: 25, repeats: 1 } : { rounds: 40, repeats: 20 })
    const what = `bytes to mixed floats, ${n}x3x${size}x${size}`
    if (reference !== null) {
      const seconds = median((await reference.ask(`preprocess ${n} ${size} 30`)).slice(5))
      add(`${what}, against the four steps in Python`, times.fused, seconds * 1000, large ? '>= 8x' : '')
    }
    add(`${what}, against the four steps in fresh memory`, times.fused, times.cold, large ? '>= 8x' : '')
    add(`${what}, against the four steps in reused memory`, times.fused, times.warm)
    add(`${what}, unmixed, against the two steps in fresh memory`, times.normalise, times.normalisedCold)
    rows.push({ what: `${what}, page faults a batch`, here: String(times.faults) })
  }
  return rows
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) print(await run())
