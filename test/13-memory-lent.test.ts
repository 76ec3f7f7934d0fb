// Memory that JavaScript and tensors share is never freed, moved or cut while either uses it.
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { asTensor, mark, memoryStats, operator, synchronize, type Tensor, tensor, zeros } from 'torch-learner'
import { runProgram } from './helpers/child.js'

const into = operator('aten::zeros')

async function collect(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    globalThis.gc?.()
    await sleep(5)
  }
}

type Taking = (array: Float32Array) => unknown

/** Ways in which an ArrayBuffer loses its memory. */
const takings: Record<string, Taking> = {
  'structuredClone with transfer': ({ buffer }) => void structuredClone(buffer, { transfer: [buffer as ArrayBuffer] }),
  'postMessage with transfer': ({ buffer }) => {
    const { port1, port2 } = new MessageChannel()
    port1.postMessage(buffer, [buffer as ArrayBuffer])
    port1.close()
    port2.close()
  },
  'ArrayBuffer.prototype.transfer': ({ buffer }) =>
    'transfer' in buffer && typeof buffer.transfer === 'function' ? void buffer.transfer() : undefined,
}

for (const [name, take] of Object.entries(takings)) {
  for (const length of [10, 1_000_000]) {
    test.serial(`asTensor keeps its numbers: ${name}, ${length} of them`, async t => {
      for (const make of [asTensor, tensor]) {
        const array = new Float32Array(length).fill(7)
        const x = make(array)
        take(array)
        await collect()
        const noise = Array.from({ length: 10 }, () => new Float32Array(length).fill(-3))
        t.is(await x.sum().item(), 7 * length)
        t.is(noise.length, 10)
        x.dispose()
      }
    })
  }
}

test.serial(
  'asTensor keeps its numbers: memory of a WebAssembly.Memory that grows, of a buffer that shrinks',
  async t => {
    const { WebAssembly } = globalThis as unknown as { WebAssembly: { Memory: MemoryClass } }
    const memory = new WebAssembly.Memory({ initial: 16 })
    const x = asTensor(new Float32Array(memory.buffer).fill(2))
    memory.grow(64)
    new Float32Array(memory.buffer).fill(-1)
    t.is(await x.sum().item(), 2 * 2 ** 18)
    const Resizable = ArrayBuffer as unknown as ResizableClass
    const resizable = new Resizable(4_000_000, { maxByteLength: 4_000_000 })
    const y = asTensor(new Float32Array(resizable).fill(3))
    resizable.resize(8)
    t.is(await y.sum().item(), 3_000_000)
  },
)

type MemoryClass = new (size: { initial: number }) => { buffer: ArrayBuffer; grow(pages: number): void }
type ResizableClass = new (bytes: number, most: { maxByteLength: number }) => ArrayBuffer & { resize(to: number): void }

test('an array whose memory is gone is refused', t => {
  const array = new Float32Array(4)
  structuredClone(array.buffer, { transfer: [array.buffer] })
  for (const make of [asTensor, tensor])
    t.throws(() => make(array), { code: 'ERR_INVALID_ARG', message: /ArrayBuffer was transferred/ })
})

test.serial('shared memory is used itself, for as long as the tensor lives', async t => {
  let array: Float32Array | undefined = new Float32Array(new SharedArrayBuffer(4_000_000))
  const x = asTensor(array, { shape: [1000, 1000] })
  array.fill(5)
  t.is(await x.mean().item(), 5)
  x.fill_(6)
  await mark()
  t.is(array[999_999], 6)
  array = undefined
  await collect()
  t.is(await x.mean().item(), 6)
  await t.throwsAsync((into([2_000_000], { out: x }) as Tensor).data(), {
    code: 'ERR_OP_FAILED',
    message: /not resizable/,
  })
})

test.serial('memory that JavaScript has seen stays where it is: operators that would change it fail', async t => {
  const refused = { code: 'ERR_OP_FAILED', message: /storage that is not resizable/ }
  for (const grow of [
    (x: Tensor) => x.resize_([40_000_000]),
    (x: Tensor) => into([40_000_000], { out: x }),
    (x: Tensor) => x.view([-1]).resize_([40_000_000]),
  ]) {
    const x = zeros([1_000_000])
    const seen = (await x.data({ copy: false })) as Float32Array
    await t.throwsAsync(async () => {
      grow(x)
      await mark()
      await x.data()
    }, refused)
    seen.fill(1)
    t.is(seen[999_999], 1)
    x.dispose()
    await collect()
    t.is(seen.length + seen[5], 1_000_001)
  }
})

test.serial('what takes other memory leaves the old one to the array', async t => {
  const x = zeros([1_000_000])
  const seen = (await x.data({ copy: false })) as Float32Array
  x.set_(zeros([5]))
  t.deepEqual(x.shape, [5])
  await collect()
  t.is(seen[999_999], 0)
  // fewer elements fit into the old memory
  const y = zeros([100])
  const whole = (await y.data({ copy: false })) as Float32Array
  y.resize_([10]).fill_(3)
  await mark()
  t.is(whole[9], 3)
})

test.serial('a copy that was read can be changed and resized on either side', async t => {
  const x = zeros([100_000])
  const copy = (await x.data()) as Float32Array
  x.resize_([1_000_000])
  await mark()
  copy.fill(1)
  t.is(copy[99_999], 1)
})

test.serial(
  'reading and writing what data({ copy: false }) gave, after out= and emptyCache, harms nothing',
  async t => {
    const { code, signal, stdout } = await runProgram(`
    const x = tl.zeros([10_000_000])
    const seen = await x.data({ copy: false })
    tl.operator('aten::zeros')([40_000_000], { out: x })
    await x.data().catch(error => console.log(error.code))
    x.dispose()
    await tl.synchronize()
    tl.emptyCache()
    seen.fill(1)
    console.log(seen[5])`)
    t.is(signal, null)
    t.is(code, 0)
    t.is(stdout, 'ERR_OP_FAILED\n1\n')
  },
)

test.serial('memory lent to tensors is not counted when they are gone', async t => {
  await synchronize()
  const before = memoryStats().bytes
  const x = asTensor(new Float32Array(new SharedArrayBuffer(4_000_000)))
  t.is(memoryStats().bytes - before, 4_000_000)
  x.dispose()
  await synchronize()
  t.is(memoryStats().bytes - before, 0)
})
