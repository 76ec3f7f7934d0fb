import test from 'ava'
import { nn, SGD, slice, tensor } from 'torch-learner'
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
