// What the flattening losses do to their targets, in one call: it depends on the target's dtype, which JavaScript could
// only learn by waiting for the stream.

#include <torch/library.h>

#include "common.h"

namespace torch_learner {
namespace {

// Swaps `axis` with the last dimension, converts the dtype and flattens to one dimension. Whole numbers of 8, 16 and 32
// bits become int64; with `floatify` everything but float16 becomes float32. uint8 class indices stay, as libtorch's
// losses take them.
at::Tensor loss_target(const at::Tensor& target, int64_t axis, bool floatify, bool flatten) {
  at::Tensor result = axis == -1 ? target : target.transpose(axis, -1);
  const at::ScalarType dtype = result.scalar_type();
  if (floatify && dtype != at::kHalf) {
    result = result.to(at::kFloat);
  } else if (dtype == at::kChar || dtype == at::kShort || dtype == at::kInt) {
    result = result.to(at::kLong);
  }
  return flatten ? result.reshape({-1}) : result;
}

// The same for predictions: `(..., C)` becomes `(N, C)`, or one dimension when `by_class` is false.
at::Tensor loss_input(const at::Tensor& input, int64_t axis, bool by_class, bool flatten) {
  const at::Tensor result = axis == -1 ? input : input.transpose(axis, -1);
  if (!flatten) return result;
  if (!by_class) return result.reshape({-1});
  TORCH_CHECK(result.dim() > 0, "Expected predictions of at least one dimension but received a scalar");
  return result.dim() == 2 ? result : result.reshape({-1, result.size(-1)});
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  m.def("loss_target(Tensor target, int axis, bool floatify, bool flatten) -> Tensor", &loss_target);
  m.def("loss_input(Tensor input, int axis, bool by_class, bool flatten) -> Tensor", &loss_input);
}

}  // namespace torch_learner
