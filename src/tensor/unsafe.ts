/**
 * Operators that libtorch doesn't mean for its users, by kind: their kernels trust their arguments, and a wrong one may
 * end the process or read foreign memory. `ops.unsafe` reaches them.
 */
const KINDS: readonly [string, RegExp][] = [
  ['private', /^aten::_/],
  ['for quantised tensors', /^aten::(quantized?_|q_|int_repr$|dequantize$|empty_quantized$|choose_qparams|fbgemm_)/],
  ['for quantised tensors', /^aten::fused_moving_avg_obs/],
  ["of one backend's library", /^aten::(to_mkldnn|mkldnn_|cudnn_|miopen_|\w+_mps_|mps_|xpu_)/],
]

/** What kind of unchecked operator the full name `aten::_foo` stands for, or null for a public one. */
export function unsafeKind(name: string): string | null {
  const [namespace] = name.split('::', 1)
  if (namespace === 'torch_learner') return null
  if (namespace !== 'aten') return `of the namespace ${namespace}`
  return KINDS.find(([, pattern]) => pattern.test(name))?.[0] ?? null
}
