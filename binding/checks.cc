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
      {"aten::gather_backward", gather_backward},
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
  };
  return table;
}

}  // namespace

Check find_check(const std::string& name) {
  const auto found = checks().find(name);
  return found == checks().end() ? nullptr : found->second;
}

}  // namespace torch_learner
