// torch_learner::normalize and normalize_mixup on CUDA: the pass of preprocess_cpu.cc, one block of threads for a
// piece of one sample. Divisions are rounded as the host rounds them.
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>

#include "preprocess.h"

namespace torch_learner {
namespace {

constexpr int kThreads = 256;
constexpr int kPerThread = 4;           // elements of a thread: enough loads under way to keep the memory busy
constexpr int64_t kMaxSamples = 65535;  // of gridDim.y

// Travels with the launch: nothing to copy to the device beforehand.
struct Numbers {
  float divisor;
  float mean[kMaxChannels], std[kMaxChannels];
};

struct Sizes {
  int64_t samples, sample, plane, channels;
  bool interleaved;
};

__device__ __forceinline__ float normalized(float x, const Numbers& numbers, int64_t channel) {
  return __fdiv_rn(__fdiv_rn(x, numbers.divisor) - numbers.mean[channel], numbers.std[channel]);
}

// `perm` null: nothing is mixed.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    normalize_kernel(float* __restrict__ out, const T* __restrict__ x, const int64_t* __restrict__ perm,
                     const float* __restrict__ lam, Numbers numbers, Sizes sizes) {
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kThreads * kPerThread + threadIdx.x;
  for (int64_t i = blockIdx.y; i < sizes.samples; i += gridDim.y) {
    const T* own_row = x + i * sizes.sample;
    const int64_t partner = perm == nullptr ? i : perm[i];
    CUDA_KERNEL_ASSERT(partner >= 0 && partner < sizes.samples && "mixup: a sample number in perm is out of range");
    const T* partner_row = x + partner * sizes.sample;
    const float weight = perm == nullptr ? 1 : lam[i];
#pragma unroll
    for (int k = 0; k < kPerThread; ++k) {
      const int64_t j = begin + k * kThreads;
      if (j >= sizes.sample) break;
      const int64_t channel = sizes.interleaved ? j % sizes.channels : j / sizes.plane;
      float value = normalized(static_cast<float>(own_row[j]), numbers, channel);
      if (perm != nullptr) {
        // at::lerp's formula, as in mix_cuda.cu
        const float other = normalized(static_cast<float>(partner_row[j]), numbers, channel);
        const float difference = value - other;
        value = fabsf(weight) < 0.5F ? other + weight * difference : value - difference * (1 - weight);
      }
      out[i * sizes.sample + j] = value;
    }
  }
}

template <typename T>
void launch(const at::Tensor& out, const NormalizeArgs& args, const Numbers& numbers) {
  const int64_t samples = args.x.size(0);
  const int64_t sample = args.x.numel() / samples;
  const int64_t pieces = (sample + kThreads * kPerThread - 1) / (kThreads * kPerThread);
  const dim3 grid(static_cast<unsigned>(pieces), static_cast<unsigned>(std::min(samples, kMaxSamples)));
  const bool mix = args.perm.defined();
  normalize_kernel<T><<<grid, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
      out.mutable_data_ptr<float>(), args.x.const_data_ptr<T>(), mix ? args.perm.const_data_ptr<int64_t>() : nullptr,
      mix ? args.lam.const_data_ptr<float>() : nullptr, numbers,
      {samples, sample, sample / args.channels, args.channels, args.interleaved});
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

void normalize_kernel_cuda(const at::Tensor& out, const NormalizeArgs& args) {
  const c10::cuda::CUDAGuard guard(args.x.device());
  Numbers numbers{args.divisor, {}, {}};
  std::copy_n(args.mean, args.channels, numbers.mean);
  std::copy_n(args.std, args.channels, numbers.std);
  if (args.x.scalar_type() == at::kByte) {
    launch<uint8_t>(out, args, numbers);
  } else {
    launch<float>(out, args, numbers);
  }
}

at::Tensor normalize_cuda(const at::Tensor& x, at::ArrayRef<double> mean, at::ArrayRef<double> std,
                          std::optional<double> divisor, std::optional<at::MemoryFormat> format) {
  return normalize_with(normalize_kernel_cuda, x, {mean, std, divisor, format});
}

at::Tensor normalize_mixup_cuda(const at::Tensor& x, at::ArrayRef<double> mean, at::ArrayRef<double> std,
                                const at::Tensor& perm, const at::Tensor& lam, std::optional<double> divisor,
                                std::optional<at::MemoryFormat> format) {
  return normalize_mixup_with(normalize_kernel_cuda, x, perm, lam, {mean, std, divisor, format});
}

}  // namespace
}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CUDA, m) {
  m.impl("normalize", torch_learner::normalize_cuda);
  m.impl("normalize_mixup", torch_learner::normalize_mixup_cuda);
}
