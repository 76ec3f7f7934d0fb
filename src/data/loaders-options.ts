import { z } from 'zod'
import type { Loss } from '../nn/index.js'

export const Options = z.strictObject({
  path: z.string({ error: "a folder's path" }).default('.'),
  device: z.string({ error: 'a device such as cpu or cuda:0' }).default('cpu'),
  vocab: z
    .array(z.string({ error: 'a class name' }), { error: 'an array of class names' })
    .readonly()
    .optional(),
  c: z.int({ error: 'a whole number from 1' }).min(1, { error: 'a whole number from 1' }).optional(),
  nInp: z.int({ error: 'a whole number from 1' }).min(1, { error: 'a whole number from 1' }).optional(),
  lossFunc: z.custom<Loss>(value => typeof value === 'function', { error: 'a loss function' }).optional(),
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
