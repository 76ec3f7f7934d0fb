// torch_learner::normalize and normalize_mixup: from pictures as they are stored to what a model takes, mixed or not,
// in one pass over the memory. Here: schemas, checks, autograd, and the separate steps, which do whatever kernels
// don't.
#include "preprocess.h"

#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <array>

#include "mix.h"

namespace torch_learner {
namespace {

using at::Tensor;
using Numbers = at::ArrayRef<double>;
using Format = std::optional<at::MemoryFormat>;

void check(const Normalization& how) {
  TORCH_CHECK_VALUE(how.mean.size() == how.std.size(), "normalize: Expected a std for each mean but received ",
                    how.mean.size(), " means and ", how.std.size(), " stds");
  TORCH_CHECK_VALUE(how.divisor || !how.mean.empty(), "normalize: Expected means or a divisor but received neither");
}

// (1, C, 1, 1) in float32: that is how pictures were normalised if it was done by hand.
Tensor column(Numbers values, const Tensor& x) {
  std::vector<float> rounded(values.begin(), values.end());
  return at::tensor(rounded, at::kFloat).view({1, -1, 1, 1}).to(x.device());
}

// Step by step; differentiable in x; any dtype, shape and device.
Tensor separate_steps(const Tensor& x, const Normalization& how) {
  check(how);
  Tensor y = how.divisor ? x.to(at::kFloat).div(*how.divisor) : x;
  if (!how.mean.empty()) y = y.sub(column(how.mean, y)).div(column(how.std, y));
  return how.memory_format ? y.contiguous(*how.memory_format) : y;
}

Tensor normalize_composed(const Tensor& x, Numbers mean, Numbers std, std::optional<double> divisor, Format format) {
  return separate_steps(x, {mean, std, divisor, format});
}

Tensor call_mixup(const Tensor& x, const Tensor& perm, const Tensor& lam) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("torch_learner::mixup", "")
                             .typed<Tensor(const Tensor&, const Tensor&, const Tensor&)>();
  return op.call(x, perm, lam);
}

Tensor normalize_mixup_composed(const Tensor& x, Numbers mean, Numbers std, const Tensor& perm, const Tensor& lam,
                                std::optional<double> divisor, Format format) {
  return call_mixup(separate_steps(x, {mean, std, divisor, format}), perm, lam);
}

Tensor normalize_autograd(const Tensor& x, Numbers mean, Numbers std, std::optional<double> divisor, Format format) {
  const Normalization how{mean, std, divisor, format};
  if (at::GradMode::is_enabled() && x.requires_grad()) return separate_steps(x, how);
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("torch_learner::normalize", "")
                             .typed<Tensor(const Tensor&, Numbers, Numbers, std::optional<double>, Format)>();
  const at::AutoDispatchBelowADInplaceOrView guard;
  return op.call(x, mean, std, divisor, format);
}

Tensor normalize_mixup_autograd(const Tensor& x, Numbers mean, Numbers std, const Tensor& perm, const Tensor& lam,
                                std::optional<double> divisor, Format format) {
  if (at::GradMode::is_enabled() && (x.requires_grad() || lam.requires_grad())) {
    return normalize_mixup_composed(x, mean, std, perm, lam, divisor, format);
  }
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("torch_learner::normalize_mixup", "")
                             .typed<Tensor(const Tensor&, Numbers, Numbers, const Tensor&, const Tensor&,
                                           std::optional<double>, Format)>();
  const at::AutoDispatchBelowADInplaceOrView guard;
  return op.call(x, mean, std, perm, lam, divisor, format);
}

// The arguments of a kernel, on the stack: numbers of few channels.
struct Prepared {
  NormalizeArgs args;
  std::array<float, kMaxChannels> mean, std;
};

// Whether a kernel does it: pictures, and as many numbers as channels (one for all, or none, is fine too).
bool fits(const Tensor& x, const Normalization& how) {
  if (x.dim() != 4 || x.size(1) > kMaxChannels || x.numel() == 0) return false;
  if (x.scalar_type() != at::kByte && (x.scalar_type() != at::kFloat || how.divisor)) return false;
  const auto given = static_cast<int64_t>(how.mean.size());
  return given == x.size(1) || given <= 1;
}

void prepare(Prepared& to, const Tensor& x, const Normalization& how) {
  NormalizeArgs& args = to.args;
  const auto format = how.memory_format.value_or(x.suggest_memory_format());
  args.x = x.contiguous(format);
  args.interleaved = args.x.is_contiguous(at::MemoryFormat::ChannelsLast);
  args.channels = x.size(1);
  args.divisor = static_cast<float>(how.divisor.value_or(1));
  for (int64_t c = 0; c < args.channels; ++c) {
    const int64_t given = how.mean.size() > 1 ? c : 0;
    to.mean[c] = how.mean.empty() ? 0 : static_cast<float>(how.mean[given]);
    to.std[c] = how.std.empty() ? 1 : static_cast<float>(how.std[given]);
  }
  args.mean = to.mean.data();
  args.std = to.std.data();
}

}  // namespace

at::Tensor normalize_with(NormalizeKernel kernel, const at::Tensor& x, const Normalization& how) {
  check(how);
  if (!fits(x, how)) return separate_steps(x, how);
  Prepared prepared;
  prepare(prepared, x, how);
  Tensor out = at::empty_like(prepared.args.x, x.options().dtype(at::kFloat));
  kernel(out, prepared.args);
  return out;
}

at::Tensor normalize_mixup_with(NormalizeKernel kernel, const at::Tensor& x, const at::Tensor& perm,
                                const at::Tensor& lam, const Normalization& how) {
  check(how);
  if (!fits(x, how)) return call_mixup(separate_steps(x, how), perm, lam);
  check_mixup_partners(x, perm, lam);
  Prepared prepared;
  prepare(prepared, x, how);
  prepared.args.perm = perm.to(x.device(), at::kLong).contiguous();
  prepared.args.lam = mixup_weights(x, lam, at::kFloat);
  Tensor out = at::empty_like(prepared.args.x, x.options().dtype(at::kFloat));
  kernel(out, prepared.args);
  return out;
}

}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CompositeExplicitAutograd, m) {
  m.impl("normalize", torch_learner::normalize_composed);
  m.impl("normalize_mixup", torch_learner::normalize_mixup_composed);
}

TORCH_LIBRARY_IMPL(torch_learner, Autograd, m) {
  m.impl("normalize", torch_learner::normalize_autograd);
  m.impl("normalize_mixup", torch_learner::normalize_mixup_autograd);
}
