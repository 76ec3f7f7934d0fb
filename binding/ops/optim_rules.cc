// The optimizers that libtorch has no fused kernel for: a rule each, over one driver (see src/optim/).

#include <torch/library.h>

#include <cmath>

#include "optim.h"

namespace torch_learner {
namespace {

// A group of parameters with the state that its rule keeps; a list is empty when the rule has no such state.
struct Group {
  at::TensorList parameters, averages, square_averages, steps;
  const c10::List<bool>& do_wd;
  double lr, weight_decay;
  bool decoupled;
};

// One parameter's step, as its rule takes it. Weight decay has been applied.
struct Update {
  at::Tensor parameter, gradient, average, square_average;
  double step;
  size_t index;
};

void check_count(const char* name, at::TensorList list, size_t count) {
  TORCH_CHECK(list.empty() || list.size() == count, "Expected ", count, " tensors for ", name, " but received ",
              list.size());
}

template <class Rule>
void step_each(const Group& group, Rule rule) {
  const size_t count = group.parameters.size();
  check_count("averages", group.averages, count);
  check_count("square averages", group.square_averages, count);
  check_count("steps", group.steps, count);
  TORCH_CHECK(group.do_wd.size() == count, "Expected ", count, " flags for do_wd but received ", group.do_wd.size());
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor& parameter = group.parameters[i];
    if (!takes_part(parameter)) continue;
    Update update{parameter, gradient_of(parameter), {}, {}, 0, i};
    if (group.weight_decay != 0 && group.do_wd.get(i)) {
      update.gradient = decay(parameter, update.gradient, group.lr, group.weight_decay, group.decoupled);
    }
    if (!group.averages.empty()) match_state(update.average = group.averages[i], parameter);
    if (!group.square_averages.empty()) match_state(update.square_average = group.square_averages[i], parameter);
    // counts stay in the CPU's memory, so that reading one doesn't wait for another device
    if (!group.steps.empty()) update.step = at::Tensor(group.steps[i]).add_(1).item<double>();
    rule(update);
  }
}

// average = momentum * average + gradient
void accumulate(Update& update, double momentum) { update.average.mul_(momentum).add_(update.gradient); }

// Both averages, dampened: momentum * average + (1 - momentum) * gradient.
void average_moments(Update& update, double momentum, double square_momentum) {
  update.average.mul_(momentum).add_(update.gradient, 1 - momentum);
  update.square_average.mul_(square_momentum).addcmul_(update.gradient, update.gradient, 1 - square_momentum);
}

double debias(double momentum, double step) { return 1 - std::pow(momentum, step); }

// sqrt(square_average / debias) + eps
at::Tensor debiased_root(const Update& update, double square_momentum, double eps) {
  return update.square_average.div(debias(square_momentum, update.step)).sqrt_().add_(eps);
}

void rmsprop_step_(at::TensorList params, at::TensorList avgs, at::TensorList sqr_avgs, const c10::List<bool>& do_wd,
                   double lr, double mom, double sqr_mom, double eps, double wd, bool decouple_wd) {
  step_each({params, avgs, sqr_avgs, {}, do_wd, lr, wd, decouple_wd}, [&](Update& update) {
    if (update.average.defined()) accumulate(update, mom);
    update.square_average.mul_(sqr_mom).addcmul_(update.gradient, update.gradient, 1 - sqr_mom);
    const at::Tensor& direction = update.average.defined() ? update.average : update.gradient;
    update.parameter.addcdiv_(direction, update.square_average.sqrt().add_(eps), -lr);
  });
}

// Liu et al. 2019: the adaptive step waits until the variance of 1 / sqrt(square average) can be rectified.
void radam_step_(at::TensorList params, at::TensorList avgs, at::TensorList sqr_avgs, at::TensorList steps,
                 const c10::List<bool>& do_wd, double lr, double mom, double sqr_mom, double eps, double wd,
                 double beta, bool decouple_wd) {
  const double longest = 2 / (1 - sqr_mom) - 1;
  step_each({params, avgs, sqr_avgs, steps, do_wd, lr, wd, decouple_wd}, [&](Update& update) {
    average_moments(update, mom, sqr_mom);
    const double rate = -lr / debias(mom, update.step);
    const double decayed = std::pow(sqr_mom, update.step);
    const double length = longest - 2 * update.step * decayed / (1 - decayed);
    if (length <= 5) {
      update.parameter.add_(update.average, rate);
      return;
    }
    const double rectified =
        std::sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
    at::Tensor root = debiased_root(update, sqr_mom, eps);
    if (beta != 0) root = at::softplus(root, beta);
    update.parameter.addcdiv_(update.average, root, rate * rectified);
  });
}

// Ma & Yarats 2018: the step is a mean of the plain gradient's and Adam's, in numerator and denominator.
void qhadam_step_(at::TensorList params, at::TensorList avgs, at::TensorList sqr_avgs, at::TensorList steps,
                  const c10::List<bool>& do_wd, double lr, double mom, double sqr_mom, double nu_1, double nu_2,
                  double eps, double wd, bool decouple_wd) {
  step_each({params, avgs, sqr_avgs, steps, do_wd, lr, wd, decouple_wd}, [&](Update& update) {
    average_moments(update, mom, sqr_mom);
    const at::Tensor direction = update.average.mul(nu_1 / debias(mom, update.step)).add_(update.gradient, 1 - nu_1);
    at::Tensor square = update.square_average.mul(nu_2 / debias(sqr_mom, update.step));
    if (nu_2 != 1) square.addcmul_(update.gradient, update.gradient, 1 - nu_2);
    update.parameter.addcdiv_(direction, square.sqrt_().add_(eps), -lr);
  });
}

// You et al. 2017: a learning rate for each parameter, in proportion to its norm over the gradient's. The ratio stays a
// tensor: reading it would make the CPU wait for another device.
void larc_step_(at::TensorList params, at::TensorList avgs, at::TensorList local_lrs, const c10::List<bool>& do_wd,
                double lr, double mom, double trust_coeff, double eps, double wd, bool clip, bool decouple_wd) {
  TORCH_CHECK(local_lrs.size() == params.size(), "Expected ", params.size(), " tensors for local_lrs but received ",
              local_lrs.size());
  step_each({params, avgs, {}, {}, do_wd, lr, wd, decouple_wd}, [&](Update& update) {
    if (update.average.defined()) accumulate(update, mom);
    const at::Tensor norm = update.parameter.norm();
    at::Tensor local_lr = norm.mul(lr * trust_coeff).div_(update.gradient.norm().add_(norm, wd).add_(eps));
    if (clip) local_lr.clamp_max_(lr);
    at::Tensor(local_lrs[update.index]).set_data(local_lr);
    update.parameter.addcmul_(update.average.defined() ? update.average : update.gradient, local_lr, -1);
  });
}

// You et al. 2019: Adam's step, scaled by the parameter's root mean square over its own, at most 10.
void lamb_step_(at::TensorList params, at::TensorList avgs, at::TensorList sqr_avgs, at::TensorList steps,
                const c10::List<bool>& do_wd, double lr, double mom, double sqr_mom, double eps, double wd,
                bool decouple_wd) {
  step_each({params, avgs, sqr_avgs, steps, do_wd, lr, wd, decouple_wd}, [&](Update& update) {
    average_moments(update, mom, sqr_mom);
    const at::Tensor direction = update.average.div(debias(mom, update.step)).div_(debiased_root(update, sqr_mom, eps));
    const at::Tensor own = update.parameter.square().mean().sqrt_();
    const at::Tensor its = direction.square().mean().sqrt_();
    const at::Tensor ratio = own.div(its).clamp_max_(10);
    const at::Tensor scale = at::where(own.eq(0).logical_or_(its.eq(0)), at::ones_like(ratio), ratio);
    update.parameter.addcmul_(direction, scale, -lr);
  });
}

// Zhang et al. 2019: slow weights go part of the way to the fast ones, and those return to them.
void lookahead_(at::TensorList params, at::TensorList slow, double alpha) {
  TORCH_CHECK(slow.size() == params.size(), "Expected ", params.size(), " tensors for slow but received ", slow.size());
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < params.size(); ++i) {
    match_state(slow[i], params[i]);
    at::Tensor(params[i]).copy_(at::Tensor(slow[i]).add_(params[i].sub(slow[i]), alpha));
  }
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  m.def(
      "rmsprop_step_(Tensor(a!)[] params, Tensor(b!)[] avgs, Tensor(c!)[] sqr_avgs, bool[] do_wd, float lr, float mom, "
      "float sqr_mom, float eps, float wd, bool decouple_wd) -> ()",
      &rmsprop_step_);
  m.def(
      "radam_step_(Tensor(a!)[] params, Tensor(b!)[] avgs, Tensor(c!)[] sqr_avgs, Tensor(d!)[] steps, bool[] do_wd, "
      "float lr, float mom, float sqr_mom, float eps, float wd, float beta, bool decouple_wd) -> ()",
      &radam_step_);
  m.def(
      "qhadam_step_(Tensor(a!)[] params, Tensor(b!)[] avgs, Tensor(c!)[] sqr_avgs, Tensor(d!)[] steps, bool[] do_wd, "
      "float lr, float mom, float sqr_mom, float nu_1, float nu_2, float eps, float wd, bool decouple_wd) -> ()",
      &qhadam_step_);
  m.def(
      "larc_step_(Tensor(a!)[] params, Tensor(b!)[] avgs, Tensor(c!)[] local_lrs, bool[] do_wd, float lr, float mom, "
      "float trust_coeff, float eps, float wd, bool clip, bool decouple_wd) -> ()",
      &larc_step_);
  m.def(
      "lamb_step_(Tensor(a!)[] params, Tensor(b!)[] avgs, Tensor(c!)[] sqr_avgs, Tensor(d!)[] steps, bool[] do_wd, "
      "float lr, float mom, float sqr_mom, float eps, float wd, bool decouple_wd) -> ()",
      &lamb_step_);
  m.def("lookahead_(Tensor(a!)[] params, Tensor(b!)[] slow, float alpha) -> ()", &lookahead_);
}

}  // namespace torch_learner
