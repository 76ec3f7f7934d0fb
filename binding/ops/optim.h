// What all optimizer steps share (optim.cc: fused kernels; optim_rules.cc: operator by operator).
#pragma once

#include "core/common.h"

namespace torch_learner {

// No gradient, or frozen: left alone entirely, with its weight decay and its state.
bool takes_part(const at::Tensor& parameter);

// The gradient, in its parameter's dtype and layout.
at::Tensor gradient_of(const at::Tensor& parameter);

// State comes from JavaScript as a tensor without elements and is filled in on the first step that needs it. It follows
// its parameter when that changed its memory format, device or dtype.
void match_state(at::Tensor state, const at::Tensor& parameter);

// Weight decay of one parameter, operator by operator. Returns the gradient to use.
at::Tensor decay(at::Tensor parameter, const at::Tensor& gradient, double lr, double weight_decay, bool decoupled);

struct AdamOptions {
  double lr, momentum, square_momentum, epsilon, weight_decay;
  bool decoupled;
};

// Whether adam_cpu can step this parameter, when it is dense in memory and its gradient and state lie alike.
bool adam_cpu_fits(const at::Tensor& parameter);

// `step` is the number of this step, from 1.
void adam_cpu(at::Tensor parameter, const at::Tensor& gradient, at::Tensor averages, at::Tensor square_averages,
              double step, bool decays, const AdamOptions& options);

}  // namespace torch_learner
