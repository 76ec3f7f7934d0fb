// Pictures in the terminal: where, how, and where not.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { inlineProtocol, LiveRenderer, lineChart, type PictureSink, saveFigure } from 'torch-learner'
import { renderPng } from '../dist/plot/png.js'
import { inlineColumns, inlinePicture } from '../dist/plot/terminal.js'
import { coded, temporaryFolder } from './helpers/pictures.js'

/** A terminal that keeps what it is sent. */
class Terminal implements PictureSink {
  readonly isTTY = true
  readonly columns = 100
  readonly rows = 40
  text = ''
  write(text: string): void {
    this.text += text
  }
}

/** Control characters as signs that can be read. */
const spelled = (sent: string) => sent.replaceAll('\x1b', '␛').replaceAll('\x07', '␇').replaceAll('\r', '␍')

const svg = lineChart({ series: [{ name: 'loss', y: [3, 2, 1] }], theme: 'light' })

/** `body` with these variables, and without those that a terminal sets. */
async function within<T>(env: Record<string, string>, body: () => Promise<T>): Promise<T> {
  const { env: before } = process
  const names = ['CI', 'TMUX', 'STY', 'TERM', 'TERM_PROGRAM', 'LC_TERMINAL', 'KONSOLE_VERSION', 'TORCH_LEARNER_INLINE']
  process.env = { ...before, ...env }
  for (const name of names) if (!(name in env)) delete process.env[name]
  try {
    return await body()
  } finally {
    process.env = before
  }
}

test('which terminals', async t => {
  const sink = new Terminal()
  const found = (env: Record<string, string>) => inlineProtocol(sink, env)
  t.is(found({ TERM: 'xterm-kitty' }), 'kitty')
  t.is(found({ TERM: 'xterm-ghostty' }), 'kitty')
  t.is(found({ TERM: 'xterm-256color', TERM_PROGRAM: 'ghostty' }), 'kitty')
  t.is(found({ TERM: 'xterm-256color', KONSOLE_VERSION: '230401' }), 'kitty')
  t.is(found({ TERM: 'xterm-256color', KONSOLE_VERSION: '211203' }), null)
  t.is(found({ TERM: 'xterm-256color', TERM_PROGRAM: 'iTerm.app' }), 'iterm2')
  t.is(found({ TERM: 'xterm-256color', TERM_PROGRAM: 'WezTerm' }), 'iterm2')
  t.is(found({ TERM: 'xterm-256color', LC_TERMINAL: 'iTerm2' }), 'iterm2')
  t.is(found({ TERM: 'xterm-256color' }), null)
  t.is(found({}), null)
  t.is(found({ TERM_PROGRAM: 'vscode', KITTY_WINDOW_ID: '1', KONSOLE_VERSION: '230401' }), null, 'left over')
  const insides: Record<string, string>[] = [{ CI: 'true' }, { TMUX: '/tmp/tmux-0/default,1,0' }, { STY: '1.pts-0' }]
  for (const inside of insides) {
    t.is(found({ TERM: 'xterm-kitty', ...inside }), null)
  }
  t.is(found({ TERM: 'tmux-256color', TERM_PROGRAM: 'iTerm.app' }), null)
  t.is(inlineProtocol({ write: () => true }, { TERM: 'xterm-kitty' }), null, 'a pipe')
  t.is(inlineProtocol({ write: () => true }, { TORCH_LEARNER_INLINE: 'kitty' }), null, 'a pipe, whatever is wished')
})

test('TORCH_LEARNER_INLINE overrides', async t => {
  const sink = new Terminal()
  const found = (wish: string, env = {}) => inlineProtocol(sink, { ...env, TORCH_LEARNER_INLINE: wish })
  t.is(found('0', { TERM: 'xterm-kitty' }), null)
  t.is(found('iterm2', { TERM: 'xterm-kitty' }), 'iterm2')
  t.is(found('kitty', { TMUX: '1' }), 'kitty')
  t.is(found('1', { TERM_PROGRAM: 'iTerm.app', TMUX: '1' }), 'iterm2')
  t.is(found('1'), 'kitty')
  t.is(found(''), null)
  await coded(
    t,
    () => found('yes'),
    'ERR_INVALID_ARG',
    /0, 1, kitty or iterm2 for TORCH_LEARNER_INLINE but received "yes"/,
  )
})

/** The picture that kitty would put together. */
function kittyPng(t: ExecutionContext, sent: string): Buffer {
  const parts = [...spelled(sent).matchAll(/␛_G([^;]*);([^␛]*)␛\\/g)].map(([, control, data]) => ({ control, data }))
  t.regex(parts[0].control, /^a=T,f=100,q=2,c=\d+,m=[01]$/)
  for (const [i, { control, data }] of parts.entries()) {
    t.true(data.length <= 4096 && data.length % 4 === 0)
    t.is(control.endsWith('m=0'), i === parts.length - 1)
    if (i > 0) t.regex(control, /^m=[01]$/)
  }
  return Buffer.from(parts.map(({ data }) => data).join(''), 'base64')
}

test('kitty’s protocol: chunks, the whole file, one line below', async t => {
  const png = await renderPng(svg, 4)
  const sent = inlinePicture(png, 'kitty', 60)
  t.true(sent.split('\x1b_G').length > 3)
  t.deepEqual(kittyPng(t, sent), png)
  t.true(sent.endsWith('\x1b\\\n'))
  t.is(inlinePicture(Buffer.alloc(3072), 'kitty', 5).split('\x1b_G').length - 1, 1, 'exactly one chunk')
})

test('iTerm2’s images', async t => {
  const png = await renderPng(svg)
  const sent = inlinePicture(png, 'iterm2', 60)
  const [, size, data] =
    spelled(sent).match(/^␛\]1337;File=inline=1;size=(\d+);width=60;preserveAspectRatio=1:([^␇]+)␇\n$/) ?? []
  t.is(Number(size), png.length)
  t.deepEqual(Buffer.from(data, 'base64'), png)
})

test('as large as there is room', t => {
  const columns = (width: number, height: number, size = {}) =>
    inlineColumns(width, height, { write: () => true, ...size })
  t.is(columns(560, 350, { columns: 200, rows: 60 }), 70)
  t.is(columns(2000, 500, { columns: 100, rows: 60 }), 99)
  t.is(columns(500, 2000, { columns: 200, rows: 42 }), 20)
  t.is(columns(1000, 1000, { columns: 200, rows: 42 }), 80)
  t.is(columns(560, 350), 70)
  t.is(columns(560, 350, { columns: 0, rows: 0 }), 70, 'a terminal that does not know its size')
})

test.serial('a figure is written, and shown where that can be', async t => {
  const folder = await temporaryFolder(t)
  const shown = async (env: Record<string, string>, name: string, options = {}) => {
    const sink = new Terminal()
    await within(env, () => saveFigure(join(folder, name), svg, { sink, ...options }))
    return sink.text
  }
  t.deepEqual(kittyPng(t, await shown({ TERM: 'xterm-kitty' }, 'a.png')), await readFile(join(folder, 'a.png')))
  t.regex(spelled(await shown({ TERM_PROGRAM: 'iTerm.app' }, 'b.svg')), /^␛\]1337;File=/)
  t.is(await readFile(join(folder, 'b.svg'), 'utf8'), svg)
  t.is(await shown({ TERM: 'xterm-256color' }, 'c.png'), '')
  t.is(await shown({ TERM: 'xterm-kitty' }, 'd.png', { inline: false }), '')
  t.is(await shown({ TERM: 'xterm-kitty', TORCH_LEARNER_INLINE: '0' }, 'e.png'), '')
})

const state = { epoch: 0, nEpoch: 1, part: 'train', done: 1, total: 4, loss: 2, rate: 100, eta: 3 } as const

test.serial('above the progress bar, which goes on below', async t => {
  const folder = await temporaryFolder(t)
  const sink = new Terminal()
  const bar = new LiveRenderer(sink)
  const draw = () => within({ TERM: 'xterm-kitty' }, () => saveFigure(join(folder, 'a.png'), svg, { sink }))
  bar.progress(state)
  const before = sink.text.length
  await draw()
  t.true(sink.text.slice(before).startsWith('\r\x1b[2K\x1b_Ga=T'), 'the bar is wiped first')
  bar.progress({ ...state, done: 2 })
  t.regex(spelled(sink.text), /␛\\\n␍epoch 1\/1 train [█░]+ 2\/4 .*ETA 00:03␛\[K$/, 'and drawn anew below')
  bar.row(['0', '1.0'])
  const rows = sink.text.length
  await draw()
  t.true(sink.text.slice(rows).startsWith('\x1b_Ga=T'), 'no bar, nothing to wipe')
})

test('what callbacks print comes above the bar, whole', t => {
  const sink = new Terminal()
  const bar = new LiveRenderer(sink)
  const { write } = sink
  bar.begin(['epoch', 'train_loss'])
  bar.progress(state)
  sink.write('hello\n')
  Reflect.apply(sink.write, sink, [Buffer.from('bytes\n')])
  sink.write('half ')
  sink.write('a line')
  bar.progress({ ...state, done: 2 })
  bar.row(['0', '1.0'])
  sink.write('in between\n')
  bar.end()
  sink.write('after\n')
  t.is(
    spelled(sink.text).replace(/train [^␛]*/g, 'train ...'),
    'epoch | train_loss\n' +
      '␍epoch 1/1 train ...␛[K␍␛[2Khello\nbytes\nhalf a line' +
      '\nepoch 1/1 train ...␛[K␍␛[2K    0 |        1.0\nin between\nafter\n',
  )
  t.is(sink.write, write)
  t.false(Object.hasOwn(sink, 'write'), 'the stream is as it was')
})

test('two bars in one terminal; a stream that others have wrapped meanwhile', t => {
  const sink = new Terminal()
  const [one, two] = [new LiveRenderer(sink), new LiveRenderer(sink)]
  one.progress(state)
  two.progress(state)
  t.is(spelled(sink.text).split('␍␛[2K').length, 2, 'the first is wiped')
  one.end()
  two.end()
  const before = sink.text.length
  sink.write('plain\n')
  t.is(sink.text.slice(before), 'plain\n')
})

test('a narrow terminal: a shorter bar, then fewer figures, never a second line', t => {
  for (const columns of [200, 80, 60, 50, 40, 30, 16]) {
    const lines: string[] = []
    const sink = { isTTY: true, columns, write: (text: string) => lines.push(text) }
    new LiveRenderer(sink).progress({
      epoch: 9,
      nEpoch: 10,
      part: 'train',
      done: 7,
      total: 120,
      loss: 0.123,
      rate: 1234,
      eta: 65,
    })
    const [line] = lines[0].replace(/^\r/, '').split('\x1b')
    t.true(line.length < columns, `${columns}: ${line}`)
    t.true(line.startsWith('epoch 10/10 tra'))
    t.is(line.includes('ETA 01:05'), columns >= 50, line)
  }
})

test('piped, nothing but the file is written, whatever the terminal', async t => {
  const folder = await temporaryFolder(t)
  const script = `
    import { lineChart, saveFigure } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
    await saveFigure(process.argv[1], lineChart({ series: [{ name: 'a', y: [1, 2] }] }))`
  const file = join(folder, 'piped.png')
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, file], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { ...process.env, TERM: 'xterm-kitty', CI: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  t.deepEqual([code, out, errors], [0, '', ''])
  t.true((await readFile(file)).length > 1000)
})
