// memoryStats().bytes is what the live handles hold: every storage once, whichever way its handle was made.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  grad,
  loadPth,
  loadPthSync,
  loadSafetensors,
  memoryStats,
  ones,
  operator,
  ops,
  saveSafetensors,
  scope,
  synchronize,
  type Tensor,
  tensor,
  zeros,
} from 'torch-learner'
import { runProgram } from './helpers/child.js'
import { legacyFile } from './helpers/pth.js'

const folder = mkdtempSync(join(tmpdir(), 'torch-learner-'))
test.after.always(() => rmSync(folder, { recursive: true, force: true }))

const MB = 2 ** 20

/** By how many bytes `fn` raises what is held, and whether freeing its results gives them back. */
async function adds(fn: () => Tensor[] | Promise<Tensor[]>): Promise<{ more: number; left: number }> {
  await synchronize()
  const before = memoryStats().bytes
  const made = await fn()
  await synchronize()
  const more = memoryStats().bytes - before
  for (const one of made) one.dispose()
  await synchronize()
  return { more, left: memoryStats().bytes - before }
}

const base = ones([MB / 4])

const roads: Record<string, [megabytes: number, make: () => Tensor[] | Promise<Tensor[]>]> = {
  'an operator': [1, () => [base.add(1)]],
  'tensor() of a typed array': [4, () => [tensor(new Float32Array(MB))]],
  'tensor() of numbers': [1, () => [tensor(new Array(MB / 4).fill(1))]],
  'a list of results': [2, () => ops.unsafe.aten._foreach_add([base, base], 1) as Tensor[]],
  'split, whose parts are views': [0, () => base.split(MB / 16)],
  'a view, and its base': [1, () => [base.add(1)].flatMap(made => [made, made.view([2, -1]), made.detach()])],
  'a view whose base is gone': [
    1,
    () => {
      const made = base.add(1)
      const view = made.view([2, -1])
      made.dispose()
      return [view]
    },
  ],
  'a tensor that grows': [
    3,
    () => {
      const made = zeros([1])
      return [made.resize_([(3 * MB) / 4])]
    },
  ],
  'out=': [
    2,
    () => {
      const out = zeros([0])
      operator('aten::zeros')([MB / 2], { out })
      return [out]
    },
  ],
  'grad()': [
    2,
    () => {
      const w = ones([MB / 4], { requiresGrad: true })
      return [w, ...scope(() => grad(w.mul(2).sum(), [w]))]
    },
  ],
  'a .grad that was read': [
    2,
    () => {
      const w = ones([MB / 4], { requiresGrad: true })
      scope(() => w.mul(2).sum().backward())
      return [w, w.grad, w.grad].filter(one => one !== null)
    },
  ],
}

const state = new Map([['w', base]])
const [pth, safetensors] = [join(folder, 'w.pth'), join(folder, 'w.safetensors')]
test.before(async () => {
  writeFileSync(pth, await legacyFile(state))
  await saveSafetensors(safetensors, state)
})
Object.assign(roads, {
  loadPth: [1, async () => [...(await loadPth(pth)).values()]],
  loadPthSync: [1, () => [...loadPthSync(pth).values()]],
  loadSafetensors: [1, async () => [...(await loadSafetensors(safetensors)).values()]],
} satisfies typeof roads)

for (const [name, [megabytes, make]] of Object.entries(roads)) {
  test.serial(`counted by bytes: ${name}`, async t => {
    const { more, left } = await adds(make)
    t.true(Math.abs(more - megabytes * MB) < 1024, `${more} bytes`)
    t.true(Math.abs(left) < 1024, `${left} bytes are left`)
  })
}

test.serial('V8 hears of every large tensor: forgotten ones are collected in time', async t => {
  for (const make of ['tl.tensor(source)', 'tl.zeros([12.5e6])', 'tl.ops.unsafe.aten._foreach_add([base], 1)']) {
    const { code, stdout, stderr } = await runProgram(`
      const source = new Float32Array(12.5e6)
      const base = tl.zeros([12.5e6])
      let peak = 0
      for (let i = 0; i < 60; i++) {
        ${make}
        await tl.synchronize()
        await new Promise(resolve => setImmediate(resolve))
        peak = Math.max(peak, tl.memoryStats().bytes)
      }
      console.log(peak / 2 ** 20)`)
    t.is(code, 0, stderr)
    t.true(Number(stdout) < 1000, `${make}: ${stdout} MB of 3,000 were held at once`)
  }
})
