import type { Tensor } from '../tensor/index.js'

/** What a callback needs to go on in another process: see {@link Callback.saveState}. */
export interface CallbackState {
  /** Whatever JSON can say. Long lists of numbers belong into `tensors`. */
  values?: Record<string, unknown>
  /** Copied by whoever takes them. */
  tensors?: Record<string, Tensor>
}

/** A state as it comes back: both parts there, possibly empty. */
export type SavedCallbackState = Required<CallbackState>
