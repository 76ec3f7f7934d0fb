// What modules need to know of their tensors' shapes and dtypes, which JavaScript could only learn by waiting.

#include <torch/library.h>

#include <optional>

#include "core/common.h"

namespace torch_learner {
namespace {

using OptionalTensor = std::optional<at::Tensor>;

void check_batch_norm_input(const at::Tensor& input, at::IntArrayRef dims, bool training) {
  TORCH_CHECK(std::find(dims.begin(), dims.end(), input.dim()) != dims.end(), "Expected an input of ", dims,
              " dimensions for batch normalisation but received shape ", input.sizes());
  if (!training) return;
  const int64_t channels = input.size(1);
  TORCH_CHECK(channels == 0 || input.numel() / channels != 1,
              "Expected more than one value per channel for batch normalisation in training but received shape ",
              input.sizes(), ". A batch of one has no variance: leave out the last, smaller batch");
}

// `momentum` none: running statistics are plain averages over all batches so far.
at::Tensor batch_norm(const at::Tensor& input, const OptionalTensor& weight, const OptionalTensor& bias,
                      const OptionalTensor& running_mean, const OptionalTensor& running_var,
                      const OptionalTensor& num_batches_tracked, bool training, std::optional<double> momentum,
                      double eps, at::IntArrayRef dims) {
  const bool batch_statistics = training || !running_mean;
  check_batch_norm_input(input, dims, batch_statistics);
  double factor = momentum.value_or(0);
  if (training && num_batches_tracked) {
    const at::NoGradGuard no_grad;
    at::Tensor(*num_batches_tracked).add_(1);
    if (!momentum) factor = 1.0 / num_batches_tracked->item<double>();
  }
  return at::batch_norm(input, weight, bias, running_mean, running_var, batch_statistics, factor, eps,
                        /*cudnn_enabled=*/true);
}

struct Target {
  std::optional<at::Device> device;
  std::optional<at::ScalarType> dtype;
  std::optional<at::MemoryFormat> memory_format;
};

// channels_last exists for four dimensions only, and a floating dtype is no dtype for counters.
at::Tensor converted(const at::Tensor& tensor, const Target& target) {
  at::TensorOptions options = tensor.options().device(target.device.value_or(tensor.device()));
  if (target.dtype && tensor.is_floating_point()) options = options.dtype(*target.dtype);
  std::optional<at::MemoryFormat> format = target.memory_format;
  if (format == at::MemoryFormat::ChannelsLast && tensor.dim() != 4) format = std::nullopt;
  return tensor.to(options, /*non_blocking=*/false, /*copy=*/false, format);
}

// Changes tensors and their gradients in place, so that whoever holds them (an optimizer) still does.
void module_to_(at::TensorList tensors, std::optional<at::Device> device, std::optional<at::ScalarType> dtype,
                std::optional<at::MemoryFormat> memory_format) {
  const at::NoGradGuard no_grad;
  const Target target{device, dtype, memory_format};
  for (at::Tensor tensor : tensors) {
    const at::Tensor before = tensor.detach();
    const at::Tensor after = converted(before, target);
    if (!after.is_same(before)) tensor.set_data(after);
    if (tensor.requires_grad() && tensor.grad().defined()) tensor.mutable_grad() = converted(tensor.grad(), target);
  }
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  m.def(
      "batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor(a!)? running_mean, Tensor(b!)? running_var, "
      "Tensor(c!)? num_batches_tracked, bool training, float? momentum, float eps, int[] dims) -> Tensor",
      &batch_norm);
  m.def(
      "module_to_(Tensor(a!)[] tensors, *, Device? device=None, ScalarType? dtype=None, "
      "MemoryFormat? memory_format=None) -> ()",
      &module_to_);
}

}  // namespace torch_learner
