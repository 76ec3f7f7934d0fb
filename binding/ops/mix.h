// torch_learner::mixup, shared by its registration (mix.cc) and its kernels (mix_cpu.cc, mix_cuda.cu), and what the
// other operators that mix samples have in common with it.
#pragma once

#include <ATen/core/Tensor.h>

namespace torch_learner {

// Throws unless `perm` names a partner for each of `n` samples; values are looked at in CPU memory only.
void check_partners(const char* op, const at::Tensor& perm, int64_t n);

// Throws unless `out` fits `x` (or is empty) and shares no memory with it.
void check_mixed_out(const char* op, const at::Tensor& out, const at::Tensor& x);

// Arguments that have been checked, in the form in which kernels want them.
struct MixupArgs {
  at::Tensor x;     // dense, sample by sample: x[i] is one block of x.stride(0) elements, whatever the order inside it
  at::Tensor perm;  // (N) int64, contiguous, on x's device
  at::Tensor lam;   // (N) contiguous, on x's device: double when x is double, else float
};

// Throws unless `perm` and `lam` are for the samples of `x`, whatever it is made of.
void check_mixup_partners(const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam);

// `lam` as kernels want it: (N) contiguous, of `type`, on x's device.
at::Tensor mixup_weights(const at::Tensor& x, const at::Tensor& lam, at::ScalarType type);

// Throws when shapes, dtypes or (of a permutation in CPU memory) values don't fit together.
void check_mixup(const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam);

// The checked arguments as kernels want them; copies only what isn't so already.
MixupArgs prepare_mixup(const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam);

// A kernel: fills `out`, which has the sizes, strides and dtype of `args.x` and no memory in common with it.
using MixupKernel = void (*)(const at::Tensor& out, const MixupArgs& args);

// What a device's operator does around its kernel.
at::Tensor mixup_with(MixupKernel kernel, const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam);
at::Tensor& mixup_out_with(MixupKernel kernel, const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam,
                           at::Tensor& out);

}  // namespace torch_learner
