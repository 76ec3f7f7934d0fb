// Optimizer steps: one call for all parameters of a group (see src/optim/).
//
// One pass over memory per parameter where that is possible: Adam's own on the CPU (optim_adam_cpu.cc), else
// libtorch's fused kernels. They walk raw memory, so a parameter, its gradient and its state must lie in it alike:
// state is kept in the parameter's layout, a gradient in another one is copied. What they can't take goes operator by
// operator, with the same results.

#include "optim.h"

#include <torch/library.h>

#include <optional>

namespace torch_learner {
namespace {

// Sizes of 1 have strides without meaning.
bool same_layout(const at::Tensor& a, const at::Tensor& b) {
  if (!a.sizes().equals(b.sizes())) return false;
  for (int64_t i = 0; i < a.dim(); ++i) {
    if (a.size(i) != 1 && a.stride(i) != b.stride(i)) return false;
  }
  return true;
}

bool fusable(const at::Tensor& parameter) {
  return parameter.is_non_overlapping_and_dense() && (parameter.is_cpu() || parameter.is_cuda());
}

}  // namespace

bool takes_part(const at::Tensor& parameter) {
  if (!parameter.requires_grad() || !parameter.grad().defined()) return false;
  TORCH_CHECK(!parameter.is_complex(), "Expected parameters of real numbers but received ", parameter.scalar_type());
  return true;
}

at::Tensor gradient_of(const at::Tensor& parameter) {
  at::Tensor gradient = parameter.grad();
  TORCH_CHECK(gradient.layout() == at::kStrided, "Expected a dense gradient but received one of layout ",
              gradient.layout());
  if (gradient.options().type_equal(parameter.options()) && same_layout(gradient, parameter)) return gradient;
  return at::empty_like(parameter).copy_(gradient);
}

void match_state(at::Tensor state, const at::Tensor& parameter) {
  if (state.options().type_equal(parameter.options()) && state.device() == parameter.device() &&
      same_layout(state, parameter)) {
    return;
  }
  at::Tensor fresh = at::zeros_like(parameter);
  if (state.sizes().equals(parameter.sizes())) {
    fresh.copy_(state);
  } else {
    TORCH_CHECK(state.numel() == 0, "Expected optimizer state of shape ", parameter.sizes(), " but received ",
                state.sizes());
  }
  state.set_data(fresh);
}

at::Tensor decay(at::Tensor parameter, const at::Tensor& gradient, double lr, double weight_decay, bool decoupled) {
  if (!decoupled) return gradient.add(parameter, weight_decay);
  parameter.mul_(1 - lr * weight_decay);
  return gradient;
}

namespace {

// Parameters that one fused call may take together.
struct Bucket {
  at::Device device;
  at::ScalarType dtype;
  bool decays;
  std::vector<at::Tensor> parameters, gradients, averages, square_averages, steps;
};

Bucket& bucket_for(std::vector<Bucket>& buckets, const at::Tensor& parameter, bool decays) {
  for (Bucket& bucket : buckets) {
    if (bucket.device == parameter.device() && bucket.dtype == parameter.scalar_type() && bucket.decays == decays) {
      return bucket;
    }
  }
  return buckets.emplace_back(Bucket{parameter.device(), parameter.scalar_type(), decays, {}, {}, {}, {}, {}});
}

// The fused kernels don't tell autograd: a graph that saved the old values would be differentiated with the new ones.
void count_change(const std::vector<at::Tensor>& parameters) {
  for (const at::Tensor& parameter : parameters) parameter.unsafeGetTensorImpl()->bump_version();
}

void plain_adam(at::Tensor parameter, at::Tensor gradient, at::Tensor average, at::Tensor square_average, double step,
                bool decays, const AdamOptions& o) {
  if (decays) gradient = decay(parameter, gradient, o.lr, o.weight_decay, o.decoupled);
  average.mul_(o.momentum).add_(gradient, 1 - o.momentum);
  square_average.mul_(o.square_momentum).addcmul_(gradient, gradient, 1 - o.square_momentum);
  const double debias = 1 - std::pow(o.momentum, step);
  const double square_debias = 1 - std::pow(o.square_momentum, step);
  const at::Tensor root = square_average.div(square_debias).sqrt_().add_(o.epsilon);
  parameter.addcdiv_(average, root, -o.lr / debias);
}

void fused_adam(Bucket& b, const AdamOptions& o) {
  const double weight_decay = b.decays ? o.weight_decay : 0;
  if (o.decoupled) {
    at::_fused_adamw_(b.parameters, b.gradients, b.averages, b.square_averages, {}, b.steps, o.lr, o.momentum,
                      o.square_momentum, weight_decay, o.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  } else {
    at::_fused_adam_(b.parameters, b.gradients, b.averages, b.square_averages, {}, b.steps, o.lr, o.momentum,
                     o.square_momentum, weight_decay, o.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
}

void adam_step_(at::TensorList parameters, at::TensorList averages, at::TensorList square_averages,
                at::TensorList steps, const c10::List<bool>& do_wd, double lr, double mom, double sqr_mom, double eps,
                double wd, bool decouple_wd) {
  const size_t count = parameters.size();
  TORCH_CHECK(
      averages.size() == count && square_averages.size() == count && steps.size() == count && do_wd.size() == count,
      "Expected lists of ", count, " elements for averages, square averages, steps and do_wd");
  const at::NoGradGuard no_grad;
  const AdamOptions options{lr, mom, sqr_mom, eps, wd, decouple_wd};
  std::vector<Bucket> buckets;
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor& parameter = parameters[i];
    if (!takes_part(parameter)) continue;
    const bool decays = wd != 0 && do_wd.get(i);
    match_state(averages[i], parameter);
    match_state(square_averages[i], parameter);
    at::Tensor step = steps[i];
    if (step.device() != parameter.device()) step.set_data(step.to(parameter.device()));
    step.add_(1);
    if (!fusable(parameter)) {
      plain_adam(parameter, gradient_of(parameter), averages[i], square_averages[i], step.item<double>(), decays,
                 options);
      continue;
    }
    if (adam_cpu_fits(parameter)) {
      adam_cpu(parameter, gradient_of(parameter), averages[i], square_averages[i], step.item<double>(), decays,
               options);
      count_change({parameter});
      continue;
    }
    Bucket& bucket = bucket_for(buckets, parameter, decays);
    bucket.parameters.push_back(parameter);
    bucket.gradients.push_back(gradient_of(parameter));
    bucket.averages.push_back(averages[i]);
    bucket.square_averages.push_back(square_averages[i]);
    bucket.steps.push_back(step);
  }
  for (Bucket& bucket : buckets) {
    fused_adam(bucket, options);
    count_change(bucket.parameters);
  }
}

struct SgdOptions {
  double lr, momentum, weight_decay;
  bool decoupled;
};

void plain_sgd(at::Tensor parameter, at::Tensor gradient, std::optional<at::Tensor> average, bool decays,
               const SgdOptions& o) {
  if (decays) gradient = decay(parameter, gradient, o.lr, o.weight_decay, o.decoupled);
  if (average) gradient = average->mul_(o.momentum).add_(gradient);
  parameter.add_(gradient, -o.lr);
}

void fused_sgd(Bucket& b, const SgdOptions& o) {
  if (b.decays && o.decoupled) at::_foreach_mul_(b.parameters, 1 - o.lr * o.weight_decay);
  const double coupled_decay = b.decays && !o.decoupled ? o.weight_decay : 0;
  const double momentum = b.averages.empty() ? 0 : o.momentum;
  at::_fused_sgd_(b.parameters, b.gradients, b.averages, coupled_decay, momentum, o.lr, /*dampening=*/0,
                  /*nesterov=*/false, /*maximize=*/false, /*is_first_step=*/false);
}

// Without momentum `averages` is empty.
void sgd_step_(at::TensorList parameters, at::TensorList averages, const c10::List<bool>& do_wd, double lr, double mom,
               double wd, bool decouple_wd) {
  const size_t count = parameters.size();
  const bool averaged = !averages.empty();
  TORCH_CHECK(do_wd.size() == count && (!averaged || averages.size() == count), "Expected lists of ", count,
              " elements for averages and do_wd");
  const at::NoGradGuard no_grad;
  const SgdOptions options{lr, mom, wd, decouple_wd};
  std::vector<Bucket> buckets;
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor& parameter = parameters[i];
    if (!takes_part(parameter)) continue;
    const bool decays = wd != 0 && do_wd.get(i);
    if (averaged) match_state(averages[i], parameter);
    // the fused kernel leaves the averages as they are when the momentum is 0
    if (!fusable(parameter) || (averaged && mom == 0)) {
      plain_sgd(parameter, gradient_of(parameter), averaged ? std::make_optional(averages[i]) : std::nullopt, decays,
                options);
      continue;
    }
    Bucket& bucket = bucket_for(buckets, parameter, decays);
    bucket.parameters.push_back(parameter);
    bucket.gradients.push_back(gradient_of(parameter));
    if (averaged) bucket.averages.push_back(averages[i]);
  }
  for (Bucket& bucket : buckets) {
    fused_sgd(bucket, options);
    count_change(bucket.parameters);
  }
}

void zero_grad_(at::TensorList parameters, bool set_to_none) {
  const at::NoGradGuard no_grad;
  for (const at::Tensor& parameter : parameters) {
    if (!parameter.grad().defined()) continue;
    if (set_to_none) {
      parameter.mutable_grad().reset();
    } else {
      parameter.mutable_grad() = at::zeros_like(parameter.grad());
    }
  }
}

}  // namespace

// Registered for all dispatch keys: autograd has no part in these, and the kernels switch it off themselves.
TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  m.def(
      "adam_step_(Tensor(a!)[] params, Tensor(b!)[] avgs, Tensor(c!)[] sqr_avgs, Tensor(d!)[] steps, bool[] do_wd, "
      "float lr, float mom, float sqr_mom, float eps, float wd, bool decouple_wd) -> ()",
      &adam_step_);
  m.def(
      "sgd_step_(Tensor(a!)[] params, Tensor(b!)[] avgs, bool[] do_wd, float lr, float mom, float wd, "
      "bool decouple_wd) -> ()",
      &sgd_step_);
  m.def("zero_grad_(Tensor(a!)[] params, bool set_to_none) -> ()", &zero_grad_);
}

}  // namespace torch_learner
