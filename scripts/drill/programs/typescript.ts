import * as torch from 'torch-learner'
import { tell, train } from './train.mjs'

const rate: number = 0.5
torch.scope(() => torch.ones([2]).mul(rate))
tell(await train(torch, performance.now()))
