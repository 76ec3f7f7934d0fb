import { classNames, count, device, field, strictObject, string } from '../../check/index.js'
import type { Loss } from '../../nn/index.js'

export const Options = strictObject({
  path: string("a folder's path").default('.'),
  device: device.default('cpu'),
  vocab: classNames.optional(),
  c: count.optional(),
  nInp: count.optional(),
  lossFunc: field<Loss>('a loss function', value => typeof value === 'function').optional(),
})

/** What is known of the data besides the batches. */
export interface DataLoadersOptions {
  /** Where models are saved. Default `.`. */
  path?: string
  /** Where to compute. Default `cpu`. */
  device?: string
  /** The classes by number. */
  vocab?: readonly string[]
  /** How many outputs a model needs. Default: the size of the vocab. */
  c?: number
  /** How many tensors of a batch are inputs. Default: all but the last, or the only one. */
  nInp?: number
  /** The loss that suits the targets. */
  lossFunc?: Loss
}
