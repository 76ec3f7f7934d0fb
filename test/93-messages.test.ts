// Messages: one line and of bearable length, whatever was passed; no text of libtorch's that asks our users for reports.
import test from 'ava'
import {
  asTensor,
  Callback,
  loadSafetensors,
  nn,
  ops,
  RegexLabeller,
  randn,
  SGD,
  TorchLearnerError,
  tensor,
  zeros,
} from 'torch-learner'

const boom = () => {
  throw new RangeError('boom')
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** Hostile values, and how messages show them. */
const SHOWN: [value: unknown, shown: RegExp][] = [
  [Symbol('s'), /received Symbol\(s\) of type symbol/],
  [revoked(), /received a Proxy of type Proxy/],
  [[revoked(), 1], /received \[a Proxy, 1\] of type array/],
  [new Proxy([], { get: boom, getPrototypeOf: boom, ownKeys: boom }), /received a Proxy of type Proxy/],
  [Object.defineProperty([1, 2], 0, { get: boom }), /received \[an object that throws when it is looked at, 2\]/],
  [
    Object.defineProperty(new Error('x'), 'message', { get: boom }),
    /received an object that throws when it is looked at/,
  ],
  [
    Object.create({
      get constructor() {
        return boom()
      },
    }),
    /received an object that throws .* of type an object that throws/,
  ],
  [Object.defineProperty(class {}, 'name', { value: Symbol('n') }), /received a function of type function/],
  [{ toString: boom, valueOf: boom }, /received \{ toString, valueOf \} of type object/],
  [Object.assign(Object.create(null), { a: 1 }), /received \{ a \} of type object/],
  [{ 'a\nb': 1, ['k'.repeat(100_000)]: 2 }, /received \{ a\\x0ab, k+\.\.\. of type object/],
  ['a\r\nb\u2028\u001b[31m', /received "a\\r\\nb\\u2028\\u001b\[31m" of type string/],
  ['x'.repeat(100_000), /received "x{70,80}\.\.\. of type string/],
  [Symbol('line\nbreak'), /received Symbol\(line\\x0abreak\) of type symbol/],
  [2n ** 4000n, /received a bigint of many digits of type bigint/],
]

for (const [i, [value, shown]] of SHOWN.entries()) {
  test(`value ${i} is shown, and running none of its code`, t => {
    const error = t.throws(() => zeros([1], { requiresGrad: value as boolean }), { instanceOf: TorchLearnerError })
    t.is(error?.code, 'ERR_INVALID_ARG')
    t.regex(error?.message ?? '', shown)
    t.notRegex(error?.message ?? '', /[\p{Cc}\u2028]/u)
    t.true((error?.message.length ?? 0) < 300, error?.message)
  })
}

test('what is put into messages elsewhere is cut and on one line too', async t => {
  const long = 'x'.repeat(100_000)
  const model = new nn.Linear(1, 1)
  const thrown: unknown[] = []
  for (const call of [
    () => model.loadStateDict({ [`a\nb${long}`]: tensor([1]) }),
    () => new SGD([[tensor([1])]], { lr: 1, [`a\nb${long}`]: 1 }),
    () => new Callback({ [`a\nb${long}`]: () => undefined }),
    () => RegexLabeller(/a/)(`b\nc${long}`),
    () => randn([1], { [`a\nb${long}`]: 1 } as object),
    () => loadSafetensors(`a\nb/${'x/'.repeat(2000)}`),
  ]) {
    try {
      await call()
      t.fail(`${call} has not thrown`)
    } catch (error) {
      thrown.push(error)
    }
  }
  for (const error of thrown) {
    if (!(error instanceof TorchLearnerError)) continue // loadSafetensors: the system's own error
    t.notRegex(error.message, /[\p{Cc}\u2028]/u)
    t.true(error.message.length < 5000, `${error.message.length}: ${error.message.slice(0, 200)}`)
  }
  t.true(thrown.length >= 6)
})

test('a message keeps its end when something in it is cut', t => {
  const { message } = new TorchLearnerError('ERR_STATE', `Expected ${'x'.repeat(5000)} here.\nDo that`)
  t.regex(message, /^Expected x+\.\.\.x+ here\. Do that$/)
  t.true(message.length < 400)
  const words = new TorchLearnerError('ERR_STATE', `${'word '.repeat(50_000)}end`).message
  t.true(words.length < 9000)
  t.regex(words, /\(\d+ characters\).*end$/)
})

test("libtorch's failed assertions don't ask for reports", async t => {
  const x = tensor([1, 2])
  const cases: [call: () => Promise<unknown>, said: RegExp][] = [
    [
      () => (ops.aten.mse_loss as (...args: unknown[]) => typeof x)(x, x, 7, { out: zeros([]) }).data(),
      /^The operator was called with arguments that libtorch doesn't handle: expected reduction == .* \(aten::mse_loss/,
    ],
    [() => tensor([2]).bernoulli().data(), /^Expected p_in >= 0 && p_in <= 1 \(aten::bernoulli/],
  ]
  for (const [call, said] of cases) {
    const error = await t.throwsAsync(call, { instanceOf: TorchLearnerError, code: 'ERR_OP_FAILED' })
    t.regex(error?.message ?? '', said)
    t.notRegex(error?.message ?? '', /please|PyTorch\b|INTERNAL/)
  }
})

test('what a hostile argument throws when it is looked at comes out coded', t => {
  const throwing = () => new Proxy({}, { get: boom, has: boom, getPrototypeOf: boom, ownKeys: boom }) as never
  const calls: (() => unknown)[] = [revoked as () => never, throwing].flatMap(make => [
    () => randn([1]).add(make()),
    () => randn([1]).sum(make()),
    () => zeros(make()),
    () => new nn.Linear(1, 1, make()),
    () => new nn.MaxPool2d(make()),
    () => new SGD([[tensor([1])]], make()),
  ])
  for (const call of calls) {
    const error = t.throws(call, { code: 'ERR_INVALID_ARG' }, String(call))
    t.true(error instanceof TorchLearnerError)
    t.notRegex(error?.message ?? '', /[\p{Cc}\u2028]/u)
  }
})

test('an array whose memory has been transferred is refused', t => {
  const array = new Float32Array(4)
  structuredClone(array.buffer, { transfer: [array.buffer] })
  t.throws(() => tensor(array), { code: 'ERR_INVALID_ARG', message: /transferred/ })
  t.throws(() => asTensor(array), { code: 'ERR_INVALID_ARG' })
  t.is(tensor(new Float32Array(0)).numel, 0)
})
