// The one validator: what options and arguments may be, and the one sentence that says so.
import test, { type ExecutionContext } from 'ava'
import {
  anything,
  between,
  checkArguments,
  checkOptions,
  checkValue,
  classNames,
  count,
  decayRate,
  type Field,
  finite,
  flag,
  fraction,
  func,
  instance,
  integer,
  list,
  nonNegative,
  object,
  oneOf,
  oneOfQuoted,
  only,
  positive,
  probability,
  record,
  share,
  signal,
  size,
  strictObject,
  string,
  TorchLearnerError,
  text,
  two,
  whole,
} from '../dist/check/index.js'

const NUMBERS = [-1, 0, 0.5, 1, 1.5, 2, Number.NaN, Infinity]

const FIELDS: [name: string, field: Field<unknown>, words: string, fits: unknown[], not: unknown[]][] = [
  ['flag', flag, 'true or false', [true, false], [0, 'true']],
  ['finite', finite, 'a number', [-1, 0, 0.5, 1, 1.5, 2], [Number.NaN, Infinity]],
  ['positive', positive, 'a number above 0', [0.5, 1, 1.5, 2], [-1, 0, Number.NaN, Infinity]],
  ['nonNegative', nonNegative, 'a number of at least 0', [0, 0.5, 1, 1.5, 2], [-1, Number.NaN, Infinity]],
  ['share', share, 'a number above 0, and at most 1', [0.5, 1], [-1, 0, 1.5, 2, Number.NaN, Infinity]],
  ['fraction', fraction, 'a number above 0 and below 1', [0.5], [-1, 0, 1, 1.5, 2, Number.NaN, Infinity]],
  ['probability', probability, 'a number from 0 to 1', [0, 0.5, 1], [-1, 1.5, 2, Number.NaN, Infinity]],
  ['decayRate', decayRate, 'a number from 0 to 1, 1 excluded', [0, 0.5], [-1, 1, 1.5, 2, Number.NaN, Infinity]],
  ['between', between(1, Infinity), 'a number from 1', [1, 1.5, 2, Infinity], [-1, 0, 0.5, Number.NaN]],
  ['count', count, 'a whole number from 1', [1, 2], [-1, 0, 0.5, 1.5, Number.NaN, Infinity, 2 ** 60]],
  ['integer', integer, 'a whole number', [-1, 0, 1, 2], [0.5, 1.5, Number.NaN, Infinity]],
  ['whole', whole(0, 1), 'a whole number from 0 to 1', [0, 1], [-1, 0.5, 1.5, 2, Number.NaN, Infinity]],
  ['string', string(), 'a string', ['', 'a'], [null]],
  ['text', text('a name'), 'a name', ['a'], ['', null]],
  ['oneOf', oneOf('crop', 'pad', 'squish'), 'crop, pad or squish', ['pad'], ['Pad', null]],
  ['oneOfQuoted', oneOfQuoted('elem', 'pair'), "'elem' or 'pair'", ['pair'], ['Pair']],
  ['func', func(), 'a function', [() => 1, Map], [{}]],
  ['instance', instance(Map, 'a Map'), 'a Map', [new Map()], [new Set(), null]],
  ['size', size, 'a whole number from 1 or [height, width]', [1, [2, 3]], [0, [0, 1], [1], [1, 2, 3], '1']],
  ['signal', signal, 'an AbortSignal', [AbortSignal.abort()], [{ aborted: true }]],
  ['classNames', classNames, 'an array of class names', [[], ['a']], ['a', [1]]],
  ['list', list(count, 'counts', 2), 'counts', [[1, 2]], [[1], [1, 0]]],
]

for (const [name, field, words, fits, not] of FIELDS) {
  test(`${name} takes what it says, and nothing else`, t => {
    t.is(field.what, words)
    for (const value of fits) t.deepEqual(checkValue(field, value, 'it'), value)
    const odd = [undefined, null, 1n, Symbol('s'), 'text', [], {}, () => 1].filter(value => !field.takes(value))
    for (const value of [...not, ...odd]) t.throws(() => checkValue(field, value, 'it'), { code: 'ERR_INVALID_ARG' })
    const refused = [...fits, ...not].filter(value => typeof value === 'number' && !field.takes(value))
    t.deepEqual(
      refused,
      not.filter(value => typeof value === 'number'),
    )
    t.true(odd.length >= 6)
  })
}

test('the named ranges differ in their ends only', t => {
  const taken = (field: Field<number>) => NUMBERS.filter(value => field.takes(value))
  t.deepEqual([share, fraction, probability, decayRate].map(taken), [[0.5, 1], [0.5], [0, 0.5, 1], [0, 0.5]])
})

const schema = strictObject({
  bs: count.default(64),
  name: text('a name').optional(),
  names: list(text('a name'), 'names').default([]),
})

const refused = (t: ExecutionContext, given: unknown, message: RegExp) => {
  const error = t.throws(() => checkOptions(schema, given, 'Thing'), { code: 'ERR_INVALID_ARG', message })
  t.true(error instanceof TorchLearnerError)
}

test('options come back with their defaults', t => {
  t.deepEqual(checkOptions(schema, undefined, 'Thing'), { bs: 64, names: [] })
  t.deepEqual(checkOptions(schema, { name: 'a', bs: 2 }, 'Thing'), { bs: 2, name: 'a', names: [] })
  t.deepEqual(checkOptions(schema, Object.create(null), 'Thing'), { bs: 64, names: [] })
})

test('a wrong option is named, with whose it is', t => {
  refused(t, { bs: 0 }, /^Expected a whole number from 1 for Thing's bs but received 0 of type number$/)
  refused(t, { bs: null }, /for Thing's bs but received null/)
  refused(t, { names: ['a', ''] }, /^Expected a name for Thing's names\.1 but received "" of type string$/)
  refused(t, { bs: 0, sb: 1 }, /^Expected only bs, name, names for Thing's options but received "sb"/)
})

test('options of functions go by their names alone', t => {
  t.throws(() => checkArguments(schema, { bs: 0 }, 'thing'), { message: /^Expected a whole number from 1 for bs but/ })
  t.throws(() => checkArguments(schema, { sb: 0 }, 'thing'), {
    message: /^Expected only bs, .* for the options of thing but/,
  })
})

test('what is no options object is refused, an empty one of another kind too', t => {
  for (const given of [null, 1, 'bs', [], [1], new Map(), new Date(), new Float32Array(1), () => 1]) {
    refused(t, given, /^Expected an object with bs, name, names for Thing's options but received /)
  }
})

test('options are read once', t => {
  let reads = 0
  const given = {
    get bs() {
      return ++reads
    },
  }
  t.is(checkOptions(schema, given, 'Thing').bs, 1)
  t.is(reads, 1)
})

test('options that throw when they are looked at are a coded error', t => {
  const boom = () => {
    throw new RangeError('boom')
  }
  const throwing = Object.defineProperty({}, 'bs', { enumerable: true, get: boom })
  const traps = new Proxy({}, { get: boom, getPrototypeOf: boom, ownKeys: boom })
  refused(t, throwing, /^Expected a value that can be looked at for Thing's options .*boom/)
  refused(t, traps, /boom/)
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  refused(t, proxy, /Thing's options but received a Proxy/)
  t.throws(() => checkValue(instance(Map, 'a Map'), traps, 'it'), { code: 'ERR_INVALID_ARG', message: /boom/ })
})

test('an array of holes without end is refused at its first item', t => {
  refused(t, { names: new Array(2 ** 32 - 1) }, /^Expected a name for Thing's names\.0 but received undefined/)
})

test('fields are made of others', t => {
  const read = (field: Field<unknown>, value: unknown) => checkValue(field, value, 'it')
  const wrong = (field: Field<unknown>, value: unknown, message: RegExp) =>
    t.throws(() => read(field, value), { code: 'ERR_INVALID_ARG', message })
  const nullish = count.nullish()
  t.deepEqual(
    [1, null, undefined].map(value => read(nullish, value)),
    [1, null, undefined],
  )
  wrong(nullish, 0, /^Expected a whole number from 1 for it but received 0/)
  t.is(read(count.default(3).nullable(), undefined), 3)
  const either = flag.or(count)
  t.deepEqual(
    [true, 2].map(value => read(either, value)),
    [true, 2],
  )
  wrong(either, 'x', /^Expected true or false, or a whole number from 1 for it/)
  const even = list(count).and('an even number of them', all => all.length % 2 === 0)
  t.deepEqual(read(even, [1, 2]), [1, 2])
  wrong(even, [1], /^Expected an even number of them for it but received \[1\]/)
  wrong(even, [0], /^Expected a whole number from 1 for it\.0 but received 0/)
  t.deepEqual(
    read(
      count.to(n => [n]),
      4,
    ),
    [4],
  )
  t.deepEqual(read(two(finite), [1, 2]), [1, 2])
  for (const value of [[1], [1, 2, 3], 1]) wrong(two(finite, 'a range'), value, /^Expected a range for it/)
  wrong(two(finite, 'a range'), [1, 'a'], /^Expected a number for it\.1 but received "a"/)
  t.deepEqual(read(record(count), { a: 1, __proto__: 2 }), { a: 1 })
  wrong(record(count), { a: 1, b: 0 }, /for it\.b but received 0/)
  t.is(read(only(Infinity), Infinity), Infinity)
  wrong(only('a'), 'b', /^Expected a for it/)
  t.is(read(anything, t), t)
})

test('a list is a copy that stays as it is', t => {
  const given = [1, 2]
  const taken = checkValue(list(count), given, 'it')
  t.not(taken, given)
  t.true(Object.isFrozen(taken))
})

test('objects: strict or not, with more fields or fewer, one in another', t => {
  const loose = object({ a: count })
  t.deepEqual(checkValue(loose, { a: 1, b: 2 }, 'it'), { a: 1 })
  for (const value of [null, [], 1, undefined]) {
    t.throws(() => checkValue(loose, value, 'it'), { message: /^Expected an object with a for it/ })
  }
  t.deepEqual(checkOptions(schema.pick('bs'), {}, 'Thing'), { bs: 64 })
  t.throws(() => checkOptions(schema.omit('bs'), { bs: 1 }, 'Thing'), { message: /^Expected only name, names for/ })
  t.deepEqual(checkOptions(schema.extend({ bs: flag.default(true) }), {}, 'Thing'), { bs: true, names: [] })
  t.throws(() => schema.extend({ n: String as never }), { code: 'ERR_INVALID_ARG', message: /for the field n but/ })
  const outer = strictObject({ inner: schema.optional() })
  t.throws(() => checkOptions(outer, { inner: { sb: 1 } }, 'Thing'), {
    message: /^Expected only bs, name, names for Thing's inner but received "sb"/,
  })
  t.throws(() => checkOptions(outer, { inner: { bs: 0 } }, 'Thing'), { message: /for Thing's inner\.bs but/ })
  t.throws(() => checkOptions(outer, { inner: 1 }, 'Thing'), {
    message: /^Expected an object with bs, name, names for Thing's inner but/,
  })
})

test('names that every object inherits are unknown options like others', t => {
  for (const name of ['toString', '__proto__', 'constructor']) {
    refused(t, JSON.parse(`{ "${name}": 1 }`), new RegExp(`Thing's options but received "${name}"`))
  }
})
