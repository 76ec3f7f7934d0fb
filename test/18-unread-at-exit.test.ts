// How a program ends with failures that nobody has read: alike, whether the collector came first or not.
import test from 'ava'
import { runProgram } from './helpers/child.js'

const bad = 'tl.ones([2, 3]).mm(tl.ones([2, 3]))'
const spoil = 'tl.zeros([2]).add_(tl.zeros([3]))'

const failures: Record<string, string> = {
  'in a scope': `tl.scope(() => { ${bad} })`,
  'in a named scope': `tl.scope(() => { ${bad} }, { name: 'request 17' })`,
  'left to the collector': `(() => { ${bad} })()`,
  'in place': `(() => { ${spoil} })()`,
  disposed: `${bad}.dispose()`,
  'what a named scope returned': `(() => { tl.scope(() => ${bad}, { name: 'request 17' }) })()`,
  'still held': `globalThis.held = tl.scope(() => ${bad}, { name: 'request 17' })`,
  'in place in a named scope, still held': `globalThis.held = tl.zeros([2])
    tl.scope(() => { held.add_(tl.zeros([3])) }, { name: 'request 17' })`,
}

/** What comes between the failure and the end of the program. */
const orders: Record<string, string> = {
  'at once': '',
  'the collector first': `await tl.mark()
    for (let i = 0; i < 3; i++) { globalThis.gc(); await new Promise(resolve => setTimeout(resolve, 20)) }`,
}

const flags = ['--expose-gc']

for (const [name, source] of Object.entries(failures)) {
  test.serial(`a program that ends with a failure unread ends with code 1: ${name}`, async t => {
    for (const [order, rest] of Object.entries(orders)) {
      const { code, stderr } = await runProgram(`${source}\n${rest}`, { flags })
      t.is(code, 1, `${order}: ${stderr}`)
      t.regex(stderr, /TorchLearnerError: (mat1|The size of tensor)/, order)
    }
  })
}

test.serial('whoever handles rejections, or unread errors, is told in both orders and decides', async t => {
  for (const [order, rest] of Object.entries(orders)) {
    const program = `tl.scope(() => { ${bad} })\n${rest}`
    const caught = `process.on('unhandledRejection', error => console.log('caught', error.operator))\n${program}`
    const outcome = await runProgram(caught, { flags })
    t.deepEqual([outcome.code, outcome.stdout], [0, 'caught aten::mm\n'], `${order}: ${outcome.stderr}`)
    const handled = `tl.onUnreadError((error, count) => console.log(error.operator, count))\n${program}`
    const told = await runProgram(handled, { flags })
    t.deepEqual([told.code, told.stdout, told.stderr], [0, 'aten::mm 1\n', ''], order)
  }
})

test.serial('process.exit keeps its code, and says as much as a warning would', async t => {
  const { code, stderr } = await runProgram(`tl.scope(() => { ${bad} }, { name: 'request 17' })
    tl.synchronizeSync()
    process.exit(0)`)
  t.is(code, 0)
  t.regex(
    stderr,
    /^\(node:\d+\) \[ERR_OP_FAILED\] TorchLearnerWarning: An operator failed and nobody read its result: mat1 .*, in request 17\n$/,
  )
  const many = `for (let i = 1; i < 80; i++) tl.zeros([2]).add_(tl.zeros([2 + i])).dispose()\ntl.synchronizeSync()\nprocess.exit(3)`
  const others = await runProgram(many)
  t.is(others.code, 3)
  t.regex(others.stderr, /TorchLearnerWarning: \d+ more operators failed and nobody read their results\n$/)
  const handled = await runProgram(`tl.onUnreadError(error => console.log(error.operator)); ${bad}; tl.synchronizeSync()
    process.exit(0)`)
  t.deepEqual([handled.code, handled.stdout, handled.stderr], [0, 'aten::mm\n', ''])
})

test.serial('a handler is told of those, too, that are too many to tell apart', async t => {
  const { code, stdout, stderr } = await runProgram(
    `let told = 0
    tl.onUnreadError((error, count) => { told += count })
    for (let i = 1; i <= 500; i++) tl.zeros([2]).add_(tl.zeros([2 + i])).dispose()
    tl.synchronizeSync()
    for (let i = 0; i < 200 && told < 500; i++) await new Promise(resolve => setTimeout(resolve, 50))
    console.log(told)`,
  )
  t.deepEqual([code, stdout, stderr], [0, '500\n', ''])
})
