#include "checks.h"

#include <map>

namespace torch_learner {

namespace {

using Stack = torch::jit::Stack;

void check_floating(const Stack& arguments, std::initializer_list<size_t> places, const char* op) {
  for (size_t i : places) {
    if (!arguments[i].isTensor()) continue;
    const at::Tensor& tensor = arguments[i].toTensor();
    TORCH_CHECK(!tensor.defined() || tensor.is_floating_point(), "Expected floating tensors for ", op,
                " but received dtype ", tensor.scalar_type());
  }
}

void check_elements(const Stack& a, std::initializer_list<size_t> places, int64_t elements, const char* op) {
  for (const size_t i : places) {
    if (!a[i].isTensor() || !a[i].toTensor().defined()) continue;
    const at::Tensor& tensor = a[i].toTensor();
    TORCH_CHECK(tensor.numel() == elements && tensor.device() == a[0].toTensor().device(), "Expected ", elements,
                " elements on the input's device for argument ", i + 1, " of ", op, " but received shape ",
                tensor.sizes(), " on ", tensor.device());
  }
}

void check_strided(const at::Tensor& tensor, const char* name, const char* op) {
  TORCH_CHECK(tensor.layout() == at::kStrided, "Expected a dense ", name, " for ", op, " but received layout ",
              tensor.layout());
}

// Divides by beta in the tensors' own dtype.
void smooth_l1_loss_backward(const Stack& a) { check_floating(a, {0, 1, 2}, "smooth_l1_loss_backward"); }

// Reads the index's memory, which another layout hasn't.
void index_copy(const Stack& a) { check_strided(a[2].toTensor(), "index", "index_copy"); }

// Believes the sizes that it is told: input, weight, bias, N, C, HxW, group, eps.
void native_group_norm(const Stack& a) {
  const at::Tensor& input = a[0].toTensor();
  const int64_t n = a[3].toInt(), c = a[4].toInt(), rest = a[5].toInt(), group = a[6].toInt();
  TORCH_CHECK(n >= 0 && c >= 0 && rest >= 0, "Expected sizes of at least 0 for native_group_norm but received N=", n,
              ", C=", c, ", HxW=", rest);
  TORCH_CHECK(group > 0 && c % group == 0, "Expected a divisor of C=", c, " for group but received ", group);
  const auto total = static_cast<__int128>(n) * c * rest;
  TORCH_CHECK(total == input.numel(), "Expected an input of N·C·HxW elements for native_group_norm but received shape ",
              input.sizes(), " for N=", n, ", C=", c, ", HxW=", rest);
  check_floating(a, {0, 1, 2}, "native_group_norm");
  check_elements(a, {1, 2}, c, "native_group_norm");
}

// Reads a mean and a deviation for each group: grad, input, mean, rstd, weight, N, C, HxW, group.
void native_group_norm_backward(const Stack& a) {
  const int64_t n = a[5].toInt(), c = a[6].toInt(), rest = a[7].toInt(), group = a[8].toInt();
  TORCH_CHECK(n >= 0 && c >= 0 && rest >= 0 && group > 0 && c % group == 0,
              "Expected sizes of at least 0 and a divisor of C for native_group_norm_backward but received N=", n,
              ", C=", c, ", HxW=", rest, ", group=", group);
  const auto total = static_cast<__int128>(n) * c * rest;
  TORCH_CHECK(total == a[1].toTensor().numel() && n <= (int64_t{1} << 40) / group,
              "Expected an input of N·C·HxW elements for native_group_norm_backward but received shape ",
              a[1].toTensor().sizes());
  check_elements(a, {0, 1}, a[1].toTensor().numel(), "native_group_norm_backward");
  check_elements(a, {2, 3}, n * group, "native_group_norm_backward");
  check_elements(a, {4}, c, "native_group_norm_backward");
}

// The same for each row: grad, input, normalized_shape, mean, rstd, weight, bias.
void native_layer_norm_backward(const Stack& a) {
  const at::Tensor& input = a[1].toTensor();
  const auto shape = a[2].toIntVector();
  TORCH_CHECK(a[0].toTensor().sizes() == input.sizes(), "Expected a gradient of the input's shape ", input.sizes(),
              " for native_layer_norm_backward but received shape ", a[0].toTensor().sizes());
  TORCH_CHECK(!shape.empty() && static_cast<size_t>(input.dim()) >= shape.size() &&
                  input.sizes().slice(static_cast<size_t>(input.dim()) - shape.size()) == c10::IntArrayRef(shape),
              "Expected an input that ends in normalized_shape ", shape, " but received shape ", input.sizes());
  const int64_t row = c10::multiply_integers(shape);
  check_elements(a, {0, 1}, input.numel(), "native_layer_norm_backward");
  check_elements(a, {3, 4},
                 c10::multiply_integers(input.sizes().slice(0, static_cast<size_t>(input.dim()) - shape.size())),
                 "native_layer_norm_backward");
  check_elements(a, {5, 6}, row, "native_layer_norm_backward");
}

// Reads statistics that may be absent or of another length: grad, input, weight, running mean and variance, saved mean
// and variance, whether in training.
void batch_norm_backward(const Stack& a) {
  const at::Tensor& input = a[1].toTensor();
  TORCH_CHECK(input.dim() >= 2,
              "Expected an input of at least two dimensions for batch_norm_backward but received shape ",
              input.sizes());
  TORCH_CHECK(a[0].toTensor().sizes() == input.sizes(), "Expected a gradient of the input's shape ", input.sizes(),
              " for batch_norm_backward but received shape ", a[0].toTensor().sizes());
  const bool training = a[7].toBool();
  const char* names[] = {"weight", "running_mean", "running_var", "save_mean", "save_var"};
  for (size_t i = 2; i < 7; i++) {
    const bool given = a[i].isTensor() && a[i].toTensor().defined();
    const bool needed = training ? i >= 5 : i == 3 || i == 4;
    TORCH_CHECK(given || !needed, "Expected ", names[i - 2], " for batch_norm_backward ",
                training ? "in training" : "in evaluation", " but received none");
    if (!given) continue;
    const at::Tensor& tensor = a[i].toTensor();
    TORCH_CHECK(tensor.dim() == 1 && tensor.numel() == input.size(1), "Expected ", names[i - 2], " of shape [",
                input.size(1), "] for batch_norm_backward but received shape ", tensor.sizes());
  }
}

void check_range(const at::Tensor& index, int64_t size, const char* op) {
  TORCH_CHECK(index.scalar_type() == at::kLong || index.scalar_type() == at::kInt,
              "Expected an int64 or int32 index for ", op, " but received dtype ", index.scalar_type());
  if (index.numel() == 0 || index.is_meta()) return;
  const auto low = index.min().item<int64_t>(), high = index.max().item<int64_t>();
  TORCH_CHECK(low >= 0 && high < size, "Expected indices from 0 to ", size - 1, " for ", op, " but received ",
              low < 0 ? low : high);
}

// Counts in an array of `num_weights`: grad_output, indices, num_weights.
void embedding_dense_backward(const Stack& a) {
  check_range(a[1].toTensor(), a[2].toInt(), "embedding_dense_backward");
}

// The same, and a sparse result whose indices nobody looks at: grad, indices, num_weights.
void embedding_backward(const Stack& a) {
  check_range(a[1].toTensor(), a[2].toInt(), "embedding_backward");
  const at::Tensor &grad = a[0].toTensor(), &index = a[1].toTensor();
  TORCH_CHECK(grad.dim() == index.dim() + 1 && grad.sizes().slice(0, index.dim()) == index.sizes(),
              "Expected a gradient of the indices' shape ", index.sizes(),
              " and a last dimension for embedding_backward but received shape ", grad.sizes());
}

// Steps from offset to offset: weight, indices, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights,
// include_last_offset.
void embedding_bag(const Stack& a) {
  const at::Tensor &weight = a[0].toTensor(), &index = a[1].toTensor(), &offsets = a[2].toTensor();
  TORCH_CHECK(weight.dim() == 2, "Expected a weight of two dimensions for embedding_bag but received shape ",
              weight.sizes());
  check_range(index, weight.size(0), "embedding_bag");
  if (index.dim() != 1) return;
  check_range(offsets, index.numel() + 1, "embedding_bag's offsets");
  const bool last = a[7].toBool();
  TORCH_CHECK(offsets.dim() == 1 && offsets.numel() >= (last ? 2 : 0), "Expected a vector of ",
              last ? "at least 2 " : "", "offsets for embedding_bag but received shape ", offsets.sizes());
  if (offsets.numel() > 0 && !offsets.is_meta()) {
    TORCH_CHECK((offsets.diff() >= 0).all().item<bool>() && offsets[0].item<int64_t>() == 0,
                "Expected offsets that begin with 0 and ascend for embedding_bag");
  }
}

// The gradient goes where the index says: grad_output, self, ..., indices; the last `spatial` dimensions are pooled.
template <int spatial, size_t place>
void pool_backward(const Stack& a) {
  const at::Tensor &grad = a[0].toTensor(), &self = a[1].toTensor(), &index = a[place].toTensor();
  TORCH_CHECK(self.dim() > spatial && index.sizes() == grad.sizes() && grad.dim() == self.dim(),
              "Expected indices of the gradient's shape ", grad.sizes(), " and of ", self.dim(),
              " dimensions for the gradient of a maximum pool but received shape ", index.sizes());
  const auto before = static_cast<size_t>(self.dim() - spatial);
  TORCH_CHECK(grad.sizes().slice(0, before) == self.sizes().slice(0, before),
              "Expected a gradient for the samples and channels of shape ", self.sizes(), " but received shape ",
              grad.sizes());
  TORCH_CHECK(index.scalar_type() == at::kLong,
              "Expected int64 indices for the gradient of a maximum pool but received dtype ", index.scalar_type());
  check_range(index, c10::multiply_integers(self.sizes().slice(before)), "the gradient of a maximum pool");
}

// Exchanges the rows that the pivots name, counted from 1; in LDL also as negative numbers.
void check_pivots(const at::Tensor& matrix, const at::Tensor& pivots, const char* op) {
  TORCH_CHECK(matrix.dim() >= 2 && pivots.dim() == matrix.dim() - 1 &&
                  pivots.size(-1) == std::min(matrix.size(-2), matrix.size(-1)) &&
                  pivots.sizes().slice(0, pivots.dim() - 1) == matrix.sizes().slice(0, pivots.dim() - 1),
              "Expected one pivot for each row or column of matrices of shape ", matrix.sizes(), " for ", op,
              " but received shape ", pivots.sizes());
  TORCH_CHECK(pivots.scalar_type() == at::kInt, "Expected int32 pivots for ", op, " but received dtype ",
              pivots.scalar_type());
  if (pivots.numel() == 0 || pivots.is_meta()) return;
  const at::Tensor rows = pivots.abs();
  TORCH_CHECK(rows.min().item<int>() >= 1 && rows.max().item<int>() <= matrix.size(-2), "Expected pivots from 1 to ",
              matrix.size(-2), " for ", op);
}
void lu_unpack(const Stack& a) {
  if (a[3].toBool()) check_pivots(a[0].toTensor(), a[1].toTensor(), "lu_unpack");
}
template <size_t matrix, size_t pivots>
void pivoted(const Stack& a) {
  check_pivots(a[matrix].toTensor(), a[pivots].toTensor(), "an operator on factors");
}

// Believes the kernel's size instead of looking at the weight: self, weight, kernel_size.
void kernel_of_weight(const Stack& a) {
  const at::Tensor& weight = a[1].toTensor();
  const auto kernel = a[2].toIntVector();
  if (weight.dim() <= 2) return;  // refused, or with one dimension for all
  const auto sizes = weight.sizes().slice(2);
  TORCH_CHECK(std::equal(sizes.begin(), sizes.end(), kernel.begin(), kernel.end()), "Expected the weight's kernel ",
              sizes, " for kernel_size but received ", kernel);
}

// Reads and writes one running statistic a channel: input, running_mean, running_var.
void batch_norm_update_stats(const Stack& a) {
  const at::Tensor& input = a[0].toTensor();
  TORCH_CHECK(input.dim() >= 2,
              "Expected an input of at least two dimensions for batch_norm_update_stats but received shape ",
              input.sizes());
  for (const size_t i : {1, 2}) {
    if (!a[i].isTensor() || !a[i].toTensor().defined()) continue;
    const at::Tensor& tensor = a[i].toTensor();
    TORCH_CHECK(tensor.dim() == 1 && tensor.numel() == input.size(1), "Expected running statistics of shape [",
                input.size(1), "] for batch_norm_update_stats but received shape ", tensor.sizes());
  }
}

// Makes a sparse tensor without looking at its indices: grad, self, dim, index, sparse_grad.
void gather_backward(const Stack& a) {
  const at::Tensor &grad = a[0].toTensor(), &self = a[1].toTensor(), &index = a[3].toTensor();
  TORCH_CHECK(index.scalar_type() == at::kLong, "Expected an int64 index for gather_backward but received dtype ",
              index.scalar_type());
  TORCH_CHECK(index.sizes() == grad.sizes() && grad.dim() == self.dim(), "Expected a gradient of the index's shape ",
              index.sizes(), " and of ", self.dim(), " dimensions for gather_backward but received shape ",
              grad.sizes());
  if (self.dim() == 0) return;
  const int64_t dim = c10::maybe_wrap_dim(a[2].toInt(), self.dim());
  check_range(index, self.size(dim), "gather_backward");
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
    degree = degrees.max().item<double>();
  } else {
    degree = n.toScalar().toDouble();
  }
  TORCH_CHECK(!(degree > kHighest), "Expected a degree n of at most ", kHighest, " for a polynomial but received ",
              degree);
}

const std::map<std::string, Check>& checks() {
  static const std::map<std::string, Check> table = {
      {"aten::smooth_l1_loss_backward", smooth_l1_loss_backward},
      {"aten::batch_norm_backward", batch_norm_backward},
      {"aten::native_batch_norm_backward", batch_norm_backward},
      {"aten::embedding_dense_backward", embedding_dense_backward},
      {"aten::embedding_backward", embedding_backward},
      {"aten::embedding_sparse_backward", embedding_backward},
      {"aten::embedding_bag", embedding_bag},
      {"aten::gather_backward", gather_backward},
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
      {"aten::adaptive_max_pool2d_backward", pool_backward<2, 2>},
      {"aten::adaptive_max_pool3d_backward", pool_backward<3, 2>},
      {"aten::fractional_max_pool2d_backward", pool_backward<2, 4>},
      {"aten::fractional_max_pool3d_backward", pool_backward<3, 4>},
      {"aten::max_pool2d_with_indices_backward", pool_backward<2, 7>},
      {"aten::max_pool3d_with_indices_backward", pool_backward<3, 7>},
      {"aten::lu_unpack", lu_unpack},
      {"aten::lu_solve", pivoted<1, 2>},
      {"aten::linalg_lu_solve", pivoted<0, 1>},
      {"aten::linalg_ldl_solve", pivoted<0, 1>},
      {"aten::thnn_conv2d", kernel_of_weight},
      {"aten::slow_conv3d", kernel_of_weight},
      {"aten::slow_conv3d_forward", kernel_of_weight},
      {"aten::conv_depthwise3d", kernel_of_weight},
      {"aten::slow_conv_dilated2d", kernel_of_weight},
      {"aten::slow_conv_dilated3d", kernel_of_weight},
      {"aten::slow_conv_transpose2d", kernel_of_weight},
      {"aten::slow_conv_transpose3d", kernel_of_weight},
      {"aten::batch_norm_update_stats", batch_norm_update_stats},
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
      {"aten::index_copy", index_copy},
      {"aten::index_copy_", index_copy},
      {"aten::native_group_norm", native_group_norm},
      {"aten::native_group_norm_backward", native_group_norm_backward},
      {"aten::native_layer_norm_backward", native_layer_norm_backward},
      {"aten::lstm", recurrent},
      {"aten::gru", recurrent},
      {"aten::rnn_tanh", recurrent},
      {"aten::rnn_relu", recurrent},
      {"aten::max_pool1d", max_pool1d},
      {"aten::max_pool1d_with_indices", max_pool1d},
  };
  return table;
}

}  // namespace

Check find_check(const std::string& name) {
  const auto found = checks().find(name);
  return found == checks().end() ? nullptr : found->second;
}

}  // namespace torch_learner
