// sharp and its libvips in the same process, before and after.
import { tell, train } from './train.mjs'

const started = performance.now()
const { default: sharp } = await import('sharp')
const picture = () =>
  sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
const png = await picture()
const torch = await import('torch-learner')
const result = await train(torch, started)
const { info } = await sharp(png).raw().toBuffer({ resolveWithObject: true })
if (info.width !== 8) throw new Error('sharp decodes no longer')
await picture()
tell(result)
