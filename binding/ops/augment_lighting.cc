// torch_learner::augment_draw, augment_lighting and augment_erase: random numbers for augmentation, one a sample, and
// what they change in a picture's values.

#include <torch/library.h>

#include <cmath>
#include <optional>

#include "core/common.h"

namespace torch_learner {
namespace {

using at::Tensor;
using OptionalTensor = std::optional<Tensor>;

// One number a sample of x, float32 on the host, drawn in the reference's order: the values, then who gets them (with
// probability p; the others get `neutral`). kind: uniform, log_uniform (low and high are logarithms), whole. `batch`:
// one draw for all.
Tensor augment_draw(const Tensor& x, c10::string_view kind, double low, double high, double p, double neutral,
                    bool batch, const std::optional<at::Generator>& generator) {
  TORCH_CHECK(x.dim() >= 1, "augment_draw: Expected a batch but received a tensor without dimensions");
  TORCH_CHECK(p >= 0 && p <= 1, "augment_draw: Expected p from 0 to 1 but received ", p);
  const int64_t n = batch ? std::min<int64_t>(1, x.size(0)) : x.size(0);
  Tensor values = at::empty({n}, at::kFloat);
  if (kind == "whole") {
    values.random_(static_cast<int64_t>(low), static_cast<int64_t>(high), generator);
  } else if (low == high) {
    values.fill_(low);
  } else {
    values.uniform_(low, high, generator);
  }
  if (kind == "log_uniform") values.exp_();
  if (p < 1) {
    const Tensor chosen = at::empty({n}, at::kFloat).bernoulli_(p, generator);
    values = at::where(chosen.to(at::kBool), values, at::scalar_tensor(neutral, at::kFloat));
  }
  return values.expand({x.size(0)}).contiguous();
}

// Numbers in [0, 1) on the host.
Tensor augment_uniform(at::IntArrayRef shape, const std::optional<at::Generator>& generator) {
  return at::rand(shape, generator, at::TensorOptions(at::kDouble));
}

Tensor on_host(const OptionalTensor& draws, int64_t n, double neutral) {
  if (!draws) return at::full({n}, neutral, at::kDouble);
  TORCH_CHECK(draws->numel() == n || draws->numel() == 1, "augment_lighting: Expected ", n,
              " draws, one a sample, but received ", draws->numel());
  return draws->detach().to(at::kCPU, at::kDouble).reshape({-1}).expand({n}).contiguous();
}

constexpr double kEdge = 1e-7;

// sigmoid(contrast * (logit(x) + logit(brightness))). Sample by sample, each on one thread: its values stay in that
// core's cache from the logit to the sigmoid.
Tensor augment_lighting(const Tensor& x, const OptionalTensor& brightness, const OptionalTensor& contrast) {
  TORCH_CHECK_TYPE(at::isFloatingType(x.scalar_type()),
                   "augment_lighting: Expected x of a floating dtype but received ", x.scalar_type(),
                   "; convert it to float32 first");
  TORCH_CHECK(x.dim() >= 1, "augment_lighting: Expected a batch but received a tensor without dimensions");
  if (!brightness && !contrast) return x;
  const int64_t n = x.size(0);
  const Tensor shift = at::logit(on_host(brightness, n, 0.5));
  const Tensor scale = on_host(contrast, n, 1);
  const bool half = x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16;
  if (half) return augment_lighting(x.to(at::kFloat), brightness, contrast).to(x.scalar_type());
  if (!x.is_cpu() || (x.requires_grad() && at::GradMode::is_enabled())) {
    std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
    shape[0] = n;
    const auto column = [&](const Tensor& values) { return values.to(x.options().requires_grad(false)).view(shape); };
    return x.logit(kEdge).add(column(shift)).mul(column(scale)).sigmoid();
  }
  const at::NoGradGuard no_grad;
  Tensor out = at::empty_like(x);
  const double* shifts = shift.const_data_ptr<double>();
  const double* scales = scale.const_data_ptr<double>();
  at::parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad_here;
    for (int64_t i = begin; i < end; ++i) {
      Tensor lit = out.select(0, i);
      if (shifts[i] == 0 && scales[i] == 1) {
        lit.copy_(x.select(0, i));
        continue;
      }
      at::logit_out(lit, x.select(0, i), kEdge);
      lit.add_(shifts[i]).mul_(scales[i]).sigmoid_();
    }
  });
  return out;
}

constexpr int64_t kMaxRectangles = 10'000;  // of one picture

// Rectangles of pictures, each chosen with probability p, filled with normal noise, as normalised pictures have it.
Tensor augment_erase(const Tensor& x, double p, double low, double high, double aspect, int64_t max_count,
                     const std::optional<at::Generator>& generator) {
  TORCH_CHECK_TYPE(at::isFloatingType(x.scalar_type()), "augment_erase: Expected x of a floating dtype but received ",
                   x.scalar_type(), "; convert it to float32 first");
  TORCH_CHECK(x.dim() == 4, "augment_erase: Expected pictures (N, C, H, W) but received shape ", x.sizes());
  TORCH_CHECK(max_count >= 1 && max_count <= kMaxRectangles, "augment_erase: Expected a max_count from 1 to ",
              kMaxRectangles, " but received ", max_count);
  const int64_t n = x.size(0), h = x.size(2), w = x.size(3);
  Tensor out = x.detach().clone();
  const auto uniform = [&] { return at::rand({1}, generator, at::TensorOptions(at::kDouble)).item<double>(); };
  const auto whole = [&](int64_t count) {
    return std::min(count - 1, static_cast<int64_t>(uniform() * static_cast<double>(count)));
  };
  for (int64_t i = 0; i < n; ++i) {
    if (uniform() >= p) continue;
    const int64_t count = 1 + whole(max_count);
    for (int64_t k = 0; k < count; ++k) {
      const double area = (low + uniform() * (high - low)) * static_cast<double>(h * w) / static_cast<double>(count);
      const double shape = std::exp((2 * uniform() - 1) * std::log(aspect));
      const auto side = [area](double factor, int64_t limit) {
        const auto length = static_cast<int64_t>(std::nearbyint(std::sqrt(area * factor)));
        return std::clamp<int64_t>(length, 1, limit);
      };
      const int64_t height = side(shape, h), width = side(1 / shape, w);
      const int64_t top = whole(h - height + 1), left = whole(w - width + 1);
      out.select(0, i).narrow(1, top, height).narrow(2, left, width).normal_(0, 1, generator);
    }
  }
  return out;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  const std::vector<at::Tag> random{at::Tag::nondeterministic_seeded};
  m.def(
      "augment_draw(Tensor x, str kind, float low, float high, float p=1, float neutral=0, bool batch=False, *, "
      "Generator? generator=None) -> Tensor",
      random);
  m.def("augment_uniform(int[] shape, *, Generator? generator=None) -> Tensor", random);
  m.def(
      "augment_erase(Tensor x, float p, float low, float high, float aspect, int max_count, *, "
      "Generator? generator=None) -> Tensor",
      random);
  m.def("augment_lighting(Tensor x, *, Tensor? brightness=None, Tensor? contrast=None) -> Tensor", &augment_lighting);
}

TORCH_LIBRARY_IMPL(torch_learner, CompositeImplicitAutograd, m) {
  m.impl("augment_draw", &augment_draw);
  m.impl("augment_uniform", &augment_uniform);
  m.impl("augment_erase", &augment_erase);
}

}  // namespace torch_learner
