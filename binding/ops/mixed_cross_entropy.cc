// torch_learner::mixed_cross_entropy: checks, autograd, autocast. See mixed_cross_entropy.h for the idea,
// mixed_cross_entropy_math.cc for the arithmetic.
#include "mixed_cross_entropy.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <optional>
#include <string_view>

namespace torch_learner {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void check_target(const char* name, const Tensor& target, const Tensor& input) {
  TORCH_CHECK_TYPE(at::isIntegralType(target.scalar_type(), false), "mixed_cross_entropy: Expected ", name,
                   " of an integer dtype (class numbers) but received ", target.scalar_type());
  auto shape = input.sizes().vec();
  shape.erase(shape.begin() + 1);
  TORCH_CHECK(target.sizes() == shape, "mixed_cross_entropy: Expected ", name, " of shape ", at::IntArrayRef(shape),
              ", one class for each prediction, but received ", target.sizes());
}

void check(const Tensor& input, const Tensor& target, const Tensor& target1, const Tensor& lam,
           const std::optional<Tensor>& weight, const MixedLossOptions& options) {
  TORCH_CHECK_TYPE(at::isFloatingType(input.scalar_type()),
                   "mixed_cross_entropy: Expected input of a floating dtype but received ", input.scalar_type());
  TORCH_CHECK(input.dim() >= 2, "mixed_cross_entropy: Expected input of shape (N, C, ...) but received ",
              input.sizes());
  check_target("target", target, input);
  check_target("target1", target1, input);
  TORCH_CHECK_TYPE(at::isFloatingType(lam.scalar_type()),
                   "mixed_cross_entropy: Expected lam of a floating dtype but received ", lam.scalar_type());
  TORCH_CHECK(lam.dim() <= 1 && lam.numel() > 0 && target.numel() % lam.numel() == 0,
              "mixed_cross_entropy: Expected lam of shape [", input.size(0),
              "] or [1], or of a length that divides the number of predictions, but received ", lam.sizes());
  TORCH_CHECK(!weight || !weight->defined() || (weight->dim() == 1 && weight->size(0) == input.size(1)),
              "mixed_cross_entropy: Expected weight of shape [", input.size(1), "], one per class, but received ",
              weight->sizes());
  TORCH_CHECK_VALUE(options.label_smoothing >= 0 && options.label_smoothing <= 1,
                    "mixed_cross_entropy: Expected label_smoothing between 0 and 1 but received ",
                    options.label_smoothing);
  TORCH_CHECK_VALUE(options.reduction == "mean" || options.reduction == "sum" || options.reduction == "none",
                    "mixed_cross_entropy: Expected \"mean\", \"sum\" or \"none\" for reduction but received \"",
                    options.reduction, "\"");
}

// `rows` is the input as (N, C); targets may have more dimensions, and lam weighs as many rows as a sample has.
MixedTargets prepare(const Tensor& rows, const Tensor& target, const Tensor& target1, const Tensor& lam,
                     const std::optional<Tensor>& weight) {
  const auto device = rows.device();
  const auto type = rows.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const auto flat = [&](const Tensor& t) { return t.reshape({-1}).to(device, at::kLong).contiguous(); };
  MixedTargets targets{flat(target), flat(target1), lam.reshape({-1}).to(device, type), Tensor()};
  if (lam.numel() != rows.size(0)) targets.lam = targets.lam.repeat_interleave(rows.size(0) / lam.numel());
  targets.lam = targets.lam.contiguous();
  if (weight && weight->defined()) targets.weight = weight->to(device, type).contiguous();
  return targets;
}

// In float at least: half precision is too coarse for logarithms.
Tensor log_probabilities(const Tensor& rows) {
  return at::log_softmax(rows.scalar_type() == at::kDouble ? rows : rows.to(at::kFloat), 1);
}

Tensor reduce(const Tensor& losses, const MixedLossOptions& options) {
  if (options.reduction == "mean") return losses.mean();
  return options.reduction == "sum" ? losses.sum() : losses;
}

class MixedCrossEntropy : public torch::autograd::Function<MixedCrossEntropy> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& rows, const MixedTargets& targets,
                        const MixedLossOptions& options) {
    const Tensor log_p = log_probabilities(rows);
    const auto [losses, masses] = mixed_losses(log_p, targets, options);
    // log_p is what the gradient needs; the input only so that second derivatives find their way to it
    ctx->save_for_backward(
        {rows, log_p, targets.target, targets.target1, targets.weight, masses.own, masses.partner, masses.smooth});
    ctx->saved_data["ignore_index"] = options.ignore_index;
    ctx->saved_data["label_smoothing"] = options.label_smoothing;
    ctx->saved_data["plain_smoothing"] = options.plain_smoothing;
    ctx->saved_data["reduction"] = options.reduction;
    return reduce(losses, options).to(rows.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    if (!grads[0].defined()) return {Tensor(), Tensor(), Tensor()};
    const auto saved = ctx->get_saved_variables();
    const MixedLossOptions options{
        ctx->saved_data["ignore_index"].toInt(), ctx->saved_data["label_smoothing"].toDouble(),
        ctx->saved_data["plain_smoothing"].toBool(), ctx->saved_data["reduction"].toStringRef()};
    const Tensor& rows = saved[0];
    const Tensor log_p = at::GradMode::is_enabled() ? log_probabilities(rows) : saved[1];
    const MixedTargets targets{saved[2], saved[3], Tensor(), saved[4]};
    Tensor g = grads[0].to(log_p.scalar_type());
    if (options.reduction == "mean") g = g / static_cast<double>(log_p.size(0));
    g = g.expand({log_p.size(0)});
    const Tensor grad = mixed_losses_gradient(log_p, g, targets, {saved[5], saved[6], saved[7]}, options);
    return {grad.to(rows.scalar_type()), Tensor(), Tensor()};
  }
};

// What fastai's flattening losses do: swap the axis of classes with the last, then make rows of everything.
Tensor flat_rows(const Tensor& input, int64_t axis) {
  TORCH_CHECK(input.dim() > 0, "mixed_cross_entropy: Expected input of at least one dimension but received a scalar");
  const Tensor swapped = axis == -1 ? input : input.transpose(axis, -1);
  return swapped.dim() == 2 ? swapped : swapped.reshape({-1, swapped.size(-1)});
}

Tensor flat_target(const Tensor& target, int64_t axis) {
  return (axis == -1 ? target : target.transpose(axis, -1)).reshape({-1});
}

Tensor mixed_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& target1, const Tensor& lam,
                           const std::optional<Tensor>& weight, int64_t ignore_index, double label_smoothing,
                           bool plain_smoothing, std::optional<int64_t> flat_axis, std::string_view reduction) {
  if (flat_axis) {
    return mixed_cross_entropy(flat_rows(input, *flat_axis), flat_target(target, *flat_axis),
                               flat_target(target1, *flat_axis), lam, weight, ignore_index, label_smoothing,
                               plain_smoothing, std::nullopt, reduction);
  }
  const MixedLossOptions options{ignore_index, label_smoothing, plain_smoothing, std::string(reduction)};
  check(input, target, target1, lam, weight, options);
  const Tensor rows = input.dim() == 2 ? input : input.movedim(1, -1).reshape({-1, input.size(1)});
  const MixedTargets targets = prepare(rows, target, target1, lam, weight);
  // a lam that is learned takes the long way, through autograd's own rules
  const bool closed_form = at::GradMode::is_enabled() && rows.requires_grad() && !targets.lam.requires_grad();
  const Tensor loss =
      closed_form
          ? MixedCrossEntropy::apply(rows, targets, options)
          : reduce(mixed_losses(log_probabilities(rows), targets, options).losses, options).to(rows.scalar_type());
  return options.reduction == "none" ? loss.view(target.sizes()) : loss;
}

// As libtorch's losses, in float32 under autocast.
template <c10::DispatchKey autocast_key, c10::DeviceType device>
Tensor mixed_cross_entropy_autocast(const Tensor& input, const Tensor& target, const Tensor& target1, const Tensor& lam,
                                    const std::optional<Tensor>& weight, int64_t ignore_index, double label_smoothing,
                                    bool plain_smoothing, std::optional<int64_t> flat_axis,
                                    std::string_view reduction) {
  const c10::impl::ExcludeDispatchKeyGuard guard(autocast_key);
  return mixed_cross_entropy(at::autocast::cached_cast(at::kFloat, input, device), target, target1, lam, weight,
                             ignore_index, label_smoothing, plain_smoothing, flat_axis, reduction);
}

}  // namespace
}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CompositeImplicitAutograd, m) {
  m.impl("mixed_cross_entropy", torch_learner::mixed_cross_entropy);
}

TORCH_LIBRARY_IMPL(torch_learner, AutocastCPU, m) {
  m.impl("mixed_cross_entropy",
         torch_learner::mixed_cross_entropy_autocast<c10::DispatchKey::AutocastCPU, c10::DeviceType::CPU>);
}

TORCH_LIBRARY_IMPL(torch_learner, AutocastCUDA, m) {
  m.impl("mixed_cross_entropy",
         torch_learner::mixed_cross_entropy_autocast<c10::DispatchKey::Autocast, c10::DeviceType::CUDA>);
}
