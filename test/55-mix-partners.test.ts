// Each sample has one partner: another number of them is an error in every method, and never broadcasts.
import test from 'ava'
import { cutmix, fmix, mixup, ones, type Partners, randn, resizeMix, type Tensor, tensor } from 'torch-learner'

const mask = () => ones([4, 5], { dtype: 'bool' })
const box = [0, 0, 2, 3] as const

const methods: Record<string, (x: Tensor, perm: Partners) => Tensor> = {
  mixup: (x, perm) => mixup(x, perm, 0.5),
  cutmix: (x, perm) => cutmix(x, perm, [...box]),
  fmix: (x, perm) => fmix(x, perm, mask()),
  resizeMix: (x, perm) => resizeMix(x, perm, [...box]),
  'resizeMix with a box for each': (x, perm) => resizeMix(x, perm, Array(x.shape[0]).fill([...box])),
}

const wrong: [samples: number, perm: number[]][] = [
  [3, [0]],
  [1, [0, 0, 0]],
  [3, [0, 1, 2, 0, 1]],
  [3, []],
]

for (const [name, mix] of Object.entries(methods)) {
  test(`${name} wants a partner for each sample`, async t => {
    for (const [samples, perm] of wrong) {
      const x = randn([samples, 2, 4, 5])
      const forms: Partners[] = [perm, Int32Array.from(perm), tensor(Int32Array.from(perm))]
      for (const form of forms) {
        // at once or when it is read: of a tensor nobody waits for the shape
        const error = await t.throwsAsync(async () => await mix(x, form).data(), undefined, `${samples}, ${perm}`)
        t.true('code' in error, String(error))
      }
    }
    t.deepEqual((await mix(randn([3, 2, 4, 5]), tensor(Int32Array.of(2, 0, 1))).data()).length, 120)
  })
}
