// torch_learner::cutmix: checks, autograd, and the version in plain ATen operators, which also serves for gradients.
#include "cutmix.h"

#include <ATen/ATen.h>
#include <ATen/MemoryOverlap.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>

#include "mix.h"

namespace torch_learner {
namespace {

using at::IntArrayRef;
using at::Tensor;

void check_cutmix(const Tensor& x, const Tensor& perm, IntArrayRef boxes) {
  TORCH_CHECK(x.dim() >= 3 && x.dim() <= 5,
              "cutmix: Expected x of shape (N, C, H, W), (N, C, D, H, W) or, for masks, (N, H, W) but received ",
              x.sizes());
  const int64_t n = x.size(0);
  check_partners("cutmix", perm, n);
  const auto numbers = static_cast<int64_t>(boxes.size());
  TORCH_CHECK(numbers == 4 || numbers == 4 * n,
              "cutmix: Expected 4 numbers in boxes, x1, y1, x2, y2 for all samples, or ", 4 * n, " for ", n,
              " samples but received ", numbers);
  const int64_t height = x.size(-2), width = x.size(-1);
  for (int64_t i = 0; i < numbers; i += 4) {
    const bool fits = 0 <= boxes[i] && boxes[i] <= boxes[i + 2] && boxes[i + 2] <= width && 0 <= boxes[i + 1] &&
                      boxes[i + 1] <= boxes[i + 3] && boxes[i + 3] <= height;
    TORCH_CHECK_VALUE(fits, "cutmix: Expected boxes of 0 <= x1 <= x2 <= ", width, " and 0 <= y1 <= y2 <= ", height,
                      " but received ", boxes.slice(i, 4));
  }
}

// Nothing for strides that are neither of the two layouts.
std::optional<Planes> planes_of(const Tensor& x) {
  const int64_t n = x.size(0), height = x.size(-2), width = x.size(-1);
  if (x.is_contiguous()) return Planes{x.numel() / std::max<int64_t>(1, n * height * width), height, width, 1};
  if (x.is_contiguous(at::MemoryFormat::ChannelsLast)) return Planes{1, height, width, x.size(1)};
  if (x.is_contiguous(at::MemoryFormat::ChannelsLast3d)) return Planes{x.size(2), height, width, x.size(1)};
  return std::nullopt;
}

CutmixArgs prepare(const Tensor& x, const Planes& layout, const Tensor& perm, IntArrayRef boxes) {
  return {x, perm.to(x.device(), at::kLong).contiguous(), boxes, layout};
}

CutmixArgs prepare_copy(const Tensor& x, const Tensor& perm, IntArrayRef boxes) {
  if (const auto layout = planes_of(x)) return prepare(x, *layout, perm, boxes);
  const Tensor dense = x.contiguous(x.suggest_memory_format());
  return prepare(dense, *planes_of(dense), perm, boxes);
}

// The part of `x`, (..., H, W), that lies in the i-th box.
Tensor in_box(const Tensor& x, IntArrayRef boxes, int64_t i) {
  const int64_t* box = boxes.data() + 4 * i;
  return x.slice(-2, box[1], box[3]).slice(-1, box[0], box[2]);
}

// `to` is `from` itself, or a copy of it.
void paste(const Tensor& to, const Tensor& from, const Tensor& perm, IntArrayRef boxes) {
  const Tensor partners = perm.to(from.device(), at::kLong);
  if (boxes.size() == 4) {
    in_box(to, boxes, 0).copy_(at::index(in_box(from, boxes, 0), {partners}));
    return;
  }
  const Tensor partner = at::index(from, {partners});
  for (int64_t i = 0; i < to.size(0); ++i) {
    in_box(to.select(0, i), boxes, i).copy_(in_box(partner.select(0, i), boxes, i));
  }
}

Tensor& cutmix_composed_out(const Tensor& x, const Tensor& perm, IntArrayRef boxes, Tensor& out) {
  check_mixed_out("cutmix", out, x);
  const Tensor mixed = cutmix_composed(x, perm, boxes);
  if (out.numel() == 0) out.resize_(mixed.sizes(), mixed.suggest_memory_format());
  return out.copy_(mixed);
}

Tensor call_cutmix(const Tensor& x, const Tensor& perm, IntArrayRef boxes) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("torch_learner::cutmix", "")
                             .typed<Tensor(const Tensor&, const Tensor&, IntArrayRef)>();
  return op.call(x, perm, boxes);
}

Tensor& call_cutmix_out(const Tensor& x, const Tensor& perm, IntArrayRef boxes, Tensor& out) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("torch_learner::cutmix", "out")
                             .typed<Tensor&(const Tensor&, const Tensor&, IntArrayRef, Tensor&)>();
  return op.call(x, perm, boxes, out);
}

Tensor& call_cutmix_in_place(Tensor& x, const Tensor& perm, IntArrayRef boxes) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("torch_learner::cutmix_", "")
                             .typed<Tensor&(Tensor&, const Tensor&, IntArrayRef)>();
  return op.call(x, perm, boxes);
}

Tensor cutmix_autograd(const Tensor& x, const Tensor& perm, IntArrayRef boxes) {
  if (at::GradMode::is_enabled() && x.requires_grad()) return cutmix_composed(x, perm, boxes);
  const at::AutoDispatchBelowADInplaceOrView guard;
  return call_cutmix(x, perm, boxes);
}

Tensor& cutmix_out_autograd(const Tensor& x, const Tensor& perm, IntArrayRef boxes, Tensor& out) {
  TORCH_CHECK(!at::GradMode::is_enabled() || !(x.requires_grad() || out.requires_grad()),
              "cutmix: Expected tensors that don't require gradients when out is given; call it without out");
  {
    const at::AutoDispatchBelowADInplaceOrView guard;
    call_cutmix_out(x, perm, boxes, out);
  }
  out.unsafeGetTensorImpl()->bump_version();
  return out;
}

Tensor& cutmix_in_place_autograd(Tensor& x, const Tensor& perm, IntArrayRef boxes) {
  TORCH_CHECK(!at::GradMode::is_enabled() || !x.requires_grad(),
              "cutmix_: Expected x that doesn't require a gradient to be changed in place; call cutmix");
  {
    const at::AutoDispatchBelowADInplaceOrView guard;
    call_cutmix_in_place(x, perm, boxes);
  }
  x.unsafeGetTensorImpl()->bump_version();
  return x;
}

}  // namespace

at::Tensor cutmix_composed(const at::Tensor& x, const at::Tensor& perm, at::IntArrayRef boxes) {
  check_cutmix(x, perm, boxes);
  const Tensor out = x.clone(x.is_non_overlapping_and_dense() ? at::MemoryFormat::Preserve : x.suggest_memory_format());
  paste(out, x, perm, boxes);
  return out;
}

at::Tensor& cutmix_composed_in_place(at::Tensor& x, const at::Tensor& perm, at::IntArrayRef boxes) {
  check_cutmix(x, perm, boxes);
  at::assert_no_internal_overlap(x);
  paste(x, x, perm, boxes);
  return x;
}

at::Tensor cutmix_with(const CutmixKernels& kernels, const at::Tensor& x, const at::Tensor& perm,
                       at::IntArrayRef boxes) {
  check_cutmix(x, perm, boxes);
  const CutmixArgs args = prepare_copy(x, perm, boxes);
  Tensor out = at::empty_like(args.x);
  if (out.numel() > 0) kernels.cut(out, args);
  return out;
}

at::Tensor& cutmix_out_with(const CutmixKernels& kernels, const at::Tensor& x, const at::Tensor& perm,
                            at::IntArrayRef boxes, at::Tensor& out) {
  check_cutmix(x, perm, boxes);
  check_mixed_out("cutmix", out, x);
  const CutmixArgs args = prepare_copy(x, perm, boxes);
  if (out.numel() == 0 && x.numel() > 0) out.resize_(x.sizes(), args.x.suggest_memory_format());
  if (x.numel() == 0) return out;
  if (out.strides() == args.x.strides()) {
    kernels.cut(out, args);
    return out;
  }
  Tensor mixed = at::empty_like(args.x);
  kernels.cut(mixed, args);
  return out.copy_(mixed);
}

at::Tensor& cutmix_in_place_with(const CutmixKernels& kernels, at::Tensor& x, const at::Tensor& perm,
                                 at::IntArrayRef boxes) {
  const auto layout = x.dim() >= 3 ? planes_of(x) : std::nullopt;
  if (!layout) return cutmix_composed_in_place(x, perm, boxes);
  check_cutmix(x, perm, boxes);
  if (x.numel() > 0) kernels.cut_in_place(prepare(x, *layout, perm, boxes));
  return x;
}

}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CompositeExplicitAutograd, m) {
  m.impl("cutmix", torch_learner::cutmix_composed);
  m.impl("cutmix.out", torch_learner::cutmix_composed_out);
  m.impl("cutmix_", torch_learner::cutmix_composed_in_place);
}

TORCH_LIBRARY_IMPL(torch_learner, Autograd, m) {
  m.impl("cutmix", torch_learner::cutmix_autograd);
  m.impl("cutmix.out", torch_learner::cutmix_out_autograd);
  m.impl("cutmix_", torch_learner::cutmix_in_place_autograd);
}
