// torch_learner::cutmix on CUDA. One pass into a new tensor, by element size rather than dtype; a block of threads for
// a piece of one sample, as in mix_cuda.cu. In place the boxes are copied by ATen's operators.
#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>

#include "cutmix.h"

namespace torch_learner {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxSamples = 65535;  // of gridDim.y

struct alignas(16) Bytes16 {
  uint64_t halves[2];
};

// `boxes`: on the device, four numbers a sample; null: `shared` for all.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    cutmix_kernel(T* __restrict__ out, const T* __restrict__ x, const int64_t* __restrict__ perm,
                  const int64_t* __restrict__ boxes, Box shared, Planes layout, int64_t samples, int64_t sample) {
  const int64_t j = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (j >= sample) return;
  const int64_t pixel = j / layout.pixel;
  const int64_t column = pixel % layout.width;
  const int64_t row = pixel / layout.width % layout.height;
  for (int64_t i = blockIdx.y; i < samples; i += gridDim.y) {
    const int64_t partner = perm[i];
    CUDA_KERNEL_ASSERT(partner >= 0 && partner < samples && "cutmix: a sample number in perm is out of range");
    const Box box = boxes == nullptr ? shared : Box{boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]};
    const bool inside = column >= box.x1 && column < box.x2 && row >= box.y1 && row < box.y2;
    out[i * sample + j] = x[(inside ? partner : i) * sample + j];
  }
}

template <typename T>
void launch(const at::Tensor& out, const CutmixArgs& args) {
  const int64_t samples = args.x.size(0);
  const int64_t sample = args.x.numel() / samples;
  const at::Tensor boxes = args.flat.size() > 4 ? at::tensor(args.flat, at::kLong).to(args.x.device()) : at::Tensor();
  const dim3 grid(static_cast<unsigned>((sample + kThreads - 1) / kThreads),
                  static_cast<unsigned>(std::min(samples, kMaxSamples)));
  cutmix_kernel<T><<<grid, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
      static_cast<T*>(out.mutable_data_ptr()), static_cast<const T*>(args.x.const_data_ptr()),
      args.perm.const_data_ptr<int64_t>(), boxes.defined() ? boxes.const_data_ptr<int64_t>() : nullptr, args.box(0),
      args.layout, samples, sample);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

void cut(const at::Tensor& out, const CutmixArgs& args) {
  const c10::cuda::CUDAGuard guard(args.x.device());
  switch (args.x.element_size()) {
    case 1:
      return launch<uint8_t>(out, args);
    case 2:
      return launch<uint16_t>(out, args);
    case 4:
      return launch<uint32_t>(out, args);
    case 8:
      return launch<uint64_t>(out, args);
    default:
      return launch<Bytes16>(out, args);
  }
}

constexpr CutmixKernels kKernels{cut, nullptr};

at::Tensor cutmix_cuda(const at::Tensor& x, const at::Tensor& perm, at::IntArrayRef boxes) {
  return cutmix_with(kKernels, x, perm, boxes);
}

at::Tensor& cutmix_out_cuda(const at::Tensor& x, const at::Tensor& perm, at::IntArrayRef boxes, at::Tensor& out) {
  return cutmix_out_with(kKernels, x, perm, boxes, out);
}

}  // namespace
}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CUDA, m) {
  m.impl("cutmix", torch_learner::cutmix_cuda);
  m.impl("cutmix.out", torch_learner::cutmix_out_cuda);
  m.impl("cutmix_", torch_learner::cutmix_composed_in_place);
}
