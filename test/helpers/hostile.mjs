// Calls everything public with hostile values in every place, one at a time among arguments that are right or left out, and
// writes what came out that is no coded error, as JSON. In a process of its own: it must survive, and hang nowhere.
import { mkdtempSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import vm from 'node:vm'
import * as tl from '../../dist/index.js'

const folder = mkdtempSync(join(tmpdir(), 'torch-learner-hostile-'))
process.chdir(folder)

const boom = () => {
  throw new RangeError('boom')
}

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function detached() {
  const array = new Float32Array(4)
  structuredClone(array.buffer, { transfer: [array.buffer] })
  return array
}

function cyclic() {
  const object = { a: 1 }
  object.self = object
  return object
}

const traps = ['get', 'has', 'getPrototypeOf', 'ownKeys', 'getOwnPropertyDescriptor', 'apply', 'construct']
const throwing = target => new Proxy(target, Object.fromEntries(traps.map(trap => [trap, boom])))

/** By name, how to make one. */
const HOSTILE = {
  symbol: () => Symbol('s'),
  'revoked proxy': revoked,
  'throwing proxy': () => throwing({}),
  'throwing function proxy': () => throwing(() => 1),
  'throwing getter': () => ({
    get length() {
      return boom()
    },
    get x() {
      return boom()
    },
    get shape() {
      return boom()
    },
  }),
  'throwing conversion': () => ({ [Symbol.toPrimitive]: boom, toString: boom, valueOf: boom }),
  'cyclic object': cyclic,
  'null-prototype': () => Object.assign(Object.create(null), { a: 1 }),
  'foreign object': () => vm.runInNewContext('({ a: [1, 2] })'),
  'foreign error': () => vm.runInNewContext('new TypeError("x")'),
  bigint: () => 2n ** 70n,
  'detached buffer': detached,
  'long string': () => 'x'.repeat(100_000),
  'line breaks': () => 'a\r\nb\u2028c\u001b[31m',
  'NUL in a string': () => 'a\0b',
  'array of symbols': () => [Symbol('s'), Symbol('t')],
  'array of proxies': () => [revoked(), revoked()],
  'named class': () => Object.defineProperty(class {}, 'name', { value: Symbol('n') }),
  'throwing iterable': () => ({ [Symbol.iterator]: boom }),
  'rejecting iterable': () => ({
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new RangeError('boom')) }),
  }),
  'throwing thenable': () => Object.defineProperty({}, 'then', { get: boom }),
  'typed array of no dtype': () => new BigUint64Array(2),
  ...(globalThis.Float16Array ? { Float16Array: () => new globalThis.Float16Array(2) } : {}),
}

const x = () => tl.randn([2, 3])
/** Where a call needs something right before the place that is tried. */
const RIGHT = {
  string: () => 'name',
  tensor: x,
  array: () => [2, 2],
  function: () => () => x(),
}
const PLACES = 3

// errors are made by us alone; the constructors of Tensor and ClassificationInterpretation are internal, as is
// what the abstract handlers take from their subclasses; doctor takes nothing
const EXCLUDED = new Set([
  'TorchLearnerError',
  'StateDictError',
  'Tensor',
  'ClassificationInterpretation',
  'doctor',
  'RegionMix',
  'MixHandler',
  // an error of its handler is the program's own, as one of an event's listener is
  'onUnreadError',
])
/** Large networks take the same road as resnet18. */
const LARGE = /^(wideResnet|resnext|resnet(34|50|101|152))/
const INTERNAL = new Set(['constructor', 'handOver', 'take', 'written'])

function members(prefix, space) {
  return Object.entries(space)
    .filter(([name, value]) => typeof value === 'function' && !EXCLUDED.has(name) && !LARGE.test(name))
    .map(([name, value]) => {
      const isClass = /^class\b/.test(Function.prototype.toString.call(value))
      return [prefix + name, isClass ? args => new value(...args) : args => value(...args)]
    })
}

function methodsOf(label, make, prototype) {
  return Object.entries(Object.getOwnPropertyDescriptors(prototype))
    .filter(([name, { value }]) => typeof value === 'function' && !INTERNAL.has(name) && !name.startsWith('_'))
    .map(([name]) => [`${label}.${name}`, args => make()[name](...args)])
}

const sgd = () => new tl.SGD([[tl.ones([1], { requiresGrad: true })]], { lr: 0.1 })
const loader = () => new tl.DataLoader(new tl.TensorDataset(x(), tl.zeros([2])), { bs: 1 })
const loaders = () => new tl.DataLoaders(loader(), loader())
function learner() {
  const learn = new tl.Learner(loaders(), new tl.nn.Linear(3, 1), { lossFunc: new tl.MSELossFlat(), path: folder })
  learn.logger = () => undefined
  return learn.removeCb(tl.ProgressCallback)
}

const OWN = new Set(
  'data dataSync item itemSync toArray toArraySync backward keep dispose detach to add add_ sum index reshape'
    .split(' ')
    .map(name => `Tensor.${name}`),
)

const CALLS = new Map([
  ...members('', tl),
  ...members('nn.', tl.nn),
  ...members('optim.', tl.optim),
  ...members('hostRandom.', tl.hostRandom),
  ...members('cuda.', tl.cuda),
  // all operators take one road: those that Tensor has itself, and a few of them
  ...methodsOf('Tensor', x, tl.Tensor.prototype).filter(([name], i) => i % 40 === 0 || OWN.has(name)),
  ...methodsOf('Module', () => new tl.nn.Linear(3, 1), tl.nn.Module.prototype),
  ...methodsOf('Sequential', () => new tl.nn.Sequential(new tl.nn.Linear(3, 1)), tl.nn.Sequential.prototype),
  ...methodsOf('Optimizer', sgd, tl.Optimizer.prototype),
  ...methodsOf('Learner', learner, tl.Learner.prototype),
  ...methodsOf('Recorder', () => learner().recorder, tl.Recorder.prototype),
  ...methodsOf('DataLoader', loader, tl.DataLoader.prototype),
  ...methodsOf('DataLoaders', loaders, tl.DataLoaders.prototype),
])

/** What public functions give back, and users call: schedules, splitters, labellers, losses, transforms, metrics. */
const RETURNED = {
  'RandomSplitter()': () => tl.RandomSplitter(0.5),
  'GrandparentSplitter()': () => tl.GrandparentSplitter(),
  'RegexLabeller()': () => tl.RegexLabeller('a'),
  'schedCos()': () => tl.schedCos(0, 1),
  'schedExp()': () => tl.schedExp(0.1, 1),
  'schedLin()': () => tl.schedLin(0, 1),
  'schedNo()': () => tl.schedNo(0, 1),
  'operator()': () => tl.operator('aten::add'),
  'CrossEntropyLossFlat()': () => new tl.CrossEntropyLossFlat(),
  'BCEWithLogitsLossFlat()': () => new tl.BCEWithLogitsLossFlat(),
  'MSELossFlat()': () => new tl.MSELossFlat(),
  'L1LossFlat()': () => new tl.L1LossFlat(),
  'FocalLossFlat()': () => new tl.FocalLossFlat(),
  'LabelSmoothingCrossEntropyFlat()': () => new tl.LabelSmoothingCrossEntropyFlat(),
  'Normalize()': () => new tl.Normalize([0.5], [0.5]),
  'IntToFloatTensor()': () => new tl.IntToFloatTensor(),
  'RandomErasing()': () => new tl.RandomErasing({ p: 1 }),
  'AffineAugment()': () => tl.augTransforms()[0],
  'BatchResizedCrop()': () => new tl.BatchResizedCrop(4),
  'Resize()': () => new tl.Resize(4),
  'CropPad()': () => new tl.CropPad(4),
  'RandomCrop()': () => new tl.RandomCrop(4),
  'RandomResizedCrop()': () => new tl.RandomResizedCrop(4),
  'CategoryBlock()': () => new tl.CategoryBlock(),
  'MultiCategoryBlock()': () => new tl.MultiCategoryBlock(),
  'RegressionBlock()': () => new tl.RegressionBlock(),
}
for (const [name, make] of Object.entries(RETURNED)) {
  const made = make()
  if (typeof made === 'function') CALLS.set(name, args => make()(...args))
  const isLoss = /Loss/.test(name)
  const own = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(made))
  for (const [method, { value }] of Object.entries(typeof made === 'object' || isLoss ? own : {})) {
    if (typeof value !== 'function' || INTERNAL.has(method)) continue
    CALLS.set(`${name}.${method}`, args => make()[method](...args))
  }
}

/** Arguments with the hostile value in one place: what is before it is right, as far as one may guess. */
function* argumentLists(hostile) {
  yield [hostile()]
  for (const before of Object.values(RIGHT)) yield [before(), hostile()]
  for (const option of OPTIONS) yield [{ [option]: hostile() }]
  for (let place = 2; place < PLACES; place++) yield [...Array.from({ length: place }, RIGHT.tensor), hostile()]
}
const OPTIONS = ['bs', 'dtype', 'file', 'alpha', 'random', 'cbs', 'signal', 'axis']

const counts = { returned: 0, coded: 0, own: 0, hung: 0 }
const uncoded = new Map()

function note(error, call, value) {
  const message = error?.message
  const fine =
    error instanceof tl.TorchLearnerError && /^ERR_[A-Z_]+$/.test(error.code) && /^\S[^\n\r\u2028]*\S$/.test(message)
  if (fine && message.length < 10_000) counts.coded++
  // what the code of a value throws is the value's own
  else if (OWN_ERRORS.some(own => own.test(message))) counts.own++
  else {
    const key = `${call}: ${String(error?.stack ?? error)
      .split('\n')
      .filter(line => !/hostile|async_hooks|anonymous|node:internal/.test(line))
      .slice(0, 4)
      .join('\n')
      .slice(0, 400)}`
    const known = uncoded.get(key)
    if (known) known.push(value)
    else uncoded.set(key, [value])
  }
}
/**
 * What a getter or a trap of the value threw passes where nobody but the value's owner can mend it; so does what the engine says
 * of a revoked proxy, and of a class that is given as a function to call.
 */
const OWN_ERRORS = [/^boom$/, /on a proxy that has been revoked$/, /^Class constructors cannot be invoked/]

let current = ['', '']
process.on('unhandledRejection', error => note(error, `${current[0]} (unhandled)`, current[1]))
process.on('warning', () => undefined)

async function settle(result) {
  if (result instanceof tl.Tensor) return result.numel < 1e6 ? result.data() : undefined
  if (typeof result !== 'object' || result === null || typeof result.then !== 'function') return undefined
  const timer = new Promise(resolve => setTimeout(resolve, 1000, counts).unref())
  const settled = await Promise.race([result, timer])
  if (settled === counts) counts.hung++
  return settled instanceof tl.Tensor ? settle(settled) : undefined
}

const [only = '', onlyValue = ''] = process.argv.slice(2)
const stdout = process.stdout.write
process.stdout.write = () => true
process.stderr.write = () => true
for (const [call, run] of CALLS) {
  if (!call.includes(only)) continue
  for (const [value, make] of Object.entries(HOSTILE)) {
    if (!value.includes(onlyValue)) continue
    for (const args of call.startsWith('resnet') ? [[make()], [{}, make()]] : argumentLists(make)) {
      current = [call, value]
      try {
        await tl.scope(async () => {
          await settle(run(args))
          counts.returned++
        })
      } catch (error) {
        note(error, call, value)
      }
    }
  }
  await new Promise(resolve => setImmediate(resolve)) // lets the collector free what nobody holds
  await tl.mark().catch(error => note(error, `${call} (mark)`, ''))
}
process.stdout.write = stdout
rmSync(folder, { recursive: true, force: true })
writeSync(1, JSON.stringify({ ...counts, calls: CALLS.size, uncoded: [...uncoded] }))
process.exit(0)
