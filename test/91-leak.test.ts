import test from 'ava'
import { runProgram } from './helpers/child.js'

const STEPS = 3000

const setUp = `
  const { nn } = tl
  tl.manualSeed(0)
  const model = new nn.Sequential(
    new nn.Conv2d(3, 8, 3, { padding: 1 }), new nn.BatchNorm2d(8), new nn.ReLU(), new nn.MaxPool2d(2),
    new nn.Conv2d(8, 16, 3, { padding: 1 }), new nn.BatchNorm2d(16), new nn.ReLU(), new nn.AdaptiveAvgPool2d(1),
    new nn.Flatten(), new nn.Linear(16, 10))
  const opt = new tl.Adam(model.parameters(), { lr: 1e-3 })
  const criterion = new tl.CrossEntropyLossFlat()
  const rss = []
  const handles = []
  function note() {
    rss.push(process.memoryUsage().rss)
    handles.push(tl.memoryStats().tensors)
  }
  function batch() {
    return [tl.asTensor(new Float32Array(16 * 3 * 16 * 16).fill(Math.random()), { shape: [16, 3, 16, 16] }), tl.randint(0, 10, [16])]
  }`

const report = `
  const quarter = list => list.slice(-list.length / 4)
  const [last, count] = [quarter(rss), quarter(handles)]
  const tenth = Math.floor(last.length / 10)
  const mean = list => list.reduce((a, b) => a + b, 0) / list.length
  console.log(JSON.stringify({
    growth: mean(last.slice(-tenth)) / mean(last.slice(0, tenth)) - 1,
    spread: Math.max(...last) / Math.min(...last) - 1,
    handles: Math.max(...count) - Math.min(...count),
    megabytes: last.at(-1) / 2 ** 20 }))`

const loops: Record<string, string> = {
  'a scope a step, awaiting the loss': `
    for (let i = 0; i < ${STEPS}; i++) {
      await tl.scope(async () => {
        const [x, y] = batch()
        const loss = criterion(model(x), y)
        loss.backward()
        opt.step()
        opt.zeroGrad()
        if (!Number.isFinite(await loss.item())) throw new Error('not a number')
      })
      note()
    }`,
  'no await for many steps': `
    for (let i = 0; i < ${STEPS}; i++) {
      tl.scope(() => {
        const [x, y] = batch()
        criterion(model(x), y).backward()
        opt.step()
        opt.zeroGrad()
      })
      if (i % 20 === 0) await tl.mark()
      note()
    }`,
  'operators that fail': `
    const wrong = tl.ones([2, 3])
    for (let i = 0; i < ${STEPS}; i++) {
      await tl.scope(async () => {
        await wrong.mm(wrong).add(1).item().catch(() => null)
        model(batch()[0])
        wrong.add_(tl.ones([7]))
        await wrong.data().catch(() => null)
      })
      note()
    }`,
}

for (const [name, loop] of Object.entries(loops)) {
  test.serial(`${STEPS} training steps leave the memory as it was: ${name}`, async t => {
    // V8 enlarges its young generation whenever it sees fit, by 16 MB at once: held small, so that what is seen is ours
    const flags = ['--max-semi-space-size=1']
    const { code, stdout, stderr } = await runProgram(setUp + loop + report, { seconds: 400, flags })
    t.is(code, 0, stderr)
    const { growth, spread, handles, megabytes } = JSON.parse(stdout)
    t.log(`${megabytes.toFixed(0)} MB, growth ${(growth * 100).toFixed(2)} %, spread ${(spread * 100).toFixed(2)} %`)
    t.true(growth < 0.02, `the last quarter grew by ${growth * 100} %`)
    t.true(spread < 0.1, `RSS moved by ${spread * 100} %`)
    t.true(handles < 100, `${handles} handles`)
  })
}
