// Checks of indices, pivots and offsets, by which kernels read and write.
#include "checks.h"

namespace torch_learner {

namespace {

using Stack = torch::jit::Stack;

void check_strided(const at::Tensor& tensor, const char* name, const char* op) {
  TORCH_CHECK(tensor.layout() == at::kStrided, "Expected a dense ", name, " for ", op, " but received layout ",
              tensor.layout());
}

// Reads the index's memory, which another layout hasn't.
void index_copy(const Stack& a) { check_strided(a[2].toTensor(), "index", "index_copy"); }

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

}  // namespace

const CheckTable& index_checks() {
  static const CheckTable table = {
      {"aten::embedding_dense_backward", embedding_dense_backward},
      {"aten::embedding_backward", embedding_backward},
      {"aten::embedding_sparse_backward", embedding_backward},
      {"aten::embedding_bag", embedding_bag},
      {"aten::gather_backward", gather_backward},
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
      {"aten::index_copy", index_copy},
      {"aten::index_copy_", index_copy},
  };
  return table;
}

}  // namespace torch_learner
