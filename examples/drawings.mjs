// Little pictures of eight kinds, drawn at random: colour pictures for trials, free of anybody's rights.
import { join } from 'node:path'
import { saveFigure } from 'torch-learner'

/** @typedef {() => number} Random from 0 to 1 */

/** Random numbers from a seed (mulberry32). @param {number} seed @returns {Random} */
export function seeded(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** @template T @param {Random} random @param {readonly T[]} list */
const pick = (random, list) => list[Math.floor(random() * list.length)]
/** @param {Random} random @param {number} low @param {number} high */
const between = (random, low, high) => low + random() * (high - low)

const BRIGHT = ['#e4572e', '#f3a712', '#2e86ab', '#a23b72', '#3a7d44', '#d7263d', '#6a4c93', '#1b998b', '#ff7f51']
const FUR = ['#4a4e69', '#d98e4a', '#8d6a4f', '#2f2f36', '#b8a18b', '#c96f3b']
const SKIES = [
  ['#8ecae6', '#e8f6fb'],
  ['#ffb385', '#ffe8c7'],
  ['#5f7adb', '#c9d6ff'],
  ['#f7b2bd', '#fde6d8'],
  ['#1d2b53', '#5a5f9c'],
  ['#7fd1ae', '#effaf0'],
]
const SEAS = [
  ['#1f7a8c', '#0b3c5d'],
  ['#3aa6b9', '#1a5f7a'],
  ['#4059ad', '#1c2a5e'],
  ['#2a9d8f', '#14524b'],
]

/** @param {string} id @param {readonly string[]} colors from above to below */
const gradient = (id, [from, to]) =>
  `<linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${from}"/><stop offset="1" stop-color="${to}"/></linearGradient>`

/** A sky with a sun or moon and clouds. @param {Random} random */
function sky(random) {
  const cloud = () => {
    const [x, y, s] = [between(random, 0, 90), between(random, 8, 38), between(random, 0.6, 1.2)]
    return `<g transform="translate(${x} ${y}) scale(${s})" fill="#fff" opacity=".75"><circle cx="0" cy="0" r="5"/><circle cx="7" cy="-3" r="7"/><circle cx="15" cy="0" r="5"/><rect x="0" y="0" width="15" height="5" rx="2.5"/></g>`
  }
  const sun = `<circle cx="${between(random, 12, 88)}" cy="${between(random, 12, 30)}" r="${between(random, 5, 9)}" fill="#fff3b0"/>`
  return `${gradient('sky', pick(random, SKIES))}<rect width="100" height="100" fill="url(#sky)"/>${sun}${cloud()}${random() < 0.6 ? cloud() : ''}`
}

/** Two ranges of hills. @param {Random} random @param {readonly string[]} colors */
function hills(
  random,
  [far, near] = pick(random, [
    ['#6a994e', '#386641'],
    ['#b5a16b', '#8a6d3b'],
    ['#74a57f', '#3f6f5b'],
    ['#9d8189', '#6d597a'],
  ]),
) {
  const range = (/** @type {number} */ y, /** @type {string} */ color) =>
    `<path d="M0 ${y + between(random, -6, 6)}Q25 ${y - between(random, 4, 16)} 50 ${y}T100 ${y + between(random, -6, 6)}V100H0Z" fill="${color}"/>`
  return range(70, far) + range(82, near)
}

/** @param {Random} random */
function sea(random) {
  const y = between(random, 58, 68)
  const waves = Array.from({ length: 4 }, (_, i) => {
    const [x, line] = [between(random, 0, 70), y + 8 + 7 * i]
    return `<path d="M${x} ${line}q4 -3 8 0t8 0t8 0" fill="none" stroke="#fff" stroke-opacity=".5" stroke-width="1.3" stroke-linecap="round"/>`
  })
  return `${gradient('sea', pick(random, SEAS))}<rect y="${y}" width="100" height="${100 - y}" fill="url(#sea)"/>${waves.join('')}`
}

/** What is drawn, somewhere about the middle, somewhat larger or smaller. @param {Random} random @param {string} shapes */
function placed(random, shapes, turn = 6, flip = true) {
  const [x, y, size, angle] = [
    between(random, 44, 56),
    between(random, 46, 55),
    between(random, 0.82, 1.12),
    between(random, -turn, turn),
  ]
  return `<g transform="translate(${x} ${y}) rotate(${angle}) scale(${flip && random() < 0.5 ? -size : size} ${size})">${shapes}</g>`
}

/** @type {Record<string, (random: Random) => string>} Around 0 0, from -40 to 40 */
const KINDS = {
  balloon(random) {
    const [a, b] = [pick(random, BRIGHT), pick(random, ['#fff', '#ffe8a3', '#ffd6d6'])]
    const stripes = [-14, 0, 14].map(
      x => `<path d="M0 20Q${x * 1.9} -6 ${x * 0.5} -38Q${x * 1.1 + 4} -6 0 20" fill="${b}"/>`,
    )
    const hull = `<path d="M0 20C-10 10 -27 2 -27 -14A27 25 0 0 1 27 -14C27 2 10 10 0 20Z" fill="${a}"/>`
    const basket =
      '<path d="M-5 19L-4 30M5 19L4 30" stroke="#5b3a1e" stroke-width="1"/><rect x="-6" y="29" width="12" height="9" rx="2" fill="#9c6b3f"/>'
    return sky(random) + hills(random) + placed(random, hull + stripes.join('') + basket)
  },
  boat(random) {
    const [hull, sail] = [pick(random, BRIGHT), pick(random, ['#fff', '#fff4d6', '#ffd0c2', ...BRIGHT.slice(0, 2)])]
    const shapes = `<rect x="-1.2" y="-38" width="2.4" height="52" fill="#5b3a1e"/><path d="M3 -36Q26 -14 26 8H3Z" fill="${sail}"/><path d="M-3 -30Q-20 -10 -21 8H-3Z" fill="${sail}" fill-opacity=".8"/><path d="M-32 13H33L23 28H-22Z" fill="${hull}"/><path d="M-32 13H33L31 17H-30Z" fill="#fff" fill-opacity=".6"/><path d="M0 -38L12 -34L0 -30Z" fill="#d7263d"/>`
    return sky(random) + sea(random) + placed(random, shapes)
  },
  fish(random) {
    const [body, fin] = [pick(random, BRIGHT), pick(random, BRIGHT)]
    const plants = Array.from({ length: 4 }, () => {
      const x = between(random, 2, 98)
      return `<path d="M${x} 100q-6 -12 0 -22t0 -${between(random, 8, 20)}" fill="none" stroke="#2f9e6e" stroke-width="3" stroke-linecap="round" stroke-opacity=".8"/>`
    })
    const bubbles = Array.from(
      { length: 6 },
      () =>
        `<circle cx="${between(random, 5, 95)}" cy="${between(random, 5, 80)}" r="${between(random, 1, 3.2)}" fill="#fff" fill-opacity=".35"/>`,
    )
    const shapes = `<path d="M22 0L40 -17Q35 0 40 17Z" fill="${fin}"/><path d="M-8 -16Q4 -33 18 -14Z" fill="${fin}"/><path d="M-2 17Q4 28 14 15Z" fill="${fin}"/><ellipse rx="32" ry="19" cx="-4" fill="${body}"/><path d="M2 -18.500Q-4 0 2 18.500Q12 17 15 14Q9 0 15 -14Q12 -17 2 -18.500Z" fill="#fff" fill-opacity=".55"/><circle cx="-21" cy="-5" r="5.500" fill="#fff"/><circle cx="-22" cy="-5" r="2.800" fill="#1d1d28"/><path d="M-33 6q5 4 9 1" fill="none" stroke="#1d1d28" stroke-width="1.600" stroke-linecap="round"/>`
    return `${gradient('sea', pick(random, SEAS))}<rect width="100" height="100" fill="url(#sea)"/>${plants.join('')}${bubbles.join('')}${placed(random, shapes, 12)}`
  },
  cat(random) {
    const fur = pick(random, FUR)
    const wall = pick(random, [
      ['#f4e3c1', '#e2c391'],
      ['#cfe1e8', '#9fc0cf'],
      ['#e7d3e8', '#c9a6cc'],
      ['#d6e8cf', '#a9cb9d'],
      ['#f6c9b7', '#e39f86'],
    ])
    const eye = pick(random, ['#9ad14b', '#f2c230', '#69c6e0'])
    const face = (/** @type {number} */ x) =>
      `<ellipse cx="${x}" cy="-2" rx="6" ry="6.500" fill="${eye}"/><ellipse cx="${x}" cy="-2" rx="2" ry="5.500" fill="#17171f"/><circle cx="${x + 1.5}" cy="-4.500" r="1.300" fill="#fff"/>`
    const whiskers = [-1, 1].flatMap(side =>
      [8, 12, 16].map(
        (y, i) =>
          `<path d="M${side * 12} ${y - 1}L${side * 36} ${y - 4 + 4 * i}" stroke="#fff" stroke-width=".9" stroke-opacity=".85"/>`,
      ),
    )
    const stripes =
      random() < 0.5
        ? [-8, 0, 8]
            .map(
              x => `<path d="M${x} -27v8" stroke="#000" stroke-opacity=".3" stroke-width="3" stroke-linecap="round"/>`,
            )
            .join('')
        : ''
    const shapes = `<path d="M-28 -8L-27 -38L-8 -25ZM28 -8L27 -38L8 -25Z" fill="${fur}"/><path d="M-24 -17L-23.500 -31L-14 -24ZM24 -17L23.500 -31L14 -24Z" fill="#f2a6a6"/><ellipse cy="2" rx="31" ry="28" fill="${fur}"/>${stripes}<ellipse cy="14" rx="14" ry="10" fill="#fff" fill-opacity=".8"/>${face(-13)}${face(13)}<path d="M-3.500 8H3.500L0 12Z" fill="#d96d7f"/><path d="M0 12Q-4 18 -8 15M0 12Q4 18 8 15" fill="none" stroke="#3b2a2a" stroke-width="1.300" stroke-linecap="round"/>${whiskers.join('')}`
    return `${gradient('wall', wall)}<rect width="100" height="100" fill="url(#wall)"/>${placed(random, shapes, 10)}`
  },
  house(random) {
    const [wall, roof, door] = [
      pick(random, ['#fff1d6', '#f6d7c3', '#dfe9f2', '#f9e28c', '#d9ead3']),
      pick(random, ['#b23a48', '#7f4f24', '#4a5568', '#a4452c', '#5d576b']),
      pick(random, BRIGHT),
    ]
    const pane = (/** @type {number} */ x) =>
      `<rect x="${x}" y="-2" width="12" height="12" rx="1" fill="${pick(random, ['#ffe08a', '#aed9e0'])}" stroke="#fff" stroke-width="2"/><path d="M${x + 6} -2v12M${x} 4h12" stroke="#fff" stroke-width="1.400"/>`
    const shapes = `<rect x="13" y="-36" width="8" height="18" fill="#8d5b4c"/><rect x="-26" y="-10" width="52" height="42" fill="${wall}"/><path d="M-33 -9L0 -36L33 -9Z" fill="${roof}"/><rect x="-6" y="11" width="12" height="21" rx="1.500" fill="${door}"/><circle cx="3" cy="22" r="1.200" fill="#fff"/>${pane(-21)}${pane(9)}`
    const tree = `<g transform="translate(${pick(random, [14, 86])} 72)"><rect x="-2" y="-6" width="4" height="18" fill="#6b4226"/><circle cy="-14" r="12" fill="#4f8a4b"/><circle cx="5" cy="-19" r="7" fill="#69a85c"/></g>`
    return sky(random) + hills(random, ['#7fb069', '#5a8f4a']) + tree + placed(random, shapes, 2, false)
  },
  mushroom(random) {
    const cap = pick(random, ['#d7263d', '#e4572e', '#8d5b4c', '#a23b72', '#f3a712'])
    const dots = [
      [-18, -10, 4],
      [-5, -22, 5],
      [12, -12, 4.5],
      [2, -7, 3],
      [21, -4, 2.5],
      [-25, -2, 2.3],
    ].map(([x, y, r]) => `<ellipse cx="${x}" cy="${y}" rx="${r}" ry="${r * 0.85}" fill="#fff" fill-opacity=".92"/>`)
    const shapes = `<path d="M-9 0Q-13 24 -14 34H14Q13 24 9 0Z" fill="#fff3df"/><path d="M2 0Q5 24 4 34H14Q13 24 9 0Z" fill="#e6cfa8"/><path d="M-34 2Q-32 -34 0 -34T34 2Q17 9 0 8T-34 2Z" fill="${cap}"/>${dots.join('')}<path d="M-20 5Q0 13 20 5L12 9Q0 12 -12 9Z" fill="#000" fill-opacity=".18"/>`
    const grass = Array.from({ length: 16 }, () => {
      const x = between(random, 0, 100)
      return `<path d="M${x} 100q${between(random, -4, 4)} -10 ${between(random, -5, 5)} -${between(random, 9, 20)}" stroke="#5c8f3f" stroke-width="2" fill="none" stroke-linecap="round"/>`
    })
    const trunks = [12, 34, 60, 84].map(
      x =>
        `<rect x="${x + between(random, -7, 7)}" width="${between(random, 3, 8)}" height="85" fill="#000" fill-opacity=".16"/>`,
    )
    const wood = pick(random, [
      ['#31572c', '#132a13'],
      ['#4f772d', '#31572c'],
      ['#52796f', '#2f3e46'],
      ['#606c38', '#283618'],
    ])
    return `${gradient('wood', wood)}<rect width="100" height="100" fill="url(#wood)"/>${trunks.join('')}${placed(random, shapes, 8)}${grass.join('')}`
  },
  owl(random) {
    const [coat, belly] = [
      pick(random, ['#7f5539', '#5e503f', '#9c6644', '#4a4e69', '#6d6875']),
      pick(random, ['#e6ccb2', '#f1e3d3', '#ddb892']),
    ]
    const stars = Array.from(
      { length: 14 },
      () =>
        `<circle cx="${between(random, 0, 100)}" cy="${between(random, 0, 75)}" r="${between(random, 0.4, 1.1)}" fill="#fff" fill-opacity=".9"/>`,
    )
    const moon = `<circle cx="${pick(random, [18, 82])}" cy="${between(random, 16, 26)}" r="11" fill="#fff3b0"/>`
    const feathers = [0, 1, 2].flatMap(row =>
      [-8, 0, 8].map(
        x => `<path d="M${x - 3} ${8 + 7 * row}q3 4 6 0" fill="none" stroke="${coat}" stroke-width="1.500"/>`,
      ),
    )
    const eye = (/** @type {number} */ x) =>
      `<circle cx="${x}" cy="-12" r="10" fill="#fff"/><circle cx="${x}" cy="-12" r="6.500" fill="#f6a623"/><circle cx="${x}" cy="-12" r="3.600" fill="#17171f"/><circle cx="${x + 1.5}" cy="-14" r="1.200" fill="#fff"/>`
    const shapes = `<path d="M-24 -18L-22 -36L-10 -28ZM24 -18L22 -36L10 -28Z" fill="${coat}"/><ellipse cy="4" rx="26" ry="33" fill="${coat}"/><ellipse cy="14" rx="16" ry="20" fill="${belly}"/>${feathers.join('')}<path d="M-26 2Q-34 20 -20 30Q-18 12 -26 2ZM26 2Q34 20 20 30Q18 12 26 2Z" fill="#000" fill-opacity=".22"/>${eye(-10)}${eye(10)}<path d="M-3.500 -7H3.500L0 0Z" fill="#f3a712"/>`
    const branch =
      '<path d="M-4 88Q40 80 104 86" stroke="#5b3a1e" stroke-width="6" fill="none" stroke-linecap="round"/>'
    const night = pick(random, [
      ['#10173a', '#3d4a8a'],
      ['#1b1b3a', '#693668'],
      ['#0b2239', '#2a6f97'],
    ])
    return `${gradient('night', night)}<rect width="100" height="100" fill="url(#night)"/>${stars.join('')}${moon}${branch}${placed(random, shapes, 5)}`
  },
  cactus(random) {
    const [light, dark] = pick(random, [
      ['#5fa55a', '#3d7a3a'],
      ['#4aa37c', '#2f7355'],
      ['#7bb661', '#4f8a3c'],
    ])
    const sand = pick(random, [
      ['#f2cc8f', '#d99f5c'],
      ['#f4d6a0', '#c98f55'],
      ['#efb98b', '#c4784e'],
    ])
    const spines = Array.from({ length: 14 }, () => {
      const [x, y] = [between(random, -7, 7), between(random, -30, 32)]
      return `<path d="M${x} ${y}l2 -2" stroke="#fff" stroke-width=".8"/>`
    })
    const flower =
      random() < 0.7
        ? '<g fill="#ff5d8f"><circle cx="-4" cy="-37" r="4"/><circle cx="4" cy="-37" r="4"/><circle cy="-41" r="4"/><circle cy="-36" r="3" fill="#ffe066"/></g>'
        : ''
    const arms = `<path d="M-8 12H-24V-10" fill="none" stroke="${dark}" stroke-width="10" stroke-linecap="round" stroke-linejoin="round"/><path d="M8 4H23V-18" fill="none" stroke="${light}" stroke-width="10" stroke-linecap="round" stroke-linejoin="round"/>`
    const shapes = `${arms}<rect x="-10" y="-36" width="20" height="76" rx="10" fill="${light}"/><path d="M0 -36A10 10 0 0 1 10 -26V40H2Z" fill="${dark}" fill-opacity=".6"/>${spines.join('')}${flower}`
    return sky(random) + hills(random, sand) + placed(random, shapes, 4)
  },
}

/** The kinds there are. */
export const kinds = Object.keys(KINDS)

/** One drawing as SVG; shown at 64 x 64, written as PNG at 128 x 128. @param {string} kind @param {number} seed */
export function drawing(kind, seed) {
  const shapes = KINDS[kind](seeded(seed))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 100 100">${shapes}</svg>`
}

/**
 * Writes drawings as PNG files: `<folder>/owl/007.png`.
 *
 * @param {string} folder
 * @param {number} count of each kind
 */
export async function writeDrawings(folder, count) {
  for (const [k, kind] of kinds.entries()) {
    for (let i = 0; i < count; i++) {
      const file = join(folder, kind, `${String(i).padStart(3, '0')}.png`)
      await saveFigure(file, drawing(kind, 1000 * k + i), { inline: false })
    }
  }
}
