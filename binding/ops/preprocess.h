// torch_learner::normalize and normalize_mixup, shared by their registration (preprocess.cc) and their kernels
// (preprocess_cpu.cc, preprocess_cuda.cu).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace torch_learner {

// (x / divisor - mean) / std in float32, each step rounded by itself; mean and std by channel.
struct Normalization {
  at::ArrayRef<double> mean, std;
  std::optional<double> divisor;
  std::optional<at::MemoryFormat> memory_format;
};

// Kernels know pictures of so many channels at most; libtorch's operators do the others.
constexpr int64_t kMaxChannels = 16;

// What kernels are given: pictures (N, C, H, W) of uint8, or of float32 that isn't divided.
struct NormalizeArgs {
  at::Tensor x;  // dense: interleaved (N, H, W, C), or plane by plane (N, C, H, W)
  bool interleaved;
  int64_t channels;
  float divisor;            // 1: none
  const float *mean, *std;  // of each channel, on the host
  at::Tensor perm, lam;     // undefined: nothing is mixed; else as in MixupArgs
};

// A kernel: fills `out`, float32, which has the sizes and strides of `args.x`.
using NormalizeKernel = void (*)(const at::Tensor& out, const NormalizeArgs& args);

// What a device's operators do around their kernel.
at::Tensor normalize_with(NormalizeKernel kernel, const at::Tensor& x, const Normalization& how);
at::Tensor normalize_mixup_with(NormalizeKernel kernel, const at::Tensor& x, const at::Tensor& perm,
                                const at::Tensor& lam, const Normalization& how);

}  // namespace torch_learner
