// torch_learner::cutmix, shared by its registration (cutmix.cc) and its kernels (cutmix_cpu.cc, cutmix_cuda.cu).
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>

namespace torch_learner {

// A box in a picture; x2 and y2 are the first pixels outside.
struct Box {
  int64_t x1, y1, x2, y2;
};

// How the pictures of a batch lie in memory: planes of rows of pixels. (N, C, H, W) has C planes of one element a
// pixel; channels_last has one plane of C elements a pixel; frames or slices are planes in both.
struct Planes {
  int64_t planes, height, width, pixel;
};

// Arguments that have been checked, in the form in which kernels want them.
struct CutmixArgs {
  at::Tensor x;                // dense, as `layout` says
  at::Tensor perm;             // (N) int64, contiguous, on x's device
  at::ArrayRef<int64_t> flat;  // the boxes, four numbers each: one for all samples, or N
  Planes layout;

  Box box(int64_t sample) const {
    const int64_t* b = flat.data() + (flat.size() > 4 ? 4 * sample : 0);
    return {b[0], b[1], b[2], b[3]};
  }
};

// Kernels. `cut` fills `out`, of the sizes and strides of `args.x` and in memory of its own; `cut_in_place` changes
// `args.x` itself.
struct CutmixKernels {
  void (*cut)(const at::Tensor& out, const CutmixArgs& args);
  void (*cut_in_place)(const CutmixArgs& args);
};

// What a device's operators do around their kernels.
at::Tensor cutmix_with(const CutmixKernels& kernels, const at::Tensor& x, const at::Tensor& perm,
                       at::IntArrayRef boxes);
at::Tensor& cutmix_out_with(const CutmixKernels& kernels, const at::Tensor& x, const at::Tensor& perm,
                            at::IntArrayRef boxes, at::Tensor& out);
at::Tensor& cutmix_in_place_with(const CutmixKernels& kernels, at::Tensor& x, const at::Tensor& perm,
                                 at::IntArrayRef boxes);

// In plain ATen operators: differentiable, and for any device and strides.
at::Tensor cutmix_composed(const at::Tensor& x, const at::Tensor& perm, at::IntArrayRef boxes);
at::Tensor& cutmix_composed_in_place(at::Tensor& x, const at::Tensor& perm, at::IntArrayRef boxes);

}  // namespace torch_learner
