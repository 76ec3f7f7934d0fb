// Nothing is read behind a picture's last pixel. The pixels lie at the very end of a WebAssembly memory: the addresses behind it
// belong to nobody, so that reading them ends the process.
import test from 'ava'
import { runProgram } from './helpers/child.js'

const nativeUrl = new URL('../dist/native/index.js', import.meta.url).href

test('pictures of a few pixels, right before memory that may not be read', async t => {
  const { code, signal, stdout, stderr } = await runProgram(`
    const { native } = await import(${JSON.stringify(nativeUrl)})
    const memory = new Uint8Array(new WebAssembly.Memory({ initial: 1, maximum: 1 }).buffer)
    const common = { padMode: 'zeros', random: false }
    for (let width = 1; width < 9; width++) {
      for (let height = 1; height < 9; height++) {
        const rgb = memory.subarray(memory.length - width * height * 3)
        rgb.fill(100 + width)
        for (const method of ['squish', 'crop', 'pad', 'cut']) {
          for (const side of [1, 3, 7, 30]) {
            const step = { ...common, method, width: side, height: side + 1 }
            const out = new Uint8Array(side * (side + 1) * 3)
            const request = { steps: [step], maxPixels: 1e6 }
            const failure = await native.resizePixels(rgb, width, height, new Float64Array(), out, 0, request)
            if (failure) throw new Error(failure.reason)
            if (method === 'squish' && out.some(value => value !== 100 + width)) throw new Error('other pixels')
          }
        }
      }
    }
    console.log('read')`)
  t.deepEqual([code, signal, stdout.trim()], [0, null, 'read'], stderr)
})
