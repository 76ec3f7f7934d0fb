// Checks of normalisations and losses: sizes and statistics that kernels believe.
#include "checks.h"

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

// Divides by beta in the tensors' own dtype.
void smooth_l1_loss_backward(const Stack& a) { check_floating(a, {0, 1, 2}, "smooth_l1_loss_backward"); }

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

}  // namespace

const CheckTable& norm_checks() {
  static const CheckTable table = {
      {"aten::smooth_l1_loss_backward", smooth_l1_loss_backward},
      {"aten::batch_norm_backward", batch_norm_backward},
      {"aten::native_batch_norm_backward", batch_norm_backward},
      {"aten::batch_norm_update_stats", batch_norm_update_stats},
      {"aten::native_group_norm", native_group_norm},
      {"aten::native_group_norm_backward", native_group_norm_backward},
      {"aten::native_layer_norm_backward", native_layer_norm_backward},
  };
  return table;
}

}  // namespace torch_learner
