import { tell, train } from './train.mjs'

const started: number = performance.now()
tell(await train(await import('torch-learner'), started))
