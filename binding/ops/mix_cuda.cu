// torch_learner::mixup on CUDA: the pass of mix_cpu.cc, one block of threads for a piece of one sample.
#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "mix.h"

namespace torch_learner {
namespace {

constexpr int kThreads = 256;
constexpr int kPerThread = 4;           // elements of a thread: enough loads under way to keep the memory busy
constexpr int64_t kMaxSamples = 65535;  // of gridDim.y

template <typename T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;

// at::lerp's formula: for weights from 0.5 on it counts back from `own`.
template <typename T>
__device__ __forceinline__ T mix(T partner, T own, T lam) {
  const T difference = own - partner;
  return fabs(lam) < T(0.5) ? partner + lam * difference : own - difference * (T(1) - lam);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    mixup_kernel(T* __restrict__ out, const T* __restrict__ x, const int64_t* __restrict__ perm,
                 const Compute<T>* __restrict__ lam, int64_t samples, int64_t sample) {
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kThreads * kPerThread + threadIdx.x;
  for (int64_t i = blockIdx.y; i < samples; i += gridDim.y) {
    const int64_t partner = perm[i];
    CUDA_KERNEL_ASSERT(partner >= 0 && partner < samples && "mixup: a sample number in perm is out of range");
    const Compute<T> weight = lam[i];
    const T* own_row = x + i * sample;
    const T* partner_row = x + partner * sample;
#pragma unroll
    for (int k = 0; k < kPerThread; ++k) {
      const int64_t j = begin + k * kThreads;
      if (j >= sample) break;
      const auto mixed = mix(static_cast<Compute<T>>(partner_row[j]), static_cast<Compute<T>>(own_row[j]), weight);
      out[i * sample + j] = static_cast<T>(mixed);
    }
  }
}

void mixup_kernel_cuda(const at::Tensor& out, const MixupArgs& args) {
  const c10::cuda::CUDAGuard guard(args.x.device());
  const int64_t samples = args.x.size(0);
  const int64_t sample = args.x.numel() / samples;
  const int64_t pieces = (sample + kThreads * kPerThread - 1) / (kThreads * kPerThread);
  const dim3 grid(static_cast<unsigned>(pieces), static_cast<unsigned>(std::min(samples, kMaxSamples)));
  const auto stream = c10::cuda::getCurrentCUDAStream();
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, args.x.scalar_type(), "mixup", [&] {
    mixup_kernel<scalar_t><<<grid, kThreads, 0, stream>>>(
        out.mutable_data_ptr<scalar_t>(), args.x.const_data_ptr<scalar_t>(), args.perm.const_data_ptr<int64_t>(),
        args.lam.const_data_ptr<Compute<scalar_t>>(), samples, sample);
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

at::Tensor mixup_cuda(const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam) {
  return mixup_with(mixup_kernel_cuda, x, perm, lam);
}

at::Tensor& mixup_out_cuda(const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam, at::Tensor& out) {
  return mixup_out_with(mixup_kernel_cuda, x, perm, lam, out);
}

}  // namespace
}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CUDA, m) {
  m.impl("mixup", torch_learner::mixup_cuda);
  m.impl("mixup.out", torch_learner::mixup_out_cuda);
}
