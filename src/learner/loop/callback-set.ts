import { invalidArgument } from '../../check/index.js'
import { at } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import type { CallbackClass, CallbackLike, CallbackList, CallbackRefs } from '../options.js'
import { acting, Callback } from './callback.js'
import { throwFirst } from './ending.js'
import { placeOf } from './working.js'

/** The callbacks of one Learner, in order of insertion. */
export class CallbackSet implements Iterable<Callback> {
  readonly #learn: Learner
  /** Replaced when it changes. */
  #list: readonly Callback[] = []
  /** What {@link ordered} has sorted last: it is asked for at every event. */
  #sorted: { of: readonly Callback[]; callbacks: readonly Callback[]; orders: readonly number[] } = {
    of: this.#list,
    callbacks: [],
    orders: [],
  }

  constructor(learn: Learner) {
    this.#learn = learn
  }

  [Symbol.iterator](): Iterator<Callback> {
    return this.#list[Symbol.iterator]()
  }

  /**
   * Sorted by `order`; ties keep the order of insertion. Never changed afterwards: callbacks may add and remove callbacks,
   * and change their order, while someone goes through it.
   */
  ordered(): readonly Callback[] {
    const { of, callbacks, orders } = this.#sorted
    if (of === this.#list && callbacks.every((callback, i) => callback.order === orders[i])) return callbacks
    const sorted = this.#list.toSorted((a, b) => a.order - b.order)
    this.#sorted = { of: this.#list, callbacks: sorted, orders: sorted.map(({ order }) => order) }
    return sorted
  }

  /** Adds callbacks and returns them, classes instantiated. */
  add(list: CallbackList): Callback[] {
    const added = asArray(list).map(instantiate)
    for (const [i, callback] of added.entries()) {
      try {
        at(placeOf(this.#learn, callback, 'attach'), () => callback.attach(this.#learn))
      } catch (error) {
        const others = added.slice(0, i).filter(other => !this.#list.includes(other))
        throwFirst([error, ...this.#detach(others)])
      }
    }
    this.#list = [...this.#list, ...added]
    return added
  }

  /**
   * Removes callbacks, all instances of a class, and returns those that were there. They are gone even if one fails to
   * detach, which is thrown at the end.
   */
  remove(list: CallbackRefs): Callback[] {
    const { removed, failures } = this.take(list)
    throwFirst(failures)
    return removed
  }

  /** As {@link remove}, for whoever has to put them back in any case. */
  take(list: CallbackRefs): { removed: Callback[]; failures: unknown[] } {
    const gone = [list].flat()
    const removed = this.#list.filter(callback => gone.some(like => matches(callback, like)))
    this.#list = this.#list.filter(callback => !removed.includes(callback))
    return { removed, failures: this.#detach(removed) }
  }

  #detach(callbacks: readonly Callback[]): unknown[] {
    const failures: unknown[] = []
    for (const callback of callbacks) {
      try {
        acting(callback, 'detach', placeOf(this.#learn, callback, 'detach'), () => callback.detach(this.#learn))
      } catch (error) {
        failures.push(error)
      }
    }
    return failures
  }

  /** The callback of a class, or with a name; the last one if there are several. */
  find<T extends Callback>(which: string | (abstract new (...args: never[]) => T)): Callback | undefined {
    if (typeof which !== 'string' && !isCallbackClass(which)) {
      throw invalidArgument('which', 'the name or the class of a callback', which)
    }
    return this.#list.findLast(callback =>
      typeof which === 'string' ? callback.name === which : callback instanceof which,
    )
  }

  /** Takes back callbacks that have been lent to another Learner in the meantime. */
  attachAll(): void {
    for (const callback of this.#list) callback.attach(this.#learn)
  }
}

function asArray(list: CallbackList): CallbackLike[] {
  return [list].flat()
}

function instantiate(like: CallbackLike): Callback {
  if (typeof like === 'function' && !isCallbackClass(like)) {
    throw invalidArgument('cbs', 'a callback, a class of callbacks, or a list of them', like)
  }
  const callback = typeof like === 'function' ? new like() : like
  if (callback instanceof Callback) return callback
  throw invalidArgument('cbs', 'a callback, a class of callbacks, or a list of them', like)
}

function matches(callback: Callback, like: Callback | CallbackClass): boolean {
  return isCallbackClass(like) && typeof like === 'function' ? callback instanceof like : callback === like
}

function isCallbackClass(value: unknown): boolean {
  return typeof value === 'function' && (value === Callback || value.prototype instanceof Callback)
}
