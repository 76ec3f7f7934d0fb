// Charts and grids: SVG that is well-formed, PNG that shows it.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import sharp from 'sharp'
import { imageGrid, lineChart, saveFigure, type Tile } from 'torch-learner'
import { linearAxis, logAxis } from '../dist/plot/axis.js'
import { gridShape } from '../dist/plot/grid.js'
import { renderPng } from '../dist/plot/png.js'
import { clipText, textWidth, wrapText } from '../dist/plot/text.js'
import { coded, temporaryFolder } from './helpers/pictures.js'

const tile = (width: number, height: number, color: number[], title?: string): Tile => ({
  data: Uint8Array.from({ length: width * height * color.length }, (_, i) => color[i % color.length]),
  width,
  height,
  channels: color.length === 1 ? 1 : 3,
  title,
})

/** How many pixels have about this colour. */
async function count(png: Buffer, color: readonly [number, number, number]): Promise<number> {
  const { data } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  let found = 0
  for (let i = 0; i < data.length; i += 3) {
    if (color.every((value, c) => Math.abs(data[i + c] - value) < 3)) found++
  }
  return found
}

test('round ticks', t => {
  const texts = (values: number[], wanted: number, tight = false) =>
    linearAxis(values, wanted, tight).ticks.map(({ text }) => text)
  t.deepEqual(texts([0.2, 2.7], 6), ['0.0', '0.5', '1.0', '1.5', '2.0', '2.5', '3.0'])
  t.deepEqual(texts([0, 3e-3], 6), ['0', '5e-4', '1e-3', '1.5e-3', '2e-3', '2.5e-3', '3e-3'])
  t.deepEqual(texts([0, 92], 5, true), ['0', '20', '40', '60', '80'])
  t.deepEqual(texts([-2, 3], 5), ['-2', '-1', '0', '1', '2', '3'])
  t.deepEqual(texts([Number.NaN], 2), ['0.0', '0.5', '1.0'])
  t.deepEqual(texts([5, 5], 2), ['0', '5', '10'])
  t.deepEqual(texts([1, 2, 3], 8, true), ['1', '2', '3'], 'nothing between epochs')
  t.deepEqual(texts([0.1, 0.3], 2, true), ['0.1', '0.2', '0.3'])
  t.deepEqual(texts([0, 3e-7], 3), ['0', '1e-7', '2e-7', '3e-7'])
  t.is(linearAxis([0, 10], 5).share(5), 0.5)
})

test('logarithmic ticks: powers of ten, fewer or more of them as there is room', t => {
  const texts = (values: number[], wanted: number) => logAxis(values, wanted).ticks.map(({ text }) => text)
  t.deepEqual(texts([1e-7, 10], 10), ['1e-7', '1e-6', '1e-5', '1e-4', '1e-3', '1e-2', '1e-1', '1', '10'])
  t.deepEqual(texts([1e-7, 10], 4), ['1e-6', '1e-4', '1e-2', '1'])
  t.deepEqual(texts([0.2, 1.5], 8), ['2e-1', '5e-1', '1'])
  t.deepEqual(texts([0, -1, Number.NaN, 30, 900], 8), ['50', '1e2', '2e2', '5e2'])
  t.deepEqual(texts([1.1, 2.6], 4), ['1.5', '2.0', '2.5'])
  t.deepEqual(texts([0.003], 4), ['3e-3'], 'a single value')
  t.is(logAxis([1e-4, 1], 5).share(1e-2), 0.5)
})

test('text is measured, cut and wrapped', t => {
  t.true(Math.abs(textWidth('loss 0.25', 100) - 449) < 15)
  t.is(textWidth('a\nwide line', 10), textWidth('wide line', 10))
  t.is(clipText('short', 100, 12), 'short')
  t.regex(clipText('a very long name indeed', 60, 12), /^a very.*…$/)
  t.deepEqual(wrapText('American Staffordshire terrier', 150, 13, 2), ['American Staffordshire', 'terrier'])
  t.deepEqual(wrapText('great_white_shark\n0.54 robin', 80, 13, 2), ['great_', 'white_shark', '0.54 robin'])
  t.is(wrapText('one two three four five six seven', 50, 13, 2).length, 2)
  t.deepEqual(wrapText('', 50, 13, 2), [''])
})

test('a chart with two axes', async t => {
  const svg = lineChart({
    title: 'Loss & <more>',
    xLabel: 'iteration',
    yLabel: 'loss',
    rightLabel: 'lr',
    series: [
      { name: 'loss', y: [3, 2, Number.NaN, 1] },
      { name: 'lr', y: [0, 1e-3, 2e-3, 1e-3], axis: 'right', dashed: true },
    ],
    theme: 'light',
  })
  t.true(svg.includes('Loss &amp; &lt;more&gt;'))
  t.regex(svg, /class="line0"/)
  t.is(svg.match(/<path d="M[^"]*L[^"]*M/)?.length, 1, 'a gap where a value is missing')
  const png = await renderPng(svg, 1)
  const { width, height } = await sharp(png).metadata()
  t.deepEqual([width, height], [560, 350])
  t.true((await count(png, [0, 0x72, 0xb2])) > 200, 'the first line is there, in blue')
  t.true((await count(png, [0xff, 0xff, 0xff])) > 150_000)
  const dark = await renderPng(lineChart({ series: [{ name: 'a', y: [1, 2] }], theme: 'dark' }), 1)
  t.true((await count(dark, [0x0d, 0x11, 0x17])) > 150_000)
})

test('text is drawn, though the machine may have no fonts', async t => {
  const draw = async (title: string) =>
    await renderPng(lineChart({ series: [{ name: ' ', y: [1] }], title, theme: 'light' }), 1)
  const ink = [0x1f, 0x23, 0x28] as const
  t.true((await count(await draw('MMMMMMMMMM'), ink)) > (await count(await draw('.'), ink)) + 200)
})

test('points pointed out; many names; single values; a logarithmic scale', async t => {
  const marks = [{ name: 'here', x: 1e-3, y: 2 }]
  const found = lineChart({
    series: [{ name: '', x: [1e-4, 1e-3, 1e-2], y: [3, 2, 4] }],
    marks,
    xScale: 'log',
    theme: 'light',
  })
  t.is(found.match(/<circle[^>]*halo/g)?.length, 1)
  t.deepEqual(
    [...found.matchAll(/>(1e-\d)</g)].map(([, text]) => text),
    ['1e-4', '1e-3', '1e-2'],
  )
  t.true((await count(await renderPng(found, 1), [0xd5, 0x5e, 0])) > 80)
  const long = Array.from({ length: 8 }, (_, i) => ({ name: `quite a long name ${i}`, y: [i, i] }))
  const rows = [...lineChart({ series: long }).matchAll(/y="(\d+)"[^>]*>quite a long name/g)].map(([, y]) => y)
  t.is(new Set(rows).size, 3, 'the legend goes on below')
  t.is(lineChart({ series: long }).match(/stroke-dasharray="2 5"/g)?.length, 4, 'colours that come again are dotted')
  const lonely = lineChart({ series: [{ name: 'a', y: [Number.NaN, 0.5, Number.NaN], dots: false }], theme: 'light' })
  t.true((await count(await renderPng(lonely, 4), [0, 0x72, 0xb2])) > 40, 'a value between gaps')
  const log = lineChart({ series: [{ name: 'a', y: [0.01, 1, 100] }], yScale: 'log' })
  t.deepEqual(
    [...log.matchAll(/>(1e-\d|1|10|1e2)</g)].map(([, text]) => text),
    ['1e-2', '1e-1', '1', '10', '1e2', '1'],
  )
})

test('long titles and narrow pictures: nothing is wider than its column', async t => {
  const svg = await imageGrid([tile(20, 90, [1], 'a title of several words'), tile(20, 90, [1], 'b')], {
    title: 'A heading which is much wider than the two narrow pictures under it are together',
    rowTitles: ['First row'],
  })
  t.regex(svg, />a title of<.*>several words</)
  t.regex(svg, />First row</)
  t.true((svg.match(/font-size="16"[^>]*>(<tspan.*?)<\/text>/)?.[1].match(/<tspan/g)?.length ?? 0) >= 2)
})

test('a large picture is stored no larger than it is shown', async t => {
  const svg = await imageGrid([tile(1200, 900, [1, 2, 3])])
  const png = Buffer.from(svg.match(/base64,([^"]+)/)?.[1] ?? '', 'base64')
  t.is((await sharp(png).metadata()).width, 450)
})

test('many points stay a small file', t => {
  const y = Float32Array.from({ length: 200_000 }, (_, i) => Math.sin(i / 1000) + (i === 77_777 ? 5 : 0))
  const svg = lineChart({ series: [{ name: 'y', y }] })
  t.true(svg.length < 60_000)
  t.regex(svg, /6\.0|5\.0/, 'the single peak is still there')
})

test('an automatic theme follows the viewer', t => {
  t.regex(lineChart({ series: [{ name: 'y', y: [1] }] }), /prefers-color-scheme:dark/)
})

test('the shape of a grid', t => {
  t.deepEqual(gridShape(9), { rows: 3, cols: 3 })
  t.deepEqual(gridShape(7), { rows: 2, cols: 4 })
  t.deepEqual(gridShape(1), { rows: 1, cols: 1 })
  t.deepEqual(gridShape(7, 1), { rows: 1, cols: 7 })
  t.deepEqual(gridShape(7, undefined, 3), { rows: 3, cols: 3 })
  t.deepEqual(gridShape(7, 5, 5), { rows: 2, cols: 5 })
})

test('a grid of pictures: each enlarged by a whole factor, unsmoothed', async t => {
  const tiles = [tile(10, 10, [255, 0, 0], 'one'), tile(10, 10, [0, 0, 255], 'two'), tile(30, 20, [90])]
  const png = await renderPng(await imageGrid(tiles), 1)
  t.is(await count(png, [255, 0, 0]), 150 * 150)
  t.is(await count(png, [0, 0, 255]), 150 * 150)
  t.is(await count(png, [90, 90, 90]), 150 * 100)
  const large = await renderPng(await imageGrid([tile(900, 600, [0, 255, 0])]), 1)
  t.is(await count(large, [0, 255, 0]), 225 * 150)
})

test('written whole or not at all', async t => {
  const folder = await temporaryFolder(t)
  const svg = lineChart({ series: [{ name: 'y', y: [1, 2] }] })
  const file = join(folder, 'new', 'a.svg')
  await Promise.all(Array.from({ length: 5 }, () => saveFigure(file, svg)))
  t.is(await readFile(file, 'utf8'), svg)
  t.is(await saveFigure(join(folder, 'new', 'a.PNG'), svg), join(folder, 'new', 'a.PNG'))
  t.deepEqual((await readdir(join(folder, 'new'))).sort(), ['a.PNG', 'a.svg'])
  await t.throwsAsync(saveFigure(join(file, 'under-a-file.svg'), svg))
})

test('bad input', async t => {
  await coded(
    t,
    () => saveFigure('a.jpg', ''),
    'ERR_INVALID_ARG',
    /^Expected a path that ends in .png or .svg for file but received "a.jpg"/,
  )
  await coded(t, () => lineChart({ series: [] }), 'ERR_INVALID_ARG', /one or more series for series/)
  await coded(
    t,
    () => lineChart({ series: [{ name: 'a', y: [1, 2], x: [1] }] }),
    'ERR_INVALID_ARG',
    /as many x as y \(2\) for series a but received 1/,
  )
  await coded(t, () => imageGrid([]), 'ERR_INVALID_ARG', /one or more pictures/)
  await coded(t, () => imageGrid([{ ...tile(2, 2, [1]), width: 3 }]), 'ERR_INVALID_ARG', /3 x 2 x 1 bytes for pixels/)
  await coded(
    t,
    () => imageGrid([tile(2, 2, [1])], { rows: 0 }),
    'ERR_INVALID_ARG',
    /a whole number from 1 for rows but received 0/,
  )
  const misuse = (options: object, message: RegExp) =>
    coded(t, () => imageGrid([tile(2, 2, [1])], options), 'ERR_INVALID_ARG', message)
  await misuse({ rowTitles: 'a' }, /an array of text for rowTitles/)
  await misuse({ size: 0 }, /a number above 0 for size/)
  const chart = (options: object, message: RegExp) =>
    coded(t, () => lineChart({ series: [{ name: 'a', y: [1] }], ...options }), 'ERR_INVALID_ARG', message)
  await chart({ yScale: 'cubic' }, /linear or log for yScale but received "cubic"/)
  await chart({ theme: 'pink' }, /light, dark or auto for theme/)
})
