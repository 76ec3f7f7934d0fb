// What the other folders of src/ may use. What users get of it, src/index.ts lists.
export { type GridOptions, gridShape, imageGrid } from './grid.js'
export { type LineChartOptions, lineChart, type Mark, type Series } from './line.js'
export { type MatrixChartOptions, matrixChart } from './matrix.js'
export { encodePng, type Pixels, renderPng } from './png.js'
export { type SaveFigureOptions, saveFigure, writeAtomically } from './save.js'
export { type InlineProtocol, inlineProtocol, type PictureSink } from './terminal.js'
export type { Theme } from './theme.js'
export type { Tile } from './tile.js'
