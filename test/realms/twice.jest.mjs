// A test runner that resets modules loads the package twice into one process: two copies of its classes over one addon.
import { expect, jest, test } from '@jest/globals'

const first = await import('torch-learner')
jest.resetModules()
const second = await import('torch-learner')
const copies = [first, second]

test('there are two copies', () => {
  expect(first.Tensor).not.toBe(second.Tensor)
})

test('each computes, by turns, and frees what it made', async () => {
  for (const tl of [...copies, ...copies]) {
    const before = tl.memoryStats().tensors
    const sum = await tl.scope(() => tl.tensor([1, 2]).add(1).sum().item())
    expect(sum).toBe(5)
    expect(tl.memoryStats().tensors).toBe(before)
  }
})

test('errors of either are TorchLearnerErrors to both', async () => {
  for (const tl of copies) {
    const failed = await tl
      .randn([2, 3])
      .mm(tl.randn([2, 3]))
      .data()
      .catch(error => error)
    for (const { TorchLearnerError, nn } of copies) {
      expect(failed).toBeInstanceOf(TorchLearnerError)
      expect(() => new nn.Linear('x', 1)).toThrow(TorchLearnerError)
    }
    expect(failed.code).toBe('ERR_OP_FAILED')
  }
})

test("the other's tensors and modules are refused, not misunderstood", () => {
  expect(() => first.tensor([1]).add(second.tensor([1]))).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG' }))
  expect(() => new first.nn.Sequential(new second.nn.ReLU())).toThrow(first.TorchLearnerError)
})

test('each trains', async () => {
  for (const tl of copies) {
    const batches = [[tl.randn([4, 3]), tl.randn([4, 1])]]
    const learn = new tl.Learner({ train: batches, valid: batches }, new tl.nn.Linear(3, 1), {
      lossFunc: new tl.MSELossFlat(),
    })
    learn.logger = () => undefined
    await learn.removeCb(tl.ProgressCallback).fit(1, { lr: 0.1 })
    expect(learn.recorder.losses).toHaveLength(1)
  }
})
