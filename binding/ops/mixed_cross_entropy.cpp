// torch_learner::mixed_cross_entropy: the loss of a mixed batch, lam * CE(input, target) + (1 - lam) * CE(input, target1).
//
// Both halves look at the same log-probabilities, so one log_softmax serves them, and the loss of a sample is a weighted
// sum of some of its entries: with mass[c] what the two targets together ask of class c,
//   loss = -sum_c mass[c] * log p[c],    d loss / d input[c] = p[c] * sum(mass) - mass[c]
// which needs neither the graph of two losses nor their gradients' sum.
//
// Per sample, mass is sparse: `own` on the target, `partner` on the other one, and `smooth` (times its weight) on every
// class when labels are smoothed.

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <optional>
#include <string>
#include <string_view>

namespace torch_learner {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Options {
  int64_t ignore_index;
  double label_smoothing;
  bool plain_smoothing;
  std::string reduction;
};

// Everything but the input, checked and converted.
struct Targets {
  Tensor target;   // (N) int64
  Tensor target1;  // (N) int64
  Tensor lam;      // (N) of the dtype of computation
  Tensor weight;   // (C) of the same dtype, or undefined
};

// The masses of every sample, each (N). See the head of this file.
struct Masses {
  Tensor own;
  Tensor partner;
  Tensor smooth;
};

void check_target(const char* name, const Tensor& target, const Tensor& input) {
  TORCH_CHECK_TYPE(at::isIntegralType(target.scalar_type(), false), "mixed_cross_entropy: Expected ", name,
                   " of an integer dtype (class numbers) but received ", target.scalar_type());
  TORCH_CHECK(target.dim() == 1 && target.size(0) == input.size(0), "mixed_cross_entropy: Expected ", name,
              " of shape [", input.size(0), "], one class per row of input, but received ", target.sizes());
}

Targets prepare(const Tensor& input, const Tensor& target, const Tensor& target1, const Tensor& lam,
                const std::optional<Tensor>& weight, const Options& options) {
  TORCH_CHECK_TYPE(at::isFloatingType(input.scalar_type()),
                   "mixed_cross_entropy: Expected input of a floating dtype but received ", input.scalar_type());
  TORCH_CHECK(input.dim() == 2, "mixed_cross_entropy: Expected input of shape (N, C) but received ", input.sizes());
  check_target("target", target, input);
  check_target("target1", target1, input);
  const int64_t n = input.size(0);
  TORCH_CHECK_TYPE(at::isFloatingType(lam.scalar_type()),
                   "mixed_cross_entropy: Expected lam of a floating dtype but received ", lam.scalar_type());
  TORCH_CHECK(lam.dim() <= 1 && lam.numel() > 0 && n % lam.numel() == 0, "mixed_cross_entropy: Expected lam of shape [", n,
              "] or [1], or of a length that divides ", n, ", but received ", lam.sizes());
  TORCH_CHECK_VALUE(options.label_smoothing >= 0 && options.label_smoothing <= 1,
                    "mixed_cross_entropy: Expected label_smoothing between 0 and 1 but received ", options.label_smoothing);
  TORCH_CHECK_VALUE(options.reduction == "mean" || options.reduction == "sum" || options.reduction == "none",
                    "mixed_cross_entropy: Expected \"mean\", \"sum\" or \"none\" for reduction but received \"",
                    options.reduction, "\"");
  const auto device = input.device();
  const auto type = input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  Targets targets{target.to(device, at::kLong).contiguous(), target1.to(device, at::kLong).contiguous(),
                  lam.reshape({-1}).to(device, type), Tensor()};
  if (lam.numel() != n) targets.lam = targets.lam.repeat_interleave(n / lam.numel());
  targets.lam = targets.lam.contiguous();
  if (weight && weight->defined()) {
    TORCH_CHECK(weight->dim() == 1 && weight->size(0) == input.size(1), "mixed_cross_entropy: Expected weight of shape [",
                input.size(1), "], one per class, but received ", weight->sizes());
    targets.weight = weight->to(device, type).contiguous();
  }
  return targets;
}

// The masses in plain operators: differentiable in lam, on any device.
Masses compose_masses(const Targets& targets, int64_t classes, const Options& options) {
  const double hard = 1 - options.label_smoothing;
  const double soft = options.label_smoothing / static_cast<double>(classes);
  const auto mass = [&](const Tensor& target, const Tensor& share) {
    Tensor result = share * hard;
    if (targets.weight.defined()) {
      result = result * targets.weight.index_select(0, target.masked_fill(target == options.ignore_index, 0));
    }
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

// The same on the CPU in one pass, where target values can be checked too.
template <typename T>
Masses compute_masses(const Targets& targets, int64_t classes, const Options& options) {
  const int64_t n = targets.lam.numel();
  Masses masses{at::empty_like(targets.lam), at::empty_like(targets.lam), at::empty_like(targets.lam)};
  const auto hard = static_cast<T>(1 - options.label_smoothing);
  const auto soft = static_cast<T>(options.label_smoothing / static_cast<double>(classes));
  const T* weight = targets.weight.defined() ? targets.weight.const_data_ptr<T>() : nullptr;
  const T* lam = targets.lam.const_data_ptr<T>();
  const int64_t* target = targets.target.const_data_ptr<int64_t>();
  const int64_t* target1 = targets.target1.const_data_ptr<int64_t>();
  T* own = masses.own.mutable_data_ptr<T>();
  T* partner = masses.partner.mutable_data_ptr<T>();
  T* smooth = masses.smooth.mutable_data_ptr<T>();
  const auto mass = [&](int64_t c) -> T {
    if (c == options.ignore_index) return 0;
    TORCH_CHECK_INDEX(c >= 0 && c < classes, "Target ", c, " is out of bounds for ", classes, " classes.");
    return weight ? hard * weight[c] : hard;
  };
  const auto counts = [&](int64_t c) -> T { return options.plain_smoothing || c != options.ignore_index ? 1 : 0; };
  for (int64_t i = 0; i < n; ++i) {
    own[i] = lam[i] * mass(target[i]);
    partner[i] = (1 - lam[i]) * mass(target1[i]);
    smooth[i] = soft * (lam[i] * counts(target[i]) + (1 - lam[i]) * counts(target1[i]));
  }
  return masses;
}

Masses masses_of(const Targets& targets, int64_t classes, const Options& options) {
  const bool tracked = at::GradMode::is_enabled() && targets.lam.requires_grad();
  if (!targets.lam.is_cpu() || tracked) return compose_masses(targets, classes, options);
  return targets.lam.scalar_type() == at::kDouble ? compute_masses<double>(targets, classes, options)
                                                  : compute_masses<float>(targets, classes, options);
}

// The class in whose column the mass of an ignored sample, which is zero, is put.
Tensor column(const Tensor& target, const Options& options) {
  return target.masked_fill(target == options.ignore_index, 0).unsqueeze(1);
}

Tensor log_probabilities(const Tensor& input) {
  return at::log_softmax(input.scalar_type() == at::kDouble ? input : input.to(at::kFloat), 1);
}

// (N) losses from (N, C) log-probabilities. A mass of zero counts as nothing even where log p is -inf.
Tensor losses_of(const Tensor& log_p, const Targets& targets, const Masses& masses, const Options& options) {
  const auto part = [&](const Tensor& target, const Tensor& mass) {
    const Tensor values = log_p.gather(1, column(target, options)).squeeze(1);
    return (values * mass).masked_fill(target == options.ignore_index, 0);
  };
  Tensor loss = part(targets.target, masses.own) + part(targets.target1, masses.partner);
  if (options.label_smoothing > 0) {
    const bool weighted = targets.weight.defined() && !options.plain_smoothing;
    loss = loss + masses.smooth * (weighted ? log_p.matmul(targets.weight) : log_p.sum(1));
  }
  return loss.neg();
}

// (N, C) gradient of the losses weighted with `g` (N). Made of differentiable operators: second derivatives work.
Tensor gradient_of(const Tensor& log_p, const Tensor& g, const Targets& targets, const Masses& masses,
                   const Options& options) {
  Tensor total = masses.own + masses.partner;
  Tensor spread;  // (N, C) or (N, 1): what label smoothing asks of every class
  if (options.label_smoothing > 0) {
    const bool weighted = targets.weight.defined() && !options.plain_smoothing;
    spread = masses.smooth.unsqueeze(1);
    if (weighted) spread = spread * targets.weight;
    total = total + (weighted ? spread.sum(1) : masses.smooth * log_p.size(1));
  }
  const Tensor factor = (total * g).unsqueeze(1);
  Tensor grad = at::GradMode::is_enabled() ? log_p.exp() * factor : log_p.exp().mul_(factor);
  grad.scatter_add_(1, column(targets.target, options), (masses.own * g).neg().unsqueeze(1));
  grad.scatter_add_(1, column(targets.target1, options), (masses.partner * g).neg().unsqueeze(1));
  if (spread.defined()) grad.sub_(spread * g.unsqueeze(1));
  return grad;
}

Tensor reduce(const Tensor& losses, const Options& options) {
  if (options.reduction == "mean") return losses.mean();
  return options.reduction == "sum" ? losses.sum() : losses;
}

Tensor forward_composed(const Tensor& input, const Targets& targets, const Options& options) {
  const Masses masses = masses_of(targets, input.size(1), options);
  return reduce(losses_of(log_probabilities(input), targets, masses, options), options).to(input.scalar_type());
}

class MixedCrossEntropy : public torch::autograd::Function<MixedCrossEntropy> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& input, const Targets& targets, const Options& options) {
    const Tensor log_p = log_probabilities(input);
    const Masses masses = masses_of(targets, input.size(1), options);
    // log_p is what the gradient needs; input only so that second derivatives find their way to it
    ctx->save_for_backward({input, log_p, targets.target, targets.target1, targets.weight, masses.own, masses.partner,
                            masses.smooth});
    ctx->saved_data["ignore_index"] = options.ignore_index;
    ctx->saved_data["label_smoothing"] = options.label_smoothing;
    ctx->saved_data["plain_smoothing"] = options.plain_smoothing;
    ctx->saved_data["reduction"] = options.reduction;
    return reduce(losses_of(log_p, targets, masses, options), options).to(input.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    if (!grads[0].defined()) return {Tensor(), Tensor(), Tensor()};
    const auto saved = ctx->get_saved_variables();
    const Options options{ctx->saved_data["ignore_index"].toInt(), ctx->saved_data["label_smoothing"].toDouble(),
                          ctx->saved_data["plain_smoothing"].toBool(), ctx->saved_data["reduction"].toStringRef()};
    const Tensor& input = saved[0];
    const bool again = at::GradMode::is_enabled();
    const Tensor log_p = again ? log_probabilities(input) : saved[1];
    const Targets targets{saved[2], saved[3], Tensor(), saved[4]};
    Tensor g = grads[0].to(log_p.scalar_type());
    if (options.reduction == "mean") g = g / static_cast<double>(log_p.size(0));
    g = g.expand({log_p.size(0)});
    const Tensor grad = gradient_of(log_p, g, targets, {saved[5], saved[6], saved[7]}, options);
    return {grad.to(input.scalar_type()), Tensor(), Tensor()};
  }
};

Tensor mixed_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& target1, const Tensor& lam,
                           const std::optional<Tensor>& weight, int64_t ignore_index, double label_smoothing,
                           bool plain_smoothing, std::string_view reduction) {
  const Options options{ignore_index, label_smoothing, plain_smoothing, std::string(reduction)};
  return forward_composed(input, prepare(input, target, target1, lam, weight, options), options);
}

Tensor mixed_cross_entropy_autograd(const Tensor& input, const Tensor& target, const Tensor& target1, const Tensor& lam,
                                    const std::optional<Tensor>& weight, int64_t ignore_index, double label_smoothing,
                                    bool plain_smoothing, std::string_view reduction) {
  const Options options{ignore_index, label_smoothing, plain_smoothing, std::string(reduction)};
  const Targets targets = prepare(input, target, target1, lam, weight, options);
  // a lam that is learned takes the long way, through autograd's own rules
  if (!at::GradMode::is_enabled() || targets.lam.requires_grad() || !input.requires_grad()) {
    return forward_composed(input, targets, options);
  }
  return MixedCrossEntropy::apply(input, targets, options);
}

// As libtorch's losses, in float32 under autocast.
template <c10::DispatchKey autocast_key, c10::DeviceType device>
Tensor mixed_cross_entropy_autocast(const Tensor& input, const Tensor& target, const Tensor& target1, const Tensor& lam,
                                    const std::optional<Tensor>& weight, int64_t ignore_index, double label_smoothing,
                                    bool plain_smoothing, std::string_view reduction) {
  const c10::impl::ExcludeDispatchKeyGuard guard(autocast_key);
  return mixed_cross_entropy_autograd(at::autocast::cached_cast(at::kFloat, input, device), target, target1, lam, weight,
                                      ignore_index, label_smoothing, plain_smoothing, reduction);
}

}  // namespace
}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CompositeExplicitAutograd, m) {
  m.impl("mixed_cross_entropy", torch_learner::mixed_cross_entropy);
}

TORCH_LIBRARY_IMPL(torch_learner, Autograd, m) {
  m.impl("mixed_cross_entropy", torch_learner::mixed_cross_entropy_autograd);
}

TORCH_LIBRARY_IMPL(torch_learner, AutocastCPU, m) {
  m.impl("mixed_cross_entropy",
         torch_learner::mixed_cross_entropy_autocast<c10::DispatchKey::AutocastCPU, c10::DeviceType::CPU>);
}

TORCH_LIBRARY_IMPL(torch_learner, AutocastCUDA, m) {
  m.impl("mixed_cross_entropy",
         torch_learner::mixed_cross_entropy_autocast<c10::DispatchKey::Autocast, c10::DeviceType::CUDA>);
}
