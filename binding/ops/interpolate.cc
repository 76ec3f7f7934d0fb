// Resizing feature maps: which of libtorch's operators does it depends on the number of dimensions, which JavaScript
// could only learn by waiting.

#include <torch/library.h>

#include "core/common.h"

namespace torch_learner {
namespace {

using Sizes = at::OptionalIntArrayRef;
using Factors = std::optional<at::ArrayRef<double>>;

at::Tensor nearest(const at::Tensor& x, Sizes size, Factors factors, bool exact) {
  switch (x.dim()) {
    case 3:
      return exact ? at::_upsample_nearest_exact1d(x, size, factors) : at::upsample_nearest1d(x, size, factors);
    case 4:
      return exact ? at::_upsample_nearest_exact2d(x, size, factors) : at::upsample_nearest2d(x, size, factors);
    default:
      return exact ? at::_upsample_nearest_exact3d(x, size, factors) : at::upsample_nearest3d(x, size, factors);
  }
}

// `size` or `factors`, one number for each spatial dimension, or one for all of them.
at::Tensor interpolate(const at::Tensor& input, at::OptionalIntArrayRef size, Factors factors, c10::string_view mode,
                       bool align_corners) {
  const int64_t dims = input.dim() - 2;
  const bool is_nearest = mode == "nearest" || mode == "nearest-exact";
  TORCH_CHECK(is_nearest || mode == "linear" || mode == "bilinear" || mode == "bicubic" || mode == "trilinear",
              "Expected nearest, nearest-exact, linear, bilinear, bicubic or trilinear for mode but received ", mode);
  const int64_t wanted = mode == "linear" ? 1 : mode == "trilinear" ? 3 : 2;
  TORCH_CHECK(is_nearest ? dims >= 1 && dims <= 3 : dims == wanted, "Expected an input of ",
              is_nearest ? std::string("3 to 5") : std::to_string(wanted + 2), " dimensions for mode ", mode,
              " but received shape ", input.sizes());
  std::vector<int64_t> sizes;
  std::vector<double> scales;
  TORCH_CHECK(size || factors, "Expected a size or a scale_factor for interpolate but received neither");
  const size_t given = size ? size->size() : factors->size();
  TORCH_CHECK(given == 1 || static_cast<int64_t>(given) == dims, "Expected one number or ", dims,
              " for the size of an input of shape ", input.sizes(), " but received ", given);
  for (int64_t i = 0; i < dims; i++) {
    const size_t k = given == 1 ? 0 : static_cast<size_t>(i);
    if (size) {
      sizes.push_back((*size)[k]);
    } else {
      scales.push_back((*factors)[k]);
    }
  }
  const Sizes s = size ? Sizes(sizes) : Sizes();
  const Factors f = size ? Factors() : Factors(scales);
  if (is_nearest) return nearest(input, s, f, mode == "nearest-exact");
  if (mode == "linear") return at::upsample_linear1d(input, s, align_corners, f);
  if (mode == "bilinear") return at::upsample_bilinear2d(input, s, align_corners, f);
  if (mode == "bicubic") return at::upsample_bicubic2d(input, s, align_corners, f);
  return at::upsample_trilinear3d(input, s, align_corners, f);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  m.def("interpolate(Tensor input, int[]? size, float[]? scale_factor, str mode, bool align_corners) -> Tensor",
        &interpolate);
}

}  // namespace torch_learner
