import { setImmediate } from 'node:timers/promises'

/**
 * Splits long work on the JavaScript thread, so that others get their turn: the function that comes back is called after
 * each small piece of it, and gives something to await when there has been enough.
 *
 * @param budget milliseconds at a stretch
 */
export function takeTurns(budget = 10): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < budget) return undefined
    return setImmediate().then(() => {
      since = performance.now()
    })
  }
}

/** Long work that may be interrupted at each `yield`: see {@link inTurns} and {@link atOnce}. */
export type Steps<T> = Generator<undefined, T>

/** So many small things are done between two `yield`s: a fraction of a millisecond. */
const STEP = 512

/**
 * Visits the numbers from 0 to `count` - 1.
 *
 * @param step so many between two `yield`s, where one takes longer than is usual
 */
export function* each(count: number, visit: (index: number) => void, step = STEP): Steps<void> {
  for (let i = 0; i < count; i++) {
    visit(i)
    if (i % step === step - 1) yield
  }
}

/** As `Array.from(items, make)`. */
export function* mapped<T, R>(items: ArrayLike<T>, make: (item: T, index: number) => R): Steps<R[]> {
  const made: R[] = []
  yield* each(items.length, i => made.push(make(items[i], i)))
  return made
}

/** As `items.sort(compare)`, which it returns in a new array. */
export function* sorted<T>(items: readonly T[], compare: (a: T, b: T) => number): Steps<T[]> {
  let from: T[] = []
  for (let at = 0; at < items.length; at += STEP) {
    for (const item of items.slice(at, at + STEP).sort(compare)) from.push(item)
    yield
  }
  for (let width = STEP; width < items.length; width *= 2) {
    const to: T[] = []
    let [left, right] = [0, width]
    yield* each(from.length, i => {
      // of a pair of sorted runs the smaller head, of equal ones the left
      if (i % (2 * width) === 0) [left, right] = [i, i + width]
      const start = i - (i % (2 * width))
      const isLeft =
        left < start + width &&
        (right >= Math.min(start + 2 * width, from.length) || compare(from[left], from[right]) <= 0)
      to.push(isLeft ? from[left++] : from[right++])
    })
    from = to
  }
  return from
}

/** Does the work with pauses, in which timers and other work have their turn. Its first step is done at once. */
export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  const turn = takeTurns()
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    const wait = turn()
    if (wait) await wait
  }
}

/** Does the work without a pause. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

type Stepwise<This, Args extends unknown[], T> = (this: This, ...args: Args) => Steps<T>

/** By function, the same work in steps. */
const stepwise = new WeakMap<object, unknown>()

/** A function that does its work at once; {@link stepsOf} gives it in steps. */
export function inSteps<Args extends unknown[], T>(steps: (...args: Args) => Steps<T>): (...args: Args) => T {
  const whole = (...args: Args) => atOnce(steps(...args))
  withSteps(whole, steps)
  return whole
}

/** Notes for {@link stepsOf} how a method does its work in steps. */
export function withSteps<This, Args extends unknown[], T>(
  whole: (this: This, ...args: Args) => T,
  steps: Stepwise<This, Args, T>,
): void {
  stepwise.set(whole, steps)
}

/** What a function does, in steps; nothing for functions that only do it at once, such as those of users. */
export function stepsOf<This, Args extends unknown[], T>(
  whole: (this: This, ...args: Args) => T,
): Stepwise<This, Args, T> | undefined {
  return stepwise.get(whole) as Stepwise<This, Args, T> | undefined
}
