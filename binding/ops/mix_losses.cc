// torch_learner::mix_losses: losses against both targets of a mixed batch, lerped; for losses without a fused form.
//
// An operator of its own because what it does depends on shapes, which JavaScript could only learn by waiting for the
// stream. Made of differentiable operators only.
#include <ATen/ATen.h>
#include <torch/library.h>

#include <vector>

namespace torch_learner {
namespace {

using at::Tensor;

// `lam` shaped so that it weighs the losses sample by sample: losses (N, ...), or flattened to (N * k).
Tensor weights_for(const Tensor& losses, const Tensor& lam) {
  const Tensor flat = lam.reshape({-1}).to(losses.options());
  const int64_t n = flat.size(0);
  if (n == 1) return flat.dim() == losses.dim() ? flat : flat.squeeze(0);
  TORCH_CHECK(losses.dim() > 0, "mix_losses: Expected one loss per sample but received a single number for ", n,
              " samples; the loss function has to honour the reduction \"none\"");
  TORCH_CHECK(n > 0 && losses.size(0) % n == 0, "mix_losses: Expected losses of ", n,
              " samples, like lam, but received some of shape ", losses.sizes());
  std::vector<int64_t> shape(static_cast<size_t>(losses.dim()), 1);
  shape[0] = losses.size(0);
  return (losses.size(0) == n ? flat : flat.repeat_interleave(losses.size(0) / n)).view(shape);
}

Tensor mix_losses(const Tensor& losses, const Tensor& losses1, const Tensor& lam) {
  TORCH_CHECK_TYPE(at::isFloatingType(losses.scalar_type()) && at::isFloatingType(losses1.scalar_type()),
                   "mix_losses: Expected losses of a floating dtype but received ", losses.scalar_type(), " and ",
                   losses1.scalar_type());
  TORCH_CHECK(losses.sizes() == losses1.sizes(), "mix_losses: Expected losses of one shape but received ",
              losses.sizes(), " and ", losses1.sizes());
  return at::lerp(losses1, losses, weights_for(losses, lam));
}

}  // namespace
}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CompositeImplicitAutograd, m) { m.impl("mix_losses", torch_learner::mix_losses); }
