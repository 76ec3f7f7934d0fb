import { isTyped } from '../../check/index.js'
import type { TextSink } from './renderer.js'

const LINE_FEED = 10

interface Guarded {
  readonly stream: TextSink
  readonly original: TextSink['write']
  readonly own: boolean
  readonly wrapper: TextSink['write']
}

/**
 * Keeps an unfinished line (a progress bar) and what others write to the same terminal apart: `console.log` in a callback, a
 * warning, a picture. While it stands, whoever writes finds the line wiped; it is drawn again at its next change.
 */
export class LineGuard {
  readonly #guarded: Guarded[] = []
  readonly #write: (text: string) => unknown
  #open = false
  /** Someone wrote the beginning of a line. */
  #foreign = false
  #standing = true

  /** @param streams the line's own first; others that write to the same terminal */
  constructor(streams: readonly TextSink[]) {
    const [first] = streams
    const direct = first.write
    this.#write = text => Reflect.apply(direct, first, [text])
    for (const stream of streams) this.#wrap(stream)
  }

  /** Puts this line in the place of the one before. */
  draw(line: string): void {
    this.#write(`${this.#foreign ? '\n' : '\r'}${line}\x1b[K`)
    this.#foreign = false
    this.#open = true
  }

  /** Wipes the line, and writes whole lines where it was. */
  clear(text = ''): void {
    if (this.#open || text !== '') this.#write(`${this.#foreign ? '\n' : this.#open ? '\r\x1b[2K' : ''}${text}`)
    if (text !== '') this.#foreign = false
    this.#open = false
  }

  /** The streams are as before. */
  release(): void {
    this.clear()
    this.#standing = false
    for (const { stream, original, own, wrapper } of this.#guarded) {
      if (stream.write !== wrapper) continue // someone has wrapped it since; what stands below does nothing any more
      if (own) stream.write = original
      else Reflect.deleteProperty(stream, 'write')
    }
  }

  #wrap(stream: TextSink): void {
    const original = stream.write
    const own = Object.hasOwn(stream, 'write')
    const wrapper = (...args: Parameters<TextSink['write']>): unknown => {
      if (this.#standing) {
        this.clear()
        const chunk: unknown = args[0]
        const end = typeof chunk === 'string' ? chunk.at(-1) : isTyped(chunk, 'Uint8Array') ? chunk.at(-1) : undefined
        if (end !== undefined) this.#foreign = end !== '\n' && end !== LINE_FEED
      }
      return Reflect.apply(original, stream, args)
    }
    stream.write = wrapper
    this.#guarded.push({ stream, original, own, wrapper })
  }
}
