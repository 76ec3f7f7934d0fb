// torch_learner::mixup: checks, autograd, autocast, and the version in plain ATen operators for devices without a
// kernel.
#include "mix.h"

#include <ATen/ATen.h>
#include <ATen/MemoryOverlap.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

namespace torch_learner {
namespace {

using at::Tensor;

at::ScalarType compute_type(const Tensor& x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

// (N) as (N, 1, ..., 1), to go with the samples of an x of `dim` dimensions.
Tensor per_sample(const Tensor& values, int64_t dim) {
  std::vector<int64_t> shape(static_cast<size_t>(dim), 1);
  shape[0] = -1;
  return values.view(shape);
}

template <typename T>
void check_sample_numbers(const char* op, const Tensor& perm, int64_t n) {
  const T* values = perm.const_data_ptr<T>();
  for (int64_t i = 0; i < n; ++i) {
    TORCH_CHECK_INDEX(values[i] >= 0 && values[i] < n, op, ": Expected sample numbers from 0 to ", n - 1,
                      " in perm but received ", values[i], " at position ", i);
  }
}

// Whether every sample is one block of memory, the blocks one after the other: NCHW, channels_last, but no slices.
bool is_dense_by_sample(const Tensor& x) {
  return x.is_non_overlapping_and_dense() && (x.size(0) <= 1 || x.stride(0) * x.size(0) == x.numel());
}

// Bytes from the first element of `t` to the end of its last.
std::pair<const char*, const char*> memory_range(const Tensor& t) {
  const auto* begin = static_cast<const char*>(t.const_data_ptr());
  int64_t last = 0;
  for (int64_t d = 0; d < t.dim(); ++d) last += (t.size(d) - 1) * t.stride(d);
  return {begin, begin + (last + 1) * static_cast<int64_t>(t.element_size())};
}

// By address and not by storage: two tensors may stand on one JavaScript ArrayBuffer without sharing a storage.
bool shares_memory(const Tensor& a, const Tensor& b) {
  if (a.numel() == 0 || b.numel() == 0 || a.is_meta()) return false;
  const auto [a_begin, a_end] = memory_range(a);
  const auto [b_begin, b_end] = memory_range(b);
  return a_begin < b_end && b_begin < a_end;
}

// Differentiable in x and lam; runs on any device.
Tensor mixup_composed(const Tensor& x, const Tensor& perm, const Tensor& lam) {
  check_mixup(x, perm, lam);
  const auto type = compute_type(x);
  const Tensor own = x.to(type);
  const Tensor partner = at::index(own, {perm.to(x.device(), at::kLong)});
  const Tensor weight = per_sample(lam.reshape({-1}).to(x.device(), type), x.dim());
  return at::lerp(partner, own, weight).to(x.scalar_type()).contiguous(x.suggest_memory_format());
}

Tensor& mixup_composed_out(const Tensor& x, const Tensor& perm, const Tensor& lam, Tensor& out) {
  check_mixed_out("mixup", out, x);
  const Tensor mixed = mixup_composed(x, perm, lam);
  if (out.numel() == 0) out.resize_(mixed.sizes(), mixed.suggest_memory_format());
  return out.copy_(mixed);
}

Tensor call_mixup(const Tensor& x, const Tensor& perm, const Tensor& lam) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("torch_learner::mixup", "")
                             .typed<Tensor(const Tensor&, const Tensor&, const Tensor&)>();
  return op.call(x, perm, lam);
}

Tensor& call_mixup_out(const Tensor& x, const Tensor& perm, const Tensor& lam, Tensor& out) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("torch_learner::mixup", "out")
                             .typed<Tensor&(const Tensor&, const Tensor&, const Tensor&, Tensor&)>();
  return op.call(x, perm, lam, out);
}

// d/dx: a sample gets lam of its own gradient, and 1 - lam of the gradient of every sample it was the partner of.
class MixupFunction : public torch::autograd::Function<MixupFunction> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& x, const Tensor& perm, const Tensor& lam) {
    ctx->save_for_backward({perm, lam});
    const at::AutoDispatchBelowADInplaceOrView guard;
    return call_mixup(x, perm, lam);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 const torch::autograd::variable_list& grads) {
    const Tensor& g = grads[0];
    if (!g.defined()) return {Tensor(), Tensor(), Tensor()};
    const auto saved = ctx->get_saved_variables();
    const auto type = compute_type(g);
    const Tensor perm = saved[0].to(g.device(), at::kLong);
    const Tensor lam = per_sample(saved[1].reshape({-1}).to(g.device(), type), g.dim());
    const Tensor own = g * lam;  // of the compute type, also when g is half
    const Tensor grad = own.index_add(0, perm, g - own);
    return {grad.to(g.scalar_type()), Tensor(), Tensor()};
  }
};

Tensor mixup_autograd(const Tensor& x, const Tensor& perm, const Tensor& lam) {
  if (at::GradMode::is_enabled()) {
    if (lam.requires_grad()) return mixup_composed(x, perm, lam);
    if (x.requires_grad()) return MixupFunction::apply(x, perm, lam);
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return call_mixup(x, perm, lam);
}

Tensor& mixup_out_autograd(const Tensor& x, const Tensor& perm, const Tensor& lam, Tensor& out) {
  TORCH_CHECK(!at::GradMode::is_enabled() || !(x.requires_grad() || lam.requires_grad() || out.requires_grad()),
              "mixup: Expected tensors that don't require gradients when out is given; call it without out");
  {
    const at::AutoDispatchBelowADInplaceOrView guard;
    call_mixup_out(x, perm, lam, out);
  }
  out.unsafeGetTensorImpl()->bump_version();
  return out;
}

}  // namespace

void check_partners(const char* op, const at::Tensor& perm, int64_t n) {
  TORCH_CHECK_TYPE(perm.scalar_type() == at::kLong || perm.scalar_type() == at::kInt, op,
                   ": Expected perm of dtype int64 or int32 but received ", perm.scalar_type());
  TORCH_CHECK(perm.dim() == 1 && perm.size(0) == n, op, ": Expected perm of shape [", n,
              "], one partner per sample, but received ", perm.sizes());
  // on other devices looking at the values would mean waiting for them; at::index has its own guard there
  if (!perm.is_cpu()) return;
  const Tensor values = perm.contiguous();
  if (values.scalar_type() == at::kLong) {
    check_sample_numbers<int64_t>(op, values, n);
  } else {
    check_sample_numbers<int32_t>(op, values, n);
  }
}

void check_mixed_out(const char* op, const at::Tensor& out, const at::Tensor& x) {
  TORCH_CHECK_TYPE(out.scalar_type() == x.scalar_type(), op, ": Expected out of dtype ", x.scalar_type(),
                   ", like x, but received ", out.scalar_type());
  TORCH_CHECK(out.device() == x.device(), op, ": Expected out on ", x.device(), ", like x, but received one on ",
              out.device());
  TORCH_CHECK(out.numel() == 0 || out.sizes() == x.sizes(), op, ": Expected out of shape ", x.sizes(),
              " (or empty) but received ", out.sizes());
  TORCH_CHECK(!shares_memory(out, x), op,
              ": Expected out in memory of its own but it overlaps x, whose samples are still needed as partners");
  at::assert_no_internal_overlap(out);
}

void check_mixup_partners(const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam) {
  TORCH_CHECK(x.dim() >= 1, "mixup: Expected x of shape (N, ...) but received a tensor without dimensions");
  const int64_t n = x.size(0);
  check_partners("mixup", perm, n);
  TORCH_CHECK_TYPE(at::isFloatingType(lam.scalar_type()), "mixup: Expected lam of a floating dtype but received ",
                   lam.scalar_type());
  TORCH_CHECK(lam.dim() <= 1 && (lam.numel() == 1 || lam.numel() == n), "mixup: Expected lam of shape [", n,
              "] or [1] but received ", lam.sizes());
}

void check_mixup(const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam) {
  TORCH_CHECK_TYPE(at::isFloatingType(x.scalar_type()), "mixup: Expected x of a floating dtype but received ",
                   x.scalar_type(), "; convert it to float32 first");
  check_mixup_partners(x, perm, lam);
}

at::Tensor mixup_weights(const at::Tensor& x, const at::Tensor& lam, at::ScalarType type) {
  return lam.reshape({-1}).to(x.device(), type).expand({x.size(0)}).contiguous();
}

MixupArgs prepare_mixup(const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam) {
  return {is_dense_by_sample(x) ? x : x.contiguous(x.suggest_memory_format()),
          perm.to(x.device(), at::kLong).contiguous(), mixup_weights(x, lam, compute_type(x))};
}

at::Tensor mixup_with(MixupKernel kernel, const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam) {
  check_mixup(x, perm, lam);
  const MixupArgs args = prepare_mixup(x, perm, lam);
  Tensor out = at::empty_like(args.x);
  if (out.numel() > 0) kernel(out, args);
  return out;
}

at::Tensor& mixup_out_with(MixupKernel kernel, const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam,
                           at::Tensor& out) {
  check_mixup(x, perm, lam);
  check_mixed_out("mixup", out, x);
  const MixupArgs args = prepare_mixup(x, perm, lam);
  if (out.numel() == 0 && x.numel() > 0) out.resize_(x.sizes(), args.x.suggest_memory_format());
  if (x.numel() == 0) return out;
  if (out.strides() == args.x.strides()) {
    kernel(out, args);
    return out;
  }
  Tensor mixed = at::empty_like(args.x);
  kernel(mixed, args);
  return out.copy_(mixed);
}

}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CompositeExplicitAutograd, m) {
  m.impl("mixup", torch_learner::mixup_composed);
  m.impl("mixup.out", torch_learner::mixup_composed_out);
}

TORCH_LIBRARY_IMPL(torch_learner, Autograd, m) {
  m.impl("mixup", torch_learner::mixup_autograd);
  m.impl("mixup.out", torch_learner::mixup_out_autograd);
}
