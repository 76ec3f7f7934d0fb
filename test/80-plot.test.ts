// Charts and grids: SVG that is well-formed, PNG that shows it.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import sharp from 'sharp'
import { imageGrid, lineChart, saveFigure, type Tile } from 'torch-learner'
import { linearAxis } from '../dist/plot/axis.js'
import { gridShape } from '../dist/plot/grid.js'
import { renderPng } from '../dist/plot/png.js'
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
  t.deepEqual(texts([0, 3e-3], 6), ['0.0000', '0.0005', '0.0010', '0.0015', '0.0020', '0.0025', '0.0030'])
  t.deepEqual(texts([0, 92], 5, true), ['0', '20', '40', '60', '80'])
  t.deepEqual(texts([-2, 3], 5), ['-2', '-1', '0', '1', '2', '3'])
  t.deepEqual(texts([Number.NaN], 2), ['0.0', '0.5', '1.0'])
  t.deepEqual(texts([5, 5], 2), ['0', '5', '10'])
  t.deepEqual(texts([0, 3e-7], 3), ['0', '1e-7', '2e-7', '3e-7'])
  t.is(linearAxis([0, 10], 5).share(5), 0.5)
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
  t.deepEqual([width, height], [760, 420])
  t.true((await count(png, [0, 0x72, 0xb2])) > 200, 'the first line is there, in blue')
  t.true((await count(png, [0xff, 0xff, 0xff])) > 200_000)
  const dark = await renderPng(lineChart({ series: [{ name: 'a', y: [1, 2] }], theme: 'dark' }), 1)
  t.true((await count(dark, [0x0d, 0x11, 0x17])) > 200_000)
})

test('text is drawn, though the machine may have no fonts', async t => {
  const draw = async (title: string) =>
    await renderPng(lineChart({ series: [{ name: ' ', y: [1] }], title, theme: 'light' }), 1)
  const ink = [0x1f, 0x23, 0x28] as const
  t.true((await count(await draw('MMMMMMMMMM'), ink)) > (await count(await draw('.'), ink)) + 200)
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
})
