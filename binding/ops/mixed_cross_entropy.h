// torch_learner::mixed_cross_entropy, lam * CE(input, target) + (1 - lam) * CE(input, target1): the arithmetic.
//
// Both halves look at the same log-probabilities, so one log_softmax serves them, and the loss of a sample is a
// weighted sum of some of its entries: with mass[c] what the two targets together ask of class c,
//   loss = -sum_c mass[c] * log p[c],    d loss / d input[c] = p[c] * sum(mass) - mass[c]
// which needs neither the graph of two losses nor the sum of their gradients.
//
// Per sample, mass is sparse: `own` on the target, `partner` on the other one, and `smooth` (times its weight) on every
// class when labels are smoothed.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace torch_learner {

struct MixedLossOptions {
  int64_t ignore_index;
  double label_smoothing;
  bool plain_smoothing;  // smoothing counts every class and sample alike: no weights, no ignored samples
  std::string reduction;
};

// Everything but the input, checked, on its device, contiguous.
struct MixedTargets {
  at::Tensor target;   // (N) int64
  at::Tensor target1;  // (N) int64
  at::Tensor lam;      // (N) float, or double for an input of double
  at::Tensor weight;   // (C) alike, or undefined
};

// The masses of every sample, each (N).
struct Masses {
  at::Tensor own;
  at::Tensor partner;
  at::Tensor smooth;
};

struct MixedLosses {
  at::Tensor losses;  // (N)
  Masses masses;
};

// From log-probabilities (N, C). Differentiable in both arguments where they require gradients.
MixedLosses mixed_losses(const at::Tensor& log_p, const MixedTargets& targets, const MixedLossOptions& options);

// (N, C): the gradient of the losses, those of sample i times g[i]. `targets.lam` isn't needed. Differentiable in log_p
// and g while grad mode is on.
at::Tensor mixed_losses_gradient(const at::Tensor& log_p, const at::Tensor& g, const MixedTargets& targets,
                                 const Masses& masses, const MixedLossOptions& options);

}  // namespace torch_learner
