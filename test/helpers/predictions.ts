// Predictions with recorded weights and batches.
import { CrossEntropyLossFlat, Learner } from 'torch-learner'
import { type Fixture, toTensor } from './golden.js'
import { tinyModel } from './learning.js'

export interface PredictionCase {
  split: { n_inp: number | null; batch_len: number; xb: number[]; yb: number[]; x: number | number[] | null }[]
  validate: number[]
  get_preds: {
    preds: Fixture
    targs: Fixture
    losses: Fixture
    decoded: Fixture
    weights: Record<string, Fixture>
    valid: Fixture[][]
  }
  noact: Fixture
}

type Recorded = Pick<PredictionCase['get_preds'], 'weights' | 'valid'>

/** A Learner with the recorded weights and validation set, which shows nothing. */
export function predictionLearner({ weights, valid }: Recorded): Learner {
  const learn = new Learner({ train: [], valid: valid.map(batch => batch.map(toTensor)) }, tinyModel(weights), {
    lossFunc: new CrossEntropyLossFlat(),
  })
  learn.logger = () => undefined
  return learn
}
