import { escapeText } from './svg.js'

/** Colours of a drawing. `auto` follows the viewer's own setting, which only an SVG can: in a PNG it is light. */
export type Theme = 'light' | 'dark' | 'auto'

interface Palette {
  readonly background: string
  readonly ink: string
  readonly faint: string
  readonly grid: string
  readonly good: string
  readonly bad: string
  readonly series: readonly string[]
}

// Okabe and Ito's colours, which colour-blind readers can tell apart too, brightened for the dark ground
const PALETTES: Readonly<Record<'light' | 'dark', Palette>> = {
  light: {
    background: '#ffffff',
    ink: '#1f2328',
    faint: '#656d76',
    grid: '#e3e6ea',
    good: '#1a7f37',
    bad: '#cf222e',
    series: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#8a6d00', '#56b4e9'],
  },
  dark: {
    background: '#0d1117',
    ink: '#e6edf3',
    faint: '#8d96a0',
    grid: '#272d36',
    good: '#3fb950',
    bad: '#f85149',
    series: ['#58a6ff', '#ff8c42', '#3fd3a4', '#f0a3cc', '#e3c341', '#9ad7ff'],
  },
}

function rules({ background, ink, faint, grid, good, bad, series }: Palette): string {
  const lines = series.map((color, i) => `.line${i}{stroke:${color}}.swatch${i}{fill:${color}}`).join('')
  return `.background{fill:${background}}.ink{fill:${ink}}.faint{fill:${faint}}.grid{stroke:${grid}}.frame{stroke:${faint}}.halo{stroke:${background}}.ground{fill:${background}}.good{fill:${good}}.bad{fill:${bad}}${lines}`
}

/** How many series have colours of their own. */
export const seriesColors = PALETTES.light.series.length

// browsers know this spelling; resvg, which doesn't, passes over it
const CRISP = '@supports (image-rendering:pixelated){.crisp{image-rendering:pixelated}}'

/** The style sheet of a theme, for the classes background, ink, faint, grid, frame, halo, ground, good, bad, line0..., swatch0..., crisp */
export function styleSheet(theme: Theme): string {
  const sheet =
    theme === 'auto'
      ? `${rules(PALETTES.light)}@media (prefers-color-scheme:dark){${rules(PALETTES.dark)}}`
      : rules(PALETTES[theme])
  return `<style>${escapeText(sheet + CRISP)}</style>`
}
