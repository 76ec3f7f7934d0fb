// Tensors that look like others and lie otherwise in memory: views, expanded, sparse, complex, without elements.
import * as tl from '../../dist/index.js'
import { chance, integer, pick } from './fuzz-random.mjs'

const { aten } = tl.ops
const notes = new WeakMap()

/** What a tensor was made into, for a person to read. */
export const noteOf = tensor => (notes.has(tensor) ? ` (${notes.get(tensor)})` : '')

const somewhere = x => integer(x.ndim)

/** By name: what is made of a tensor, or null where it can't be. Shapes stay, unless it says so. */
const VARIANTS = {
  /** All rows are one. */
  expanded: x => (x.ndim === 0 ? null : aten.expandAs(x.narrow(somewhere(x), 0, 1), x)),
  /** A stride of 0 and a dimension more. */
  repeated: x => x.unsqueeze(0).expand([1 + integer(3), ...x.shape]),
  /** Every second element of something larger. */
  sliced(x) {
    if (x.ndim === 0) return null
    const dim = somewhere(x)
    return aten.slice(aten.cat([x, x], dim), dim, 0, null, 2)
  },
  /** Not at the beginning of its memory. */
  shifted: x => aten.select(aten.stack([x, x, x]), 0, 1),
  /** A window with a step: elements overlap. */
  overlapping: x => (x.ndim === 1 && x.shape[0] > 1 ? aten.unfold(x, 0, 2, 1) : null),
  reversed: x =>
    aten.permute(
      x,
      Array.from({ length: x.ndim }, (_, i) => x.ndim - 1 - i),
    ),
  /** Without elements. */
  empty: x => (x.ndim === 0 ? null : x.narrow(somewhere(x), 0, 0)),
  complex: x => aten.complex(x.to({ dtype: 'float32' }), x.to({ dtype: 'float32' })),
  'complex double': x => aten.complex(x.to({ dtype: 'float64' }), x.to({ dtype: 'float64' })),
  /** Flagged, not computed. */
  conjugate: x => aten.conj(VARIANTS.complex(x)),
  /** The negated imaginary part of a conjugate: flagged too. */
  negative: x => aten.imag(VARIANTS.conjugate(x)),
  sparse: x => aten.toSparse(x),
  'sparse hybrid': x => (x.ndim < 2 ? null : aten.toSparse(x, 1)),
  csr: x => (x.ndim === 2 ? aten.toSparseCsr(x) : null),
  csc: x => (x.ndim === 2 ? aten.toSparseCsc(x) : null),
  bsr: x => (x.ndim === 2 ? aten.toSparseBsr(x, [1, 1]) : null),
  /** Computed, not a leaf. */
  computed: x => x.mul(1),
  bool: x => x.to({ dtype: 'bool' }),
  half: x => x.to({ dtype: pick(['float16', 'bfloat16']) }),
}
const SPARSE = /sparse|^cs|^bsr/

/** A variant of `x`, rarely a sparse one, or `x` itself. */
export function variant(x) {
  const name = pick(Object.keys(VARIANTS))
  if (SPARSE.test(name) && chance(0.3)) return x
  const made = VARIANTS[name](x)
  if (made === null) return x
  notes.set(made, name)
  return made
}
