import test from 'ava'
import {
  CrossEntropyLossFlat,
  DataLoaders,
  type ErrorCode,
  Learner,
  type LearnerOptions,
  nn,
  ProgressCallback,
  randn,
  SGD,
  scope,
  type Tensor,
  TorchLearnerError,
  tensor,
  zeros,
} from 'torch-learner'
import { temporaryFolder, writeFiles } from './pictures.js'

const SECONDS = 20
export const SAMPLES = [[1], [2]]
const TEXTS = [
  'empty/notes.txt',
  ...['one/cat', 'two/cat', 'two/dog'].flatMap(name => [0, 1, 2, 3].map(i => `${name}/${i}.png`)),
]

/** What TypeScript would refuse, as JavaScript hands it over. */
export const wrong = <T>(value: unknown): T => value as T

export const classes = (...numbers: number[]) => tensor(numbers, { dtype: 'int64' })

/** A Learner of 3 features and 2 classes whose only batch, for training and validation, is this one. */
export function learnerOf(
  batch: unknown[],
  options: LearnerOptions = {},
  model: nn.Module = new nn.Linear(3, 2),
): Learner {
  const batches = [batch as Tensor[]]
  const learn = new Learner(new DataLoaders(batches, batches), model, {
    lossFunc: new CrossEntropyLossFlat(),
    optFunc: (groups, { lr }) => new SGD(groups, { lr }),
    ...options,
  })
  learn.logger = () => undefined
  return learn.removeCb(ProgressCallback)
}

export const train = (batch: unknown[], options: LearnerOptions = {}) => learnerOf(batch, options).fit(1)
export const good = (): Tensor[] => [randn([4, 3]), classes(0, 1, 0, 1)]

export function disposed(x: Tensor): Tensor {
  x.dispose()
  return x
}

export function escaped(): Tensor {
  const made: Tensor[] = []
  scope(() => void made.push(zeros([1])))
  return made[0]
}

export class Silent extends nn.Module<[Tensor], Tensor> {
  readonly fc = new nn.Linear(3, 2)
  forward(): Tensor {
    return wrong(null)
  }
}

export type Row = [given: string, act: () => unknown, code: ErrorCode, sentence: RegExp]

/** Tests that each row comes back with its code and its sentence, on one line. */
export function refuses(subjects: Record<string, readonly Row[]>): void {
  for (const [subject, rows] of Object.entries(subjects)) {
    test.serial(subject.toLowerCase(), async t => {
      t.timeout(SECONDS * 1000)
      const folder = await temporaryFolder(t)
      await writeFiles(folder, Object.fromEntries(TEXTS.map(name => [name, 'not a picture'])))
      const here = process.cwd()
      process.chdir(folder)
      t.teardown(() => process.chdir(here))
      for (const [given, act, code, sentence] of rows) {
        const error = await t.throwsAsync(async () => await act(), undefined, given)
        t.true(error instanceof TorchLearnerError, `${given}: ${error?.stack}`)
        t.is(Reflect.get(error ?? {}, 'code'), code, `${given}: ${error?.message}`)
        t.regex(error?.message ?? '', sentence, given)
        t.regex(error?.message ?? '', /^\S[^\n]*\S$/, 'one line')
      }
    })
  }
}
