import { checkValue, field, oneOf } from '../check/index.js'

/** How a terminal takes pictures: kitty's graphics protocol, or iTerm2's inline images. */
export type InlineProtocol = 'kitty' | 'iterm2'

/** Where pictures go: `process.stdout`, or a stand-in. */
export interface PictureSink {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

type Environment = Readonly<Record<string, string | undefined>>

/** Konsole has kitty's protocol since 22.04. */
const KONSOLE = 220400

const isObject = (value: unknown) => typeof value === 'object' && value !== null
/** @internal */
export const sinkField = field<PictureSink>('a stream such as process.stdout', isObject)
const envField = field<Environment>('environment variables', isObject)
const wishField = oneOf('0', '1', 'kitty', 'iterm2').optional()

/**
 * How pictures can be shown in the terminal that `sink` is, or null. Only the environment is looked at: asking the terminal
 * itself could hang, or leave its answer in the prompt.
 *
 * Known are kitty, Ghostty and Konsole (kitty's protocol), iTerm2 and WezTerm (iTerm2's). Nothing is shown in a pipe, in CI,
 * and inside tmux and screen, which don't pass pictures on by themselves. `TORCH_LEARNER_INLINE` overrides what is found:
 * `0` never, `kitty` or `iterm2` this way (in VS Code with `terminal.integrated.enableImages`, say), `1` the found way, or
 * kitty's if none is.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` for another value of `TORCH_LEARNER_INLINE`
 */
export function inlineProtocol(sink: PictureSink, env: Environment = process.env): InlineProtocol | null {
  checkValue(sinkField, sink, 'sink')
  checkValue(envField, env, 'env')
  const wish = checkValue(wishField, env.TORCH_LEARNER_INLINE?.toLowerCase() || undefined, 'TORCH_LEARNER_INLINE')
  if (!sink.isTTY || wish === '0') return null
  if (wish === 'kitty' || wish === 'iterm2') return wish
  const found = byEnvironment(env)
  if (wish === '1') return found ?? 'kitty'
  return env.CI || env.TMUX || env.STY || /^(tmux|screen|dumb)/.test(env.TERM ?? '') ? null : found
}

function byEnvironment({ TERM, TERM_PROGRAM, LC_TERMINAL, KONSOLE_VERSION }: Environment): InlineProtocol | null {
  // TERM comes from the innermost terminal; the other variables may be left over from one that this one was started in
  if (TERM === 'xterm-kitty' || TERM === 'xterm-ghostty') return 'kitty'
  if (TERM_PROGRAM === 'ghostty') return 'kitty'
  if (TERM_PROGRAM === 'iTerm.app' || TERM_PROGRAM === 'WezTerm') return 'iterm2'
  if (TERM_PROGRAM) return null // VS Code, Apple's Terminal, ...
  if (LC_TERMINAL === 'iTerm2') return 'iterm2' // which iTerm2 sends along by ssh
  return Number(KONSOLE_VERSION) >= KONSOLE ? 'kitty' : null
}

/** Bytes of base64 that one escape sequence of kitty's may carry. */
const CHUNK = 4096

/** A PNG as the text that makes a terminal draw it, `columns` characters wide, and the end of the line below. */
export function inlinePicture(png: Uint8Array, protocol: InlineProtocol, columns: number): string {
  const base64 = Buffer.from(png.buffer, png.byteOffset, png.byteLength).toString('base64')
  if (protocol === 'iterm2') {
    return `\x1b]1337;File=inline=1;size=${png.length};width=${columns};preserveAspectRatio=1:${base64}\x07\n`
  }
  let text = ''
  for (let start = 0; start < base64.length; start += CHUNK) {
    const more = start + CHUNK < base64.length ? 1 : 0
    // q=2: the terminal is not to answer, which would end up in the prompt
    const control = start === 0 ? `a=T,f=100,q=2,c=${columns},m=${more}` : `m=${more}`
    text += `\x1b_G${control};${base64.slice(start, start + CHUNK)}\x1b\\`
  }
  return `${text}\n`
}

/** About how large a character is on the page of a drawing. */
const CHARACTER = { width: 8, height: 16 }

/** How many characters wide a drawing of this size is shown: as large as it is, or as the terminal has room. */
export function inlineColumns(width: number, height: number, sink: PictureSink): number {
  // a terminal that doesn't know its size says 0
  const [columns, rows] = [sink.columns || 80, sink.rows || 24]
  const tallest = ((rows - 2) * CHARACTER.height * width) / height / CHARACTER.width
  return Math.max(1, Math.floor(Math.min(width / CHARACTER.width, columns - 1, Math.max(tallest, 20))))
}
