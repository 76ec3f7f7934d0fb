// What callbacks do to all parameters at once: clip gradients, scale them, average weights (see src/callbacks/). One
// call each, and no number that JavaScript would have to wait for.

#include <torch/library.h>

#include <limits>

#include "core/common.h"

namespace torch_learner {
namespace {

std::vector<at::Tensor> gradients_of(at::TensorList parameters) {
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : parameters) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  return gradients;
}

// The norm of all gradients taken together, computed on the first one's device in its dtype.
at::Tensor total_norm(const std::vector<at::Tensor>& gradients, double norm_type) {
  std::vector<at::Tensor> norms;
  for (const at::Tensor& gradient : gradients) {
    norms.push_back(at::linalg_vector_norm(gradient, norm_type).to(gradients[0].device()));
  }
  return at::linalg_vector_norm(at::stack(norms), norm_type);
}

at::Tensor clip_grad_norm_(at::TensorList parameters, double max_norm, double norm_type) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients = gradients_of(parameters);
  if (gradients.empty()) return at::zeros({});
  const at::Tensor norm = total_norm(gradients, norm_type);
  const at::Tensor factor = at::clamp_max(max_norm / (norm + 1e-6), 1.0);
  for (at::Tensor& gradient : gradients) gradient.mul_(factor.to(gradient.device()));
  return norm;
}

// A parameter without gradient is left alone by every optimizer: this is how a step is skipped without asking.
void drop_gradients(at::TensorList parameters) {
  for (const at::Tensor& parameter : parameters) {
    if (parameter.grad().defined()) parameter.mutable_grad().reset();
  }
}

void drop_unless_finite_(at::TensorList parameters, const at::Tensor& value) {
  const at::NoGradGuard no_grad;
  if (!at::isfinite(value).all().item<bool>()) drop_gradients(parameters);
}

// Divides gradients by the scale that the loss was multiplied with. One that isn't finite drops them all and lowers the
// scale; `interval` steps in a row without raise it (Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740).
void unscale_(at::TensorList parameters, at::Tensor scale, at::Tensor steps, double growth, double backoff,
              int64_t interval) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients = gradients_of(parameters);
  if (gradients.empty()) return;
  const double inverse = 1.0 / scale.item<double>();
  std::vector<at::Tensor> sums;
  for (at::Tensor& gradient : gradients) {
    gradient.mul_(inverse);
    // a sum isn't finite if an element isn't; float64 can't overflow by summing float32
    sums.push_back(gradient.sum(at::kDouble).to(gradients[0].device()));
  }
  // one question for all, as it waits for the device
  if (!at::isfinite(at::stack(sums)).all().item<bool>()) {
    drop_gradients(parameters);
    scale.mul_(backoff);
    steps.zero_();
    return;
  }
  steps.add_(1);
  if (steps.item<int64_t>() < interval) return;
  steps.zero_();
  if (scale.item<double>() * growth <= std::numeric_limits<float>::max()) scale.mul_(growth);
}

void check_pairs(at::TensorList ours, at::TensorList theirs) {
  TORCH_CHECK(ours.size() == theirs.size(), "Expected as many averages as tensors, ", theirs.size(), ", but received ",
              ours.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    TORCH_CHECK(ours[i].sizes().equals(theirs[i].sizes()), "Expected an average of shape ", theirs[i].sizes(),
                " but received ", ours[i].sizes(), ": the model has changed since averaging began");
  }
}

// Counters (a batch norm's number of batches) have no average: they are copied.
void ema_update_(at::TensorList averages, at::TensorList values, double decay) {
  const at::NoGradGuard no_grad;
  check_pairs(averages, values);
  std::vector<at::Tensor> into, from;
  for (size_t i = 0; i < averages.size(); ++i) {
    at::Tensor average = averages[i];
    const at::Tensor value = values[i].detach();
    if (!average.options().type_equal(value.options())) average.set_data(average.to(value.options()));
    if (value.is_floating_point()) {
      into.push_back(average);
      from.push_back(value);
    } else {
      average.copy_(value);
    }
  }
  if (!into.empty()) at::_foreach_lerp_(into, from, 1 - decay);
}

// Exchanges the memory of tensors pair by pair, without copying; whoever holds one of them sees the other's values.
void swap_(at::TensorList ours, at::TensorList theirs) {
  check_pairs(ours, theirs);
  for (size_t i = 0; i < ours.size(); ++i) {
    at::Tensor one = ours[i], other = theirs[i];
    const at::Tensor kept = one.detach();
    one.set_data(other.detach());
    other.set_data(kept);
  }
}

// float16 and bfloat16 to float32, everything else as it is.
at::Tensor widen(const at::Tensor& input) {
  return at::isReducedFloatingType(input.scalar_type()) ? input.to(at::kFloat) : input;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  m.def("clip_grad_norm_(Tensor(a!)[] params, float max_norm, float norm_type) -> Tensor", &clip_grad_norm_);
  m.def("drop_unless_finite_(Tensor(a!)[] params, Tensor value) -> ()", &drop_unless_finite_);
  m.def(
      "unscale_(Tensor(a!)[] params, Tensor(b!) scale, Tensor(c!) steps, float growth, float backoff, int interval) -> "
      "()",
      &unscale_);
  m.def("ema_update_(Tensor(a!)[] averages, Tensor[] values, float decay) -> ()", &ema_update_);
  m.def("swap_(Tensor(a!)[] ours, Tensor(b!)[] theirs) -> ()", &swap_);
  m.def("widen(Tensor(a) input) -> Tensor(a)", &widen);
}

}  // namespace torch_learner
