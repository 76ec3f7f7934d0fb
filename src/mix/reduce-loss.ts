import { checkValue, func, invalidArgument, isThenable } from '../check/index.js'
import { Tensor } from '../tensor/index.js'

/**
 * Applies a reduction to losses that were computed with reduction "none": `'mean'` and `'sum'` over all elements, and
 * anything else gives `loss` back untouched, as in fastai.
 *
 * @param loss of any shape
 * @param reduction default `'mean'`
 */
export function reduceLoss(loss: Tensor, reduction = 'mean'): Tensor {
  if (!(loss instanceof Tensor)) throw invalidArgument('loss', 'a tensor', loss)
  if (reduction === 'mean') return loss.mean()
  return reduction === 'sum' ? loss.sum() : loss
}

/** fastai's spelling of {@link reduceLoss}. */
export const reduce_loss = reduceLoss

/** What can be trained with: a loss object, or a plain function. */
export interface LossFunction {
  // biome-ignore lint/suspicious/noExplicitAny: parameters are contravariant, and losses differ in what they take
  (pred: Tensor, ...targets: any[]): Tensor
  /** What becomes of the losses of single samples: `mean`, `sum` or `none`. */
  reduction?: string | null
}

/** The reduction that a loss stands at: its own, or `'mean'` for plain functions. */
export function reductionOf(lossFunc: LossFunction): string {
  return lossFunc.reduction ?? 'mean'
}

/** The loss as a function that is told, with each call, not to reduce. */
function told(lossFunc: LossFunction, reduction: string): LossFunction {
  return (pred, ...targets) => lossFunc(pred, ...targets, { reduction })
}

/**
 * The loss with a reduction of its own, for as long as one likes: the loss that it stands for is switched only while it is
 * called, so that whoever else uses that one, another Learner perhaps, finds it as it is.
 */
function reducingBy(lossFunc: LossFunction, reduction: string): LossFunction {
  let own = reduction
  return new Proxy(lossFunc, {
    apply: (loss, _, args: [Tensor, ...unknown[]]) => switched(loss, own, () => loss(...args)),
    get(loss, key) {
      if (key === 'reduction') return own
      const value: unknown = Reflect.get(loss, key)
      // methods belong to the loss itself, whose private fields they may read
      return typeof value === 'function' && key !== 'constructor' ? value.bind(loss) : value
    },
    set(loss, key, value) {
      if (key !== 'reduction') return Reflect.set(loss, key, value)
      own = value
      return true
    },
  })
}

const functions = func()

/** Runs `fn`, which may be async, and `restore` after it, however it ends. */
function restoring<T>(fn: () => T, restore: () => void): T {
  checkValue(functions, fn, 'fn')
  let pending = false
  try {
    const result = fn()
    if (!isThenable(result)) return result
    pending = true
    return Promise.resolve(result).finally(restore) as T
  } finally {
    if (!pending) restore()
  }
}

/** What a loss's reduction was before the first of those who have switched it now, and how many they are. */
const switchedNow = new WeakMap<LossFunction, { before: LossFunction['reduction']; users: number }>()

/** Switches a loss's property `reduction` while `fn` runs; of several at once the last one switches it back. */
function switched<T>(lossFunc: LossFunction, reduction: string, fn: () => T): T {
  const state = switchedNow.get(lossFunc) ?? { before: lossFunc.reduction, users: 0 }
  switchedNow.set(lossFunc, state)
  state.users += 1
  lossFunc.reduction = reduction
  return restoring(fn, () => {
    state.users -= 1
    if (state.users > 0) return
    switchedNow.delete(lossFunc)
    lossFunc.reduction = state.before
  })
}

/**
 * Runs `fn` with a loss that doesn't reduce, fastai's `NoneReduce`. A loss with a property `reduction` is switched to
 * `'none'` and back again, however `fn` ends (it may be async); of any other function `fn` gets a version that is called
 * with `{ reduction: 'none' }` as last argument, and which has to honour it.
 *
 * fastai leaves a loss whose reduction is None at "none" for ever. Here it gets its null back.
 *
 * @returns what `fn` returns
 * @example noneReduce(lossFunc, unreduced => unreduced(pred, y)) // (N) losses
 */
export function noneReduce<T>(lossFunc: LossFunction, fn: (unreduced: LossFunction) => T): T {
  if (typeof lossFunc !== 'function') throw invalidArgument('lossFunc', 'a loss', lossFunc)
  checkValue(functions, fn, 'fn')
  if (!('reduction' in lossFunc)) return fn(told(lossFunc, 'none'))
  return switched(lossFunc, 'none', () => fn(lossFunc))
}

/**
 * Runs `fn`, which may be async, while `holder` has a version of its loss with another reduction, as {@link noneReduce}
 * makes it; then it has its own again, however `fn` ends. The loss itself stays as it is: others may be using it meanwhile.
 */
export function withReduction<T>(holder: { lossFunc: LossFunction }, reduction: string, fn: () => T): T {
  checkValue(functions, fn, 'fn')
  const { lossFunc } = holder
  holder.lossFunc = 'reduction' in lossFunc ? reducingBy(lossFunc, reduction) : told(lossFunc, reduction)
  return restoring(fn, () => {
    holder.lossFunc = lossFunc
  })
}
