import { AsyncLocalStorage } from 'node:async_hooks'
import { checkArguments, checkValue, flag, func, isThenable, oneOf, strictObject } from '../check/index.js'
import type { DType } from './dtype.js'
import type { Place, Run } from './run.js'

/** What a scope must know of the tensors it holds. */
export interface Scoped {
  /** The scope that frees it: another one, or none, when it has been handed over or disposed. */
  readonly scope: ScopeRecord | null
  dispose(): void
}

const FIRST_SWEEP = 256

/** The tensors made inside one `scope`. */
export class ScopeRecord {
  #members: Scoped[] = []
  #sweepAt = FIRST_SWEEP
  #closed = false

  constructor(readonly parent: ScopeRecord | null) {}

  /**
   * This scope, or when it has ended the nearest one around it that hasn't: async code that nobody awaits may outlive
   * the scope it was started in.
   */
  get open(): ScopeRecord | null {
    return this.#closed ? (this.parent?.open ?? null) : this
  }

  add(tensor: Scoped): void {
    if (this.#members.push(tensor) >= this.#sweepAt) this.#sweep()
  }

  /** Forgets what has left, so that a long loop which disposes its tensors by hand doesn't pile up their shells. */
  #sweep(): void {
    this.#members = this.live()
    this.#sweepAt = Math.max(FIRST_SWEEP, this.#members.length * 2)
  }

  live(): Scoped[] {
    return this.#members.filter(tensor => tensor.scope === this)
  }

  close(): void {
    for (const tensor of this.#members) if (tensor.scope === this) tensor.dispose()
    this.#members = []
    this.#closed = true
  }
}

/** Everything that is in force at a place in the program: it travels along calls as well as awaits. */
export interface Context {
  grad: boolean
  autocast: DType | null
  /** Which outermost call of `autocast` it is in, 0 for none: casts of weights are shared within it. */
  block: number
  scope: ScopeRecord | null
  /** How many named scopes are around it. */
  depth: number
  /** Which run this is a part of: operators that fail are told to it. */
  run: Run | null
  /** The place in that run, `null` outside of its places. */
  place: Place | null
  /** The run and the place in it as the addon wants them, 0 outside of runs. */
  origin: number
  /** grad mode and autocast as the addon wants them */
  flags: number
}

// PyTorch's numbers for dtypes that autocast can use
const AUTOCAST_CODES: Partial<Record<DType, number>> = { float16: 5, bfloat16: 15 }

function flagsOf({ grad, autocast, block }: Context): number {
  const code = autocast === null ? 0 : 2 | ((AUTOCAST_CODES[autocast] ?? 15) << 2)
  return (grad ? 1 : 0) | code | (block << 16)
}

const storage = new AsyncLocalStorage<Context>()
const ROOT: Context = {
  grad: true,
  autocast: null,
  block: 0,
  scope: null,
  depth: 0,
  run: null,
  place: null,
  origin: 0,
  flags: 1,
}

export function context(): Context {
  return storage.getStore() ?? ROOT
}

const fnField = func()

/** @internal Runs `fn`, which may be async, with something else in force. */
export function within<T>(change: Partial<Omit<Context, 'flags'>>, fn: () => T): T {
  checkValue(fnField, fn, 'fn')
  const next = { ...context(), ...change }
  next.flags = flagsOf(next)
  return storage.run(next, fn)
}

/**
 * Runs `fn` as at the top of the program: outside of runs, named scopes, `scope`, `noGrad` and `autocast`, and so is all that
 * it starts. For work in a callback that is to outlive the run and answers for its own errors, such as a server: otherwise
 * it belongs to the run for ever, which receives its errors.
 *
 * @returns what `fn` returns
 * @throws TorchLearnerError `ERR_INVALID_ARG` when `fn` is no function
 * @example new Callback({ beforeFit: () => outsideRuns(() => createServer(predict).listen(8080)) })
 */
export function outsideRuns<T>(fn: () => T): T {
  checkValue(fnField, fn, 'fn')
  return storage.exit(fn)
}

/** `fn`, to be called later with what is in force now. */
export function bound<T>(fn: () => T): () => T {
  const now = context()
  return () => storage.run(now, fn)
}

/**
 * Runs `fn` without recording gradients, as `torch.no_grad()`. `fn` may be async: what it awaits is covered too, and
 * other code running meanwhile is not.
 *
 * @example const pred = noGrad(() => model(x))
 */
export function noGrad<T>(fn: () => T): T {
  return within({ grad: false }, fn)
}

/** Runs `fn` with gradients recorded, also inside `noGrad`. */
export function enableGrad<T>(fn: () => T): T {
  return within({ grad: true }, fn)
}

/** Whether operators record what `backward()` needs. */
export function isGradEnabled(): boolean {
  return context().grad
}

const autocastSchema = strictObject({
  dtype: oneOf('bfloat16', 'float16').default('bfloat16'),
  enabled: flag.default(true),
})

const LAST_BLOCK = 0x7fff
let lastBlock = 0

function nextBlock(): number {
  lastBlock = (lastBlock % LAST_BLOCK) + 1
  return lastBlock
}

/**
 * Runs `fn` with operators choosing their precision as `torch.autocast` does: matrix products and convolutions in
 * `dtype`, sums and losses in float32.
 *
 * @param options `dtype`: `bfloat16` (default) or `float16`; `enabled`: false switches autocast off inside
 */
export function autocast<T>(options: { dtype?: 'bfloat16' | 'float16'; enabled?: boolean }, fn: () => T): T {
  const { dtype, enabled } = checkArguments(autocastSchema, options, 'autocast')
  return within({ autocast: enabled ? dtype : null, block: context().block || nextBlock() }, fn)
}

/** Opens a scope, runs `fn`, and hands its record and result to `close`, also when `fn` is async or throws. */
export function inScope<T>(fn: () => T, close: (record: ScopeRecord, result: Awaited<T> | undefined) => void): T {
  const record = new ScopeRecord(context().scope)
  let result: T
  try {
    result = within({ scope: record }, fn)
  } catch (error) {
    close(record, undefined)
    throw error
  }
  if (isThenable(result)) {
    const closed = Promise.resolve(result).then(
      value => {
        close(record, value)
        return value
      },
      error => {
        close(record, undefined)
        throw error
      },
    )
    return closed as T
  }
  close(record, result as Awaited<T>)
  return result
}
