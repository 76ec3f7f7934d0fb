import test from 'ava'
import { Adam, Lamb, Larc, nn, type OptFunc, QHAdam, RAdam, RMSProp, ranger, SGD, slice, tensor } from 'torch-learner'
import { golden } from './helpers/golden.js'

interface HyperCase {
  n_groups: number
  key: string
  value: string
  result?: number[]
  error?: string
}

function values(text: string, groups: number) {
  const [first = 0, second = 0] = (text.match(/-?\d*\.?\d+(e-?\d+)?/g) ?? []).map(Number)
  const list = (item: (i: number) => number, n = groups) => Array.from({ length: n }, (_, i) => item(i))
  if (text.startsWith('slice')) return text.includes(',') ? slice(first, second) : slice(first)
  if (text === 'list of n equal 1e-3') return list(() => first)
  if (text === 'list of 2') return [0.001, 0.01]
  if (text.startsWith('np.array')) return Float64Array.from(list(i => first * (i + 1)))
  if (text.startsWith('list')) return list(i => first * (i + 1))
  return first
}

const groupsOf = (n: number) => Array.from({ length: n }, () => [new nn.Parameter(tensor([1]))])

golden<{ cases: HyperCase[] }>('set_hyper').cases.forEach(fixture => {
  test(`golden set_hyper: ${fixture.value} for ${fixture.n_groups} groups`, t => {
    const opt = new SGD(groupsOf(fixture.n_groups), { lr: 1 })
    const set = () => opt.setHyper(fixture.key, values(fixture.value, fixture.n_groups))
    if (fixture.error !== undefined) {
      t.throws(set, { code: 'ERR_INVALID_ARG', message: /^Expected 1 (value|or \d+ values) .*for lr but received/ })
      t.deepEqual(opt.hypers[0].lr, 1)
      return
    }
    set()
    const { result = [] } = fixture
    opt.paramGroups.forEach((group, i) => {
      t.true(Math.abs(group.lr - result[i]) <= 1e-15 * Math.abs(result[i]) * 4, `${group.lr} ${result[i]}`)
    })
  })
})

test('hyper-parameters can be read and set on the group itself', t => {
  const opt = new SGD(groupsOf(2), { lr: slice(0.1, 0.2), mom: [0.8, 0.9], wd: 0.01 })
  t.deepEqual(opt.hypers, [
    { lr: 0.1, mom: 0.8, wd: 0.01 },
    { lr: 0.2, mom: 0.9, wd: 0.01 },
  ])
  opt.paramGroups[0].lr = 0.5
  t.is(opt.hypers[0].lr, 0.5)
})

test('slice takes numbers above 0', t => {
  t.throws(() => slice(0), { code: 'ERR_INVALID_ARG' })
  t.throws(() => slice(-1, 1), { code: 'ERR_INVALID_ARG' })
  t.throws(() => Reflect.apply(slice, null, []), { code: 'ERR_INVALID_ARG' })
  t.throws(() => Reflect.apply(slice, null, ['1e-3']), { code: 'ERR_INVALID_ARG' })
})

const optimizers: Record<string, (options: { lr: number; [name: string]: unknown }) => ReturnType<OptFunc>> = {
  SGD: options => new SGD(groupsOf(2), options),
  Adam: options => new Adam(groupsOf(2), options),
  RMSProp: options => new RMSProp(groupsOf(2), options),
  RAdam: options => new RAdam(groupsOf(2), options),
  QHAdam: options => new QHAdam(groupsOf(2), options),
  Larc: options => new Larc(groupsOf(2), options),
  Lamb: options => new Lamb(groupsOf(2), options),
  ranger: options => ranger(groupsOf(2), options),
}

for (const [name, make] of Object.entries(optimizers)) {
  test(`${name}: hyper-parameters out of range are refused, 0 never`, t => {
    const known = Object.keys(make({ lr: 1 }).hypers[0] ?? {})
    const wrong: Record<string, number[]> = {
      ...{ lr: [-1e-3, Number.NaN, Number.POSITIVE_INFINITY], wd: [-0.01], eps: [-1e-8] },
      ...{ mom: [-0.1, 1.1], sqrMom: [-0.1, 1.1], trustCoeff: [-1], beta: [-1] },
    }
    for (const hyper of known) {
      for (const value of wrong[hyper] ?? []) {
        const message = new RegExp(`^Expected .* for ${hyper} but received ${value} `)
        t.throws(() => make({ lr: 1, [hyper]: value }), { code: 'ERR_INVALID_ARG', message })
        t.throws(() => make({ lr: 1, [hyper]: [0.5, value] }), { code: 'ERR_INVALID_ARG', message })
        const opt = make({ lr: 1 })
        const before = opt.hypers
        t.throws(() => opt.setHyper(hyper, value), { code: 'ERR_INVALID_ARG', message })
        const saved = opt.stateDict()
        const spoilt = { ...saved, hypers: saved.hypers.map(group => ({ ...group, [hyper]: value })) }
        t.throws(() => opt.loadStateDict(spoilt), { code: 'ERR_STATE_DICT', message: new RegExp(hyper) })
        t.deepEqual(opt.hypers, before)
      }
      t.is(make({ lr: 1, [hyper]: 0 }).hypers[0]?.[hyper], 0)
    }
    for (const share of known.filter(hyper => hyper === 'mom' || hyper === 'sqrMom')) {
      const corrected = ['Adam', 'RAdam', 'QHAdam', 'Lamb', 'ranger'].includes(name)
      if (corrected) t.throws(() => make({ lr: 1, [share]: 1 }), { message: /1 excluded/ })
      else t.is(make({ lr: 1, [share]: 1 }).hypers[0]?.[share], 1)
    }
  })
}
