import { checkOptions } from '../check/index.js'
import { Callback, type CallbackList, type Preds, type PredsOptions, predsSchema } from '../learner/index.js'
import { scope, Tensor } from '../tensor/index.js'

/** Options of {@link FetchPreds}: those of {@link Learner.getPreds}; `cbs` are callbacks to leave out meanwhile. */
export type FetchPredsOptions = Omit<PredsOptions, 'inner' | 'signal' | 'withPreds'>

const schema = predsSchema.omit('inner', 'signal', 'withPreds')

/**
 * Fetches predictions after each epoch's validation, in the middle of a fit: see {@link preds}. Callbacks marked
 * `removeOnFetch` (the Recorder, the trackers) take no part in that pass.
 *
 * @example
 * const fetch = new FetchPreds()
 * await learn.fit(1, { cbs: fetch })
 * console.log(fetch.preds?.preds.shape)
 */
export class FetchPreds extends Callback {
  override removeOnFetch = true
  /** The last epoch's predictions; the tensors of the epoch before are freed. */
  preds: Preds | null = null
  readonly #options: Omit<FetchPredsOptions, 'cbs'>
  readonly #without: CallbackList

  constructor(options: FetchPredsOptions = {}) {
    super()
    checkOptions(schema, options, 'FetchPreds')
    const { cbs = [], ...rest } = options
    this.#options = rest
    this.#without = cbs
  }

  override async afterValidate(): Promise<void> {
    const { learn } = this
    const without = learn.cbs.filter(callback => callback.removeOnFetch)
    const preds = await learn.removedCbs([...without, this.#without].flat(), () =>
      scope(() => learn.getPreds({ ...this.#options, inner: true })),
    )
    this.release()
    for (const tensor of tensorsOf(preds)) tensor.keep()
    this.preds = preds
  }

  /** Frees the predictions. */
  release(): void {
    if (this.preds) for (const tensor of tensorsOf(this.preds)) tensor.dispose()
    this.preds = null
  }
}

function tensorsOf(preds: Preds): Tensor[] {
  return Object.values(preds)
    .flat()
    .filter(value => value instanceof Tensor)
}
