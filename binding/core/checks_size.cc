// Checks of sizes, and of values with which kernels end the process or never end.
#include "checks.h"

#include <cmath>
#include <limits>

namespace torch_learner {

namespace {

using Stack = torch::jit::Stack;

// Believes the kernel's size instead of looking at the weight: self, weight, kernel_size.
void kernel_of_weight(const Stack& a) {
  const at::Tensor& weight = a[1].toTensor();
  const auto kernel = a[2].toIntVector();
  if (weight.dim() <= 2) return;  // refused, or with one dimension for all
  const auto sizes = weight.sizes().slice(2);
  TORCH_CHECK(std::equal(sizes.begin(), sizes.end(), kernel.begin(), kernel.end()), "Expected the weight's kernel ",
              sizes, " for kernel_size but received ", kernel);
}

// Steps through the matrices of `out` by one stride, whatever its layout: self, diagonal, out.
void triangle(const Stack& a) {
  if (a.size() < 3) return;
  const at::Tensor &self = a[0].toTensor(), &out = a[2].toTensor();
  TORCH_CHECK(out.sizes() != self.sizes() || out.dim() < 3 || out.is_contiguous(),
              "Expected a contiguous out for triu and tril but received strides ", out.strides());
}

// Steps through the hidden states beside the input: input, hx; or data, batch_sizes, hx.
void recurrent(const Stack& a) {
  const at::Tensor& input = a[0].toTensor();
  const bool packed = a[2].isTensor() || (a[1].isTensor() && a[3].isTensorList());
  const auto rank = packed ? 2 : 3;
  TORCH_CHECK(input.dim() == rank, "Expected an input of ", rank,
              " dimensions for a recurrent layer but received shape ", input.sizes());
  if (packed) {
    const at::Tensor& batches = a[1].toTensor();
    TORCH_CHECK(batches.dim() == 1 && batches.scalar_type() == at::kLong && batches.is_cpu() && batches.numel() > 0 &&
                    batches.min().item<int64_t>() > 0 && (batches.diff() <= 0).all().item<bool>() &&
                    batches.sum().item<int64_t>() == input.size(0),
                "Expected descending int64 batch_sizes with sum ", input.size(0), " for a recurrent layer");
  }
  const auto state = [&](const at::Tensor& hidden) {
    TORCH_CHECK(hidden.dim() == 3 && hidden.scalar_type() == input.scalar_type() && hidden.device() == input.device(),
                "Expected hidden states of three dimensions and the input's dtype ", input.scalar_type(),
                " for a recurrent layer but received shape ", hidden.sizes(), " of dtype ", hidden.scalar_type());
  };
  const c10::IValue& hidden = a[packed ? 2 : 1];
  if (hidden.isTensor()) {
    state(hidden.toTensor());
  } else {
    for (const at::Tensor& each : hidden.toTensorVector()) state(each);
  }
}

// Sizes near the largest integers overflow: self, kernel_size, stride, padding, dilation.
void max_pool1d(const Stack& a) {
  constexpr int64_t kMost = 1 << 30;
  for (size_t i = 1; i <= 4; i++) {
    for (const int64_t size : a[i].toIntVector()) {
      TORCH_CHECK(size <= kMost, "Expected sizes of at most ", kMost, " for max_pool1d but received ", size);
    }
  }
}

// Kernels walk through the planes of their output also where these have no elements.
void check_planes(c10::ArrayRef<int64_t> sizes, const char* what) {
  constexpr double kMost = 1e9;
  double planes = 1;
  bool empty = false;
  for (const int64_t size : sizes) {
    empty = empty || size <= 0;
    planes *= static_cast<double>(std::max<int64_t>(size, 1));
  }
  TORCH_CHECK(!empty || planes <= kMost, "Expected ", what, " of an output with elements, or with at most ", kMost,
              " empty planes, but received ", sizes);
}

// self, output_size
void adaptive_pool(const Stack& a) { check_planes(a[1].toIntVector(), "an output_size"); }

// self, padding: two numbers for each dimension, the last one first
void pad(const Stack& a) {
  std::vector<int64_t> sizes = a[0].toTensor().sizes().vec();
  const auto padding = a[1].toIntVector();
  if (padding.size() % 2 != 0 || padding.size() / 2 > sizes.size()) return;  // refused
  for (size_t i = 0; i < padding.size(); i++) sizes[sizes.size() - 1 - i / 2] += padding[i];
  check_planes(sizes, "padding");
}

// Takes as many steps as the degree is high, for each element: x, n.
void polynomial(const Stack& a) {
  constexpr double kHighest = 1e5;
  const c10::IValue& n = a[1];
  double degree = 0;
  if (n.isTensor()) {
    const at::Tensor& degrees = n.toTensor();
    if (degrees.numel() == 0 || degrees.is_meta()) return;
    degree = degrees.to(at::kDouble).nan_to_num(0, HUGE_VAL, -HUGE_VAL).max().item<double>();
  } else {
    degree = n.toScalar().toDouble();
  }
  TORCH_CHECK(!(degree > kHighest), "Expected a degree n of at most ", kHighest, " for a polynomial but received ",
              degree);
}

// Draws until a sum passes the count, which it never does where one of them is NaN: count, prob.
void binomial(const Stack& a) {
  for (const size_t i : {0, 1}) {
    const at::Tensor& tensor = a[i].toTensor();
    if (tensor.is_meta() || tensor.numel() == 0 || !tensor.is_floating_point() || tensor.layout() != at::kStrided)
      continue;
    TORCH_CHECK(at::isfinite(tensor).all().item<bool>(), "Expected finite numbers for ", i == 0 ? "count" : "prob",
                " of binomial but received NaN or infinity");
  }
}

// LAPACK is given what it refuses, and its answer is not looked at: self.
void eigenvalues(const Stack& a) {
  const at::Tensor& self = a[0].toTensor();
  if (self.is_meta() || self.numel() == 0 || self.layout() != at::kStrided) return;
  TORCH_CHECK(at::isfinite(self).all().item<bool>(),
              "Expected finite numbers for linalg_eigvals but received NaN or infinity");
}

// Counts the bits of from + 1 by a loop that never ends where that overflows: self, from, to, generator. Without from
// it has one argument less, and perhaps an output.
void random(const Stack& a) {
  if (a.size() < 4 || a[3].isTensor() || !a[1].isInt()) return;
  TORCH_CHECK(a[1].toInt() < std::numeric_limits<int64_t>::max(),
              "Expected a from below the largest int64 for random but received ", a[1].toInt());
}

}  // namespace

const CheckTable& size_checks() {
  static const CheckTable table = {
      {"aten::reflection_pad1d", pad},
      {"aten::reflection_pad2d", pad},
      {"aten::reflection_pad3d", pad},
      {"aten::replication_pad1d", pad},
      {"aten::replication_pad2d", pad},
      {"aten::replication_pad3d", pad},
      {"aten::adaptive_avg_pool1d", adaptive_pool},
      {"aten::adaptive_avg_pool2d", adaptive_pool},
      {"aten::adaptive_avg_pool3d", adaptive_pool},
      {"aten::adaptive_max_pool1d", adaptive_pool},
      {"aten::adaptive_max_pool2d", adaptive_pool},
      {"aten::adaptive_max_pool3d", adaptive_pool},
      {"aten::thnn_conv2d", kernel_of_weight},
      {"aten::slow_conv3d", kernel_of_weight},
      {"aten::slow_conv3d_forward", kernel_of_weight},
      {"aten::conv_depthwise3d", kernel_of_weight},
      {"aten::slow_conv_dilated2d", kernel_of_weight},
      {"aten::slow_conv_dilated3d", kernel_of_weight},
      {"aten::slow_conv_transpose2d", kernel_of_weight},
      {"aten::slow_conv_transpose3d", kernel_of_weight},
      {"aten::special_chebyshev_polynomial_t", polynomial},
      {"aten::special_chebyshev_polynomial_u", polynomial},
      {"aten::special_chebyshev_polynomial_v", polynomial},
      {"aten::special_chebyshev_polynomial_w", polynomial},
      {"aten::special_shifted_chebyshev_polynomial_t", polynomial},
      {"aten::special_shifted_chebyshev_polynomial_u", polynomial},
      {"aten::special_shifted_chebyshev_polynomial_v", polynomial},
      {"aten::special_shifted_chebyshev_polynomial_w", polynomial},
      {"aten::special_hermite_polynomial_h", polynomial},
      {"aten::special_hermite_polynomial_he", polynomial},
      {"aten::special_laguerre_polynomial_l", polynomial},
      {"aten::special_legendre_polynomial_p", polynomial},
      {"aten::tril", triangle},
      {"aten::triu", triangle},
      {"aten::lstm", recurrent},
      {"aten::gru", recurrent},
      {"aten::rnn_tanh", recurrent},
      {"aten::rnn_relu", recurrent},
      {"aten::max_pool1d", max_pool1d},
      {"aten::max_pool1d_with_indices", max_pool1d},
      {"aten::linalg_eigvals", eigenvalues},
      {"aten::binomial", binomial},
      {"aten::random", random},
      {"aten::random_", random},
  };
  return table;
}

}  // namespace torch_learner
