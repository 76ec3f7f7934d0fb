import { writeSync } from 'node:fs'
import { checkValue, func, originText, TorchLearnerError } from '../check/index.js'
import { native, type UnreadError } from '../native/index.js'
import { belongs, originOf } from './run.js'

/**
 * Called with an error that nobody has read: an operator failed, and its result (and everything computed from it) was given
 * up without anyone having awaited it.
 *
 * @param error with `code`, `operator` and, if the operator was recorded in a run, `origin`
 * @param count how many errors like it there were since the last call
 */
export type UnreadErrorHandler = (error: TorchLearnerError, count: number) => void

native.onError(toError)

function toError(code: string, message: string, operator: string, origin: number): TorchLearnerError {
  const where = originOf(origin)
  const text = where ? `${message}, in ${originText(where)}` : message
  const error = new TorchLearnerError(code as TorchLearnerError['code'], text, { operator, origin: where })
  belongs(error, origin)
  return error
}

const handlerField = func()
const handlers = new Set<{ handler: UnreadErrorHandler }>()

/**
 * Takes over what happens with errors that nobody has read, instead of the warning (`process.on('warning')`, type
 * `TorchLearnerWarning`): for services, which log and count them. See "Errors" in the README for whom an error is told.
 *
 * @returns a function that ends it
 * @example const stop = onUnreadError((error, count) => log.warn({ code: error.code, where: error.origin, count }, error.message))
 */
export function onUnreadError(handler: UnreadErrorHandler): () => void {
  checkValue(handlerField, handler, 'handler')
  const entry = { handler }
  handlers.add(entry)
  return () => void handlers.delete(entry)
}

/** Warnings that say the same come once in this time, the next one with how many were left out. */
const QUIET_MS = 10_000
const KINDS = 100

/** The first error that was reported by nothing but a warning: the program ends with it. */
let warned: TorchLearnerError | null = null

/** What has been said lately, and how often more it would have been. */
const said = new Map<string, { error: TorchLearnerError; more: number }>()
let others = 0
let timer: NodeJS.Timeout | null = null

native.onUnread(report)

function report(errors: UnreadError[]): void {
  for (const [code, message, operator, origin, count] of errors) {
    if (message === '') tellOthers(count)
    else tell(message, toError(code, message, operator, origin), count)
  }
  if (others > 0) wakeLater()
}

/** @internal Reports an operator's or a callback's error that could not be reported to anyone, as one that nobody has read. */
export function reportUnread(error: TorchLearnerError): void {
  tell(error.message, error, 1)
}

function tell(message: string, error: TorchLearnerError, count: number): void {
  if (handlers.size > 0) {
    for (const { handler } of handlers) guarded(handler, error, count)
    return
  }
  warned ??= error
  const { run, callback, event, part } = error.origin ?? {}
  const key = [message, run, callback, event, part].join('\n') // whatever the batch
  const known = said.get(key)
  if (known) known.more += count
  else if (said.size >= KINDS) others += count
  else {
    said.set(key, { error, more: 0 })
    warn(error, count > 1 ? ` (${count} times)` : '')
  }
  wakeLater()
}

const othersText = (count: number) => `${count} more operators failed and nobody read their results`

/** Errors of more kinds at once than are told apart. */
function tellOthers(count: number): void {
  if (handlers.size === 0) others += count
  else tell('', new TorchLearnerError('ERR_OP_FAILED', othersText(count)), count)
}

/** An error of the handler is the program's, as one of an event's listener is. */
function guarded(handler: UnreadErrorHandler, error: TorchLearnerError, count: number): void {
  try {
    handler(error, count)
  } catch (own) {
    queueMicrotask(() => {
      throw own
    })
  }
}

function wakeLater(): void {
  timer ??= setTimeout(flush, QUIET_MS).unref()
}

/** Says what was left out. */
function flush(): void {
  if (timer) clearTimeout(timer)
  timer = null
  for (const [key, entry] of said) {
    if (entry.more > 0) warn(entry.error, ` (${entry.more} more of these)`)
    else said.delete(key)
    entry.more = 0
  }
  if (others > 0) emit(othersText(others), {})
  others = 0
  if (said.size > 0) wakeLater()
}

const warningText = ({ code, message }: TorchLearnerError, times: string) =>
  `${code === 'ERR_CALLBACK' ? 'A callback failed and nobody was told' : 'An operator failed and nobody read its result'}${times}: ${message}`

function warn(error: TorchLearnerError, times: string): void {
  const { code, operator, origin } = error
  emit(warningText(error, times), { code, operator, origin })
}

const WARNING = 'TorchLearnerWarning'

function emit(message: string, details: object): void {
  const warning = Object.assign(new Error(message), { name: WARNING, ...details })
  warning.stack = `${warning.name}: ${message}` // ours would say nothing about the operator
  process.emitWarning(warning)
}

// A program that ends with operators still queued lets them run. The first error that nobody has read then ends it as an
// unhandled rejection does, whether it has been warned of or not: which of the two is the collector's choice. A handler
// takes it over.
process.on('beforeExit', () => {
  if (!native.quiet()) {
    void native.mark(0, false)
    return
  }
  native.sync(0) // what has been given up is known to be so
  const unread = native.unread()
  if (handlers.size === 0 && warned === null) {
    const [first] = unread.splice(0, 1)
    if (first) {
      const [code, message, operator, origin, count] = first
      warned = Object.assign(toError(code, message, operator, origin), count > 1 ? { count } : {})
    }
  }
  report(unread)
  flush()
  if (warned) void Promise.reject(warned)
  warned = null
})

/** How long `process.exit()` waits for operators that are still queued, to say which of them fail. */
const LAST_WAIT_MS = 300
const SHOWN = 8

// After process.exit() warnings aren't written any more: here they are, as Node writes them. The code is the caller's.
process.on('exit', () => {
  const until = performance.now() + LAST_WAIT_MS
  const clock = new Int32Array(new SharedArrayBuffer(4))
  while (!native.quiet() && performance.now() < until) Atomics.wait(clock, 0, 0, 1)
  if (native.quiet()) native.sync(0)
  const unread = native.unread()
  if (handlers.size > 0) {
    report(unread)
    return
  }
  const write = (text: string) => {
    try {
      writeSync(2, `(node:${process.pid}) ${text}\n`)
    } catch {} // stderr is gone: there is nobody left to tell
  }
  let left = 0
  for (const [i, [code, message, operator, origin, count]] of unread.entries()) {
    if (message === '' || i >= SHOWN) left += count
    else {
      const times = count > 1 ? ` (${count} times)` : ''
      write(`[${code}] ${WARNING}: ${warningText(toError(code, message, operator, origin), times)}`)
    }
  }
  if (left > 0) write(`${WARNING}: ${othersText(left)}`)
})
