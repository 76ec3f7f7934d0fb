import { checkArguments, checkValue, flag, strictObject, whole } from '../../check/index.js'
import { empty, type Tensor } from '../../tensor/index.js'
import { linear } from '../functional.js'
import { kaimingStd, uniform_ } from '../init.js'
import { Module } from '../module.js'
import { Parameter } from '../parameter.js'
import { python } from '../repr.js'

const features = whole(0)
const schema = strictObject({ bias: flag.default(true) })

/** @internal A weight and perhaps a bias with PyTorch's initial values, drawn in its order. */
export function learntWeights(
  shape: number[],
  outputs: number,
  withBias: boolean,
): { weight: Parameter; bias: Parameter | null } {
  const fanIn = shape.slice(1).reduce((product, size) => product * size, 1)
  const weight = new Parameter(empty(shape))
  const bias = withBias ? new Parameter(empty([outputs])) : null
  if (fanIn > 0) {
    const bound = Math.sqrt(3) * kaimingStd(fanIn, { a: Math.sqrt(5) })
    uniform_(weight, -bound, bound)
    if (bias !== null) uniform_(bias, -1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn))
  }
  return { weight, bias }
}

/** `y = x Aᵀ + b`: `(..., inFeatures)` to `(..., outFeatures)`. Weights start as PyTorch's: evenly from ±1/√inFeatures. */
export class Linear extends Module<[Tensor], Tensor> {
  /** `(outFeatures, inFeatures)` */
  readonly weight: Parameter
  /** `(outFeatures)` */
  readonly bias: Parameter | null

  /** @param options `bias`: default true */
  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: { bias?: boolean } = {},
  ) {
    super()
    const { bias: withBias } = checkArguments(schema, options, 'Linear')
    const shape = [checkValue(features, outFeatures, 'outFeatures'), checkValue(features, inFeatures, 'inFeatures')]
    const { weight, bias } = learntWeights(shape, outFeatures, withBias)
    this.weight = weight
    this.bias = bias
  }

  forward(input: Tensor): Tensor {
    return linear(input, this.weight, this.bias)
  }

  override extraRepr(): string {
    return `in_features=${this.inFeatures}, out_features=${this.outFeatures}, bias=${python(this.bias !== null)}`
  }
}
