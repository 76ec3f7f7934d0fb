// What the flattening losses do to predictions and targets before the loss itself, in one call: it depends on shapes
// and dtypes, which JavaScript could only learn by waiting for the stream.

#include <torch/library.h>

#include <tuple>

#include "core/common.h"

namespace torch_learner {
namespace {

at::Tensor swap_axis(const at::Tensor& tensor, int64_t axis) {
  return axis == -1 ? tensor : tensor.transpose(axis, -1);
}

// Whole numbers of 8, 16 and 32 bits become int64; with `floatify` everything but float16 becomes float32. uint8 class
// indices stay, as libtorch's losses take them.
at::Tensor convert_target(const at::Tensor& target, bool floatify) {
  const at::ScalarType dtype = target.scalar_type();
  if (floatify && dtype != at::kHalf) return target.to(at::kFloat);
  if (dtype == at::kChar || dtype == at::kShort || dtype == at::kInt) return target.to(at::kLong);
  return target;
}

// Makes `(..., C)` predictions and `(...)` targets `(N, C)` and `(N)` when `by_class`, else both of one dimension.
// Sizes that don't fit would broadcast in most losses, and train on nonsense.
std::tuple<at::Tensor, at::Tensor> loss_pair(const at::Tensor& input, const at::Tensor& target, int64_t axis,
                                             bool by_class, bool floatify, bool flatten) {
  at::Tensor predictions = swap_axis(input, axis);
  at::Tensor truth = convert_target(swap_axis(target, axis), floatify);
  if (flatten) {
    truth = truth.reshape({-1});
    if (!by_class) {
      predictions = predictions.reshape({-1});
    } else if (predictions.dim() != 2) {
      TORCH_CHECK(predictions.dim() > 0, "Expected predictions of at least one dimension but received a scalar");
      predictions = predictions.reshape({-1, predictions.size(-1)});
    }
  }
  const bool fits = by_class ? !flatten || predictions.size(0) == truth.size(0) : predictions.sizes() == truth.sizes();
  TORCH_CHECK(fits, "Expected one target for each prediction but received predictions of shape ", input.sizes(),
              " and targets of shape ", target.sizes());
  return {predictions, truth};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  m.def(
      "loss_pair(Tensor input, Tensor target, int axis, bool by_class, bool floatify, bool flatten) -> (Tensor, "
      "Tensor)",
      &loss_pair);
}

}  // namespace torch_learner
