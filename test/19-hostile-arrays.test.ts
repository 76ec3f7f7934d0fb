// Arrays that hold themselves, lie about their length or throw when they are read: one coded error, at once.
import test, { type ExecutionContext } from 'ava'
import { memoryStats, ones, operator, SGD, scope, type Tensor, tensor, zeros } from 'torch-learner'
import { Collator } from '../dist/data/loader/collate.js'

const wrong = { name: 'TorchLearnerError', code: 'ERR_INVALID_ARG' }

function cyclic(width: number): unknown[] {
  const array: unknown[] = []
  for (let i = 0; i < width; i++) array.push(array)
  return array
}

function deep(levels: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

/** Each level holds the one below twice: 2^levels numbers in a few bytes. */
function doubled(levels: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = [value, value]
  return value
}

function long(): unknown[] {
  const array: unknown[] = []
  array.length = 2 ** 32 - 1
  return array
}

const lying = (item: unknown) =>
  new Proxy([item], { get: (target, key) => (key === 'length' ? 2 ** 32 - 1 : (Reflect.get(target, key) ?? item)) })

function throwing(): unknown[] {
  const array: unknown[] = [1, 2]
  Object.defineProperty(array, 1, {
    get() {
      throw new Error('a getter of mine')
    },
  })
  return array
}

const numbers: Record<string, () => unknown> = {
  'an array in itself': () => cyclic(1),
  'an array in itself, thrice': () => cyclic(3),
  '20,000 levels': () => deep(20_000),
  '2^60 numbers in 60 arrays': () => doubled(60),
  'a length of 2^32 - 1': long,
  'a proxy that claims 2^32 - 1 numbers': () => lying(1),
  'a getter that throws': throwing,
}

/** CPU time in ms: far less than it would take to walk what the arrays claim to be, far more than it takes to refuse them. */
const SOON = 5000

function refusedSoon(t: ExecutionContext, fn: () => unknown, name: string): void {
  const started = process.cpuUsage()
  t.throws(fn, wrong, name)
  const { user, system } = process.cpuUsage(started)
  t.true((user + system) / 1000 < SOON, name)
}

for (const [name, make] of Object.entries(numbers)) {
  test(`tensor(): ${name}`, t => refusedSoon(t, () => tensor(make() as number[]), name))
  test(`samples: ${name}`, t => refusedSoon(t, () => new Collator().stack([[make() as number[], 1]]), name))
  test(`surveyed targets: ${name}`, t => refusedSoon(t, () => [...new Collator().survey([[[1], make()]])], name))
  test(`a shape: ${name}`, t => {
    for (const shape of [
      () => zeros(make() as number[]),
      () => tensor(new Float32Array(2), { shape: make() as number[] }),
    ])
      refusedSoon(t, shape, name)
  })
}

test('an operator’s list and the parameters of an optimizer', t => {
  const call = operator('aten::sum')
  for (const make of [long, () => lying(1)]) refusedSoon(t, () => call(ones([2]), make() as number[]), 'sum')
  for (const make of [long, () => lying(ones([2]))]) {
    refusedSoon(t, () => operator('aten::cat')(make() as Tensor[]), 'cat')
    refusedSoon(t, () => new SGD(make() as Tensor[], { lr: 1 }), 'SGD')
    refusedSoon(t, () => new SGD([make() as Tensor[]], { lr: 1 }), 'SGD group')
  }
  const endless = {
    *[Symbol.iterator]() {
      const one = ones([1])
      for (;;) yield one
    },
  }
  refusedSoon(t, () => new SGD(endless, { lr: 1 }), 'endless')
})

test.serial(
  'the result of a scope: what can be walked is, whatever its form; the rest is an error, and is freed',
  async t => {
    const found = scope(() => {
      const array = cyclic(5)
      array.push(ones([1]))
      return array
    })
    t.false((found.at(-1) as Tensor).isDisposed)
    let inner = scope(() => {
      let value: unknown = ones([1])
      for (let i = 0; i < 20_000; i++) value = [value]
      return value
    })
    while (Array.isArray(inner)) inner = inner[0]
    t.false((inner as Tensor).isDisposed)
    t.is(scope(() => doubled(60) as unknown[]).length, 2)

    const before = memoryStats().tensors
    const fresh = () => new Proxy([], { get: (_, key) => (key === 'length' ? 1 : fresh()) })
    for (const make of [
      long,
      () => lying(1),
      throwing,
      fresh,
      () => Object.defineProperty({}, 'x', { enumerable: true, get: throwingGet }),
    ]) {
      refusedSoon(
        t,
        () =>
          scope(() => {
            ones([1])
            return make() === undefined ? undefined : make()
          }),
        String(make),
      )
      await t.throwsAsync(
        scope(async () => {
          ones([1])
          return make()
        }),
        wrong,
      )
    }
    t.is(memoryStats().tensors, before)
  },
)

function throwingGet(): never {
  throw new Error('a getter of mine')
}

test('arrays that are just long, deep or sparse within reason are taken', async t => {
  t.deepEqual(tensor(deep(64) as number[]).shape, new Array(64).fill(1))
  t.is(tensor(new Array(1_000_000).fill(1)).numel, 1_000_000)
  t.deepEqual(tensor([[], []]).shape, [2, 0])
  const proxied = new Proxy([new Proxy([1, 2], {}), [3, 4]], {})
  t.deepEqual(await tensor(proxied).toArray(), [
    [1, 2],
    [3, 4],
  ])
  t.deepEqual(zeros(new Proxy([2, 3], {})).shape, [2, 3])
  t.throws(() => tensor(Object.assign(new Array(3), { 0: 1, 2: 3 })), wrong)
})
