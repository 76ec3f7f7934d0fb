// The package twice, as two versions of it in one tree: both work, or the second refuses with a coded error.
import { tell, train } from './train.mjs'

const started = performance.now()
const torch = await import('torch-learner')
const result = await train(torch, started)
try {
  const again = await import('torch-learner-again')
  const { loss } = await train(again, performance.now())
  if (loss !== result.loss) throw new Error(`the second copy's loss is ${loss}, not ${result.loss}`)
} catch (error) {
  if (typeof error.code !== 'string' || !error.code.startsWith('ERR_')) throw error
  console.log(`the second copy refuses: ${error.message}`)
}
tell(result)
