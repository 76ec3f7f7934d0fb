// The arithmetic of mixed_cross_entropy: in plain operators, and in one pass over the samples on the CPU.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "mixed_cross_entropy.h"

namespace torch_learner {
namespace {

using at::Tensor;

bool weighs_smoothing(const MixedTargets& targets, const MixedLossOptions& options) {
  return targets.weight.defined() && !options.plain_smoothing;
}

// The class in whose column the mass of an ignored sample, which is zero, is put.
Tensor column(const Tensor& target, const MixedLossOptions& options) {
  return target.masked_fill(target == options.ignore_index, 0).unsqueeze(1);
}

Masses compose_masses(const MixedTargets& targets, int64_t classes, const MixedLossOptions& options) {
  const double hard = 1 - options.label_smoothing;
  const double soft = options.label_smoothing / static_cast<double>(classes);
  const auto mass = [&](const Tensor& target, const Tensor& share) {
    Tensor result = share * hard;
    if (targets.weight.defined()) result = result * targets.weight.index_select(0, column(target, options).squeeze(1));
    return result.masked_fill(target == options.ignore_index, 0);
  };
  const auto smooth = [&](const Tensor& target, const Tensor& share) {
    const Tensor result = share * soft;
    return options.plain_smoothing ? result : result.masked_fill(target == options.ignore_index, 0);
  };
  const Tensor other = 1 - targets.lam;
  return {mass(targets.target, targets.lam), mass(targets.target1, other),
          smooth(targets.target, targets.lam) + smooth(targets.target1, other)};
}

MixedLosses compose_losses(const Tensor& log_p, const MixedTargets& targets, const MixedLossOptions& options) {
  const Masses masses = compose_masses(targets, log_p.size(1), options);
  // a mass of zero counts as nothing even where log p is -inf
  const auto part = [&](const Tensor& target, const Tensor& mass) {
    const Tensor values = log_p.gather(1, column(target, options)).squeeze(1);
    return (values * mass).masked_fill(target == options.ignore_index, 0);
  };
  Tensor sum = part(targets.target, masses.own) + part(targets.target1, masses.partner);
  if (options.label_smoothing > 0) {
    const Tensor all = weighs_smoothing(targets, options) ? log_p.matmul(targets.weight) : log_p.sum(1);
    sum = sum + masses.smooth * all;
  }
  return {sum.neg(), masses};
}

Tensor compose_gradient(const Tensor& log_p, const Tensor& g, const MixedTargets& targets, const Masses& masses,
                        const MixedLossOptions& options) {
  Tensor total = masses.own + masses.partner;
  Tensor spread;  // (N, C) or (N, 1): what label smoothing asks of every class
  if (options.label_smoothing > 0) {
    const bool weighted = weighs_smoothing(targets, options);
    spread = masses.smooth.unsqueeze(1);
    if (weighted) spread = spread * targets.weight;
    total = total + (weighted ? spread.sum(1) : masses.smooth * log_p.size(1));
  }
  Tensor grad = log_p.exp() * (total * g).unsqueeze(1);
  grad.scatter_add_(1, column(targets.target, options), (masses.own * g).neg().unsqueeze(1));
  grad.scatter_add_(1, column(targets.target1, options), (masses.partner * g).neg().unsqueeze(1));
  if (spread.defined()) grad.sub_(spread * g.unsqueeze(1));
  return grad;
}

template <typename T>
T dot_row(const T* row, const T* weight, int64_t n) {
  T sum = 0;
  for (int64_t c = 0; c < n; ++c) sum += weight ? weight[c] * row[c] : row[c];
  return sum;
}

// Here target values can be checked too; on other devices the indexing operators have guards of their own.
template <typename T>
MixedLosses compute_losses(const Tensor& log_p, const MixedTargets& targets, const MixedLossOptions& options) {
  const int64_t n = log_p.size(0), classes = log_p.size(1);
  const MixedLosses result{at::empty_like(targets.lam),
                           {at::empty_like(targets.lam), at::empty_like(targets.lam), at::empty_like(targets.lam)}};
  const auto hard = static_cast<T>(1 - options.label_smoothing);
  const auto soft = static_cast<T>(options.label_smoothing / static_cast<double>(classes));
  const T* values = log_p.const_data_ptr<T>();
  const T* weight = targets.weight.defined() ? targets.weight.const_data_ptr<T>() : nullptr;
  const T* spread = weighs_smoothing(targets, options) ? weight : nullptr;
  const T* lam = targets.lam.const_data_ptr<T>();
  const int64_t* target = targets.target.const_data_ptr<int64_t>();
  const int64_t* target1 = targets.target1.const_data_ptr<int64_t>();
  T* loss = result.losses.mutable_data_ptr<T>();
  T* own = result.masses.own.mutable_data_ptr<T>();
  T* partner = result.masses.partner.mutable_data_ptr<T>();
  T* smooth = result.masses.smooth.mutable_data_ptr<T>();
  const auto ignored = [&](int64_t c) { return c == options.ignore_index; };
  const auto mass = [&](int64_t c) -> T {
    if (ignored(c)) return 0;
    TORCH_CHECK_INDEX(c >= 0 && c < classes, "Target ", c, " is out of bounds for ", classes, " classes.");
    return weight ? hard * weight[c] : hard;
  };
  for (int64_t i = 0; i < n; ++i) {
    const T* row = values + i * classes;
    own[i] = lam[i] * mass(target[i]);
    partner[i] = (1 - lam[i]) * mass(target1[i]);
    T sum = 0;
    if (!ignored(target[i])) sum += own[i] * row[target[i]];
    if (!ignored(target1[i])) sum += partner[i] * row[target1[i]];
    smooth[i] = 0;
    if (soft > 0) {
      if (options.plain_smoothing || !ignored(target[i])) smooth[i] += soft * lam[i];
      if (options.plain_smoothing || !ignored(target1[i])) smooth[i] += soft * (1 - lam[i]);
      sum += smooth[i] * dot_row(row, spread, classes);
    }
    loss[i] = -sum;
  }
  return result;
}

template <typename T>
Tensor compute_gradient(const Tensor& log_p, const Tensor& g, const MixedTargets& targets, const Masses& masses,
                        const MixedLossOptions& options) {
  const Tensor grad = log_p.exp();
  const int64_t n = grad.size(0), classes = grad.size(1);
  const Tensor weights = weighs_smoothing(targets, options) ? targets.weight : Tensor();
  const T* weight = weights.defined() ? weights.const_data_ptr<T>() : nullptr;
  const T spread = weight ? weights.sum().item<T>() : static_cast<T>(classes);
  const T* factor = g.const_data_ptr<T>();
  const int64_t step = g.stride(0);  // 0 where one number stands for all samples
  const T* own = masses.own.const_data_ptr<T>();
  const T* partner = masses.partner.const_data_ptr<T>();
  const T* smooth = masses.smooth.const_data_ptr<T>();
  const int64_t* target = targets.target.const_data_ptr<int64_t>();
  const int64_t* target1 = targets.target1.const_data_ptr<int64_t>();
  T* out = grad.mutable_data_ptr<T>();
  at::parallel_for(0, n, std::max<int64_t>(1, 32768 / classes), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* row = out + i * classes;
      const T gi = factor[i * step];
      const T total = (own[i] + partner[i] + smooth[i] * spread) * gi;
      const T even = smooth[i] * gi;
      for (int64_t c = 0; c < classes; ++c) row[c] = row[c] * total - (weight ? even * weight[c] : even);
      if (target[i] != options.ignore_index) row[target[i]] -= own[i] * gi;
      if (target1[i] != options.ignore_index) row[target1[i]] -= partner[i] * gi;
    }
  });
  return grad;
}

// Without smoothing: what autograd computes for the two losses, rounding included, so that trainings stay equal to the
// reference's bit by bit. Each half's masses go through libtorch's own derivative of log_softmax.
Tensor sparse_gradient(const Tensor& log_p, const Tensor& g, const MixedTargets& targets, const Masses& masses,
                       const MixedLossOptions& options) {
  const auto half = [&](const Tensor& target, const Tensor& mass) {
    const Tensor asked = at::zeros_like(log_p).scatter_(1, column(target, options), (mass * g).neg_().unsqueeze(1));
    return at::_log_softmax_backward_data(asked, log_p, 1, log_p.scalar_type());
  };
  return half(targets.target, masses.own).add_(half(targets.target1, masses.partner));
}

}  // namespace

MixedLosses mixed_losses(const Tensor& log_p, const MixedTargets& targets, const MixedLossOptions& options) {
  const bool tracked = at::GradMode::is_enabled() && (log_p.requires_grad() || targets.lam.requires_grad());
  if (tracked || !log_p.is_cpu()) return compose_losses(log_p, targets, options);
  const bool wide = log_p.scalar_type() == at::kDouble;
  return wide ? compute_losses<double>(log_p.contiguous(), targets, options)
              : compute_losses<float>(log_p.contiguous(), targets, options);
}

Tensor mixed_losses_gradient(const Tensor& log_p, const Tensor& g, const MixedTargets& targets, const Masses& masses,
                             const MixedLossOptions& options) {
  if (at::GradMode::is_enabled() || !log_p.is_cpu() || log_p.numel() == 0) {
    return compose_gradient(log_p, g, targets, masses, options);
  }
  if (options.label_smoothing == 0) return sparse_gradient(log_p, g, targets, masses, options);
  const bool wide = log_p.scalar_type() == at::kDouble;
  return wide ? compute_gradient<double>(log_p.contiguous(), g, targets, masses, options)
              : compute_gradient<float>(log_p.contiguous(), g, targets, masses, options);
}

}  // namespace torch_learner
