import { checkArguments, field, flag, invalidArgument, strictObject } from '../check/index.js'
import { native } from '../native/index.js'
import { context } from './context.js'
import { Tensor } from './tensor.js'

const handles = (tensors: readonly Tensor[]) => Float64Array.from(tensors, tensor => tensor.handle)

const gradSchema = strictObject({
  gradOutputs: field<readonly Tensor[]>('tensors', Array.isArray).optional(), // looked at one by one, as outputs are
  retainGraph: flag.optional(),
  createGraph: flag.default(false),
  allowUnused: flag.default(false),
})

/**
 * The gradients of `outputs` with respect to `inputs`, as `torch.autograd.grad`: nothing is left in `grad`.
 *
 * @param options `gradOutputs`: the weight of each output's elements (default: outputs are single numbers);
 * `retainGraph` (default `createGraph`); `createGraph`: make the gradients differentiable; `allowUnused`: give undefined
 * tensors for inputs that had no part, instead of an error
 */
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: {
    gradOutputs?: readonly Tensor[]
    retainGraph?: boolean
    createGraph?: boolean
    allowUnused?: boolean
  } = {},
): Tensor[] {
  const list = (value: Tensor | readonly Tensor[], name: string) => {
    const items = value instanceof Tensor ? [value] : value
    if (!Array.isArray(items) || !items.every(item => item instanceof Tensor))
      throw invalidArgument(name, 'tensors', value)
    return items
  }
  const { gradOutputs = [], createGraph, allowUnused, ...given } = checkArguments(gradSchema, options, 'grad')
  const { retainGraph = createGraph } = given
  const wanted = (retainGraph ? 1 : 0) | (createGraph ? 2 : 0) | (allowUnused ? 4 : 0)
  return native
    .gradients(
      handles(list(outputs, 'outputs')),
      handles(list(inputs, 'inputs')),
      handles(list(gradOutputs, 'gradOutputs')),
      wanted,
      context().flags,
      context().origin,
    )
    .map(handle => new Tensor(handle))
}
