// torch_learner::mixup on the CPU: one pass that reads a sample and its partner and writes the mixture.
//
// The pass is bound by memory, so only three things matter: both threads work; the loop is vectorised; and a result too
// large for the caches is written past them, since an ordinary store first reads the line that it is about to replace.
//
// Formula and rounding are at::lerp's, so that results equal PyTorch's bit for bit.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "mix.h"
#include "simd.h"

namespace torch_learner {
namespace {

template <typename T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;

// lerp(partner, own, lam), which for weights from 0.5 on counts back from `own`.
template <Isa isa, typename T>
ALWAYS_INLINE void mix(T* __restrict out, const T* partner, const T* own, T lam, int64_t n) {
  const bool small = std::abs(lam) < T(0.5);
  const T coefficient = small ? lam : lam - T(1);
  const T* base = small ? partner : own;
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (isa == Isa::kBaseline) {
      out[i] = coefficient * (own[i] - partner[i]) + base[i];
    } else if constexpr (std::is_same_v<T, double>) {
      out[i] = __builtin_fma(coefficient, own[i] - partner[i], base[i]);
    } else {
      out[i] = __builtin_fmaf(coefficient, own[i] - partner[i], base[i]);
    }
  }
}

#if defined(__x86_64__)

// By hand, since compilers leave conversions of float16 unvectorised. `n` values, the last n % 8 one by one.
TARGET_AVX2 __attribute__((noinline)) void widen_half(float* out, const at::Half* in, int64_t n) {
  int64_t i = 0;
  for (; i <= n - 8; i += 8) {
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i))));
  }
  for (; i < n; ++i) out[i] = static_cast<float>(in[i]);
}

TARGET_AVX2 __attribute__((noinline)) void narrow_half(at::Half* out, const float* in, int64_t n) {
  int64_t i = 0;
  for (; i <= n - 8; i += 8) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), half);
  }
  for (; i < n; ++i) out[i] = static_cast<at::Half>(in[i]);
}

#endif

template <Isa isa, typename T>
ALWAYS_INLINE void widen(float* __restrict out, const T* in, int64_t n) {
  if constexpr (isa != Isa::kBaseline && std::is_same_v<T, at::Half>) {
    widen_half(out, in, n);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(in[i]);
  }
}

template <Isa isa, typename T>
ALWAYS_INLINE void narrow(T* __restrict out, const float* in, int64_t n) {
  if constexpr (isa != Isa::kBaseline && std::is_same_v<T, at::Half>) {
    narrow_half(out, in, n);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(in[i]);
  }
}

// Half precision is mixed in float and rounded once.
template <Isa isa, typename T>
requires(!std::is_floating_point_v<T>) ALWAYS_INLINE
    void mix(T* __restrict out, const T* partner, const T* own, float lam, int64_t n) {
  float a[kBlock], b[kBlock], c[kBlock];
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t m = std::min(kBlock, n - i);
    widen<isa>(a, partner + i, m);
    widen<isa>(b, own + i, m);
    mix<isa>(c, a, b, lam, m);
    narrow<isa>(out + i, c, m);
  }
}

// As mix, through a buffer: compilers don't vectorise into non-temporal stores by themselves.
template <Isa isa, StreamCopy stream_copy, typename T>
ALWAYS_INLINE void mix_streaming(T* out, const T* partner, const T* own, Compute<T> lam, int64_t n) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(T));
  int64_t i = unaligned_elements(out, kSize, n);
  mix<isa>(out, partner, own, lam, i);
  alignas(kCacheLine) T buffer[kBlock];
  for (; i + kBlock <= n; i += kBlock) {
    mix<isa>(buffer, partner + i, own + i, lam, kBlock);
    stream_copy(out + i, buffer, kBlock * kSize);
  }
  mix<isa>(out + i, partner + i, own + i, lam, n - i);
}

template <typename T>
using Mix = void (*)(T* out, const T* partner, const T* own, Compute<T> lam, int64_t n);

template <typename T>
struct Kernels {
  Mix<T> plain;
  Mix<T> streaming;
};

template <typename T>
void mix_baseline(T* out, const T* partner, const T* own, Compute<T> lam, int64_t n) {
  mix<Isa::kBaseline>(out, partner, own, lam, n);
}

#if defined(__x86_64__)

template <typename T>
TARGET_AVX2 void mix_avx2(T* out, const T* partner, const T* own, Compute<T> lam, int64_t n) {
  mix<Isa::kAvx2>(out, partner, own, lam, n);
}

template <typename T>
TARGET_AVX2 void mix_streaming_avx2(T* out, const T* partner, const T* own, Compute<T> lam, int64_t n) {
  mix_streaming<Isa::kAvx2, stream_copy_avx2>(out, partner, own, lam, n);
}

template <typename T>
TARGET_AVX512 void mix_avx512(T* out, const T* partner, const T* own, Compute<T> lam, int64_t n) {
  mix<Isa::kAvx512>(out, partner, own, lam, n);
}

template <typename T>
TARGET_AVX512 void mix_streaming_avx512(T* out, const T* partner, const T* own, Compute<T> lam, int64_t n) {
  mix_streaming<Isa::kAvx512, stream_copy_avx512>(out, partner, own, lam, n);
}

#endif

template <typename T>
Kernels<T> kernels() {
#if defined(__x86_64__)
  if (instruction_set() == Isa::kAvx512) return {mix_avx512<T>, mix_streaming_avx512<T>};
  if (instruction_set() == Isa::kAvx2) return {mix_avx2<T>, mix_streaming_avx2<T>};
#endif
  return {mix_baseline<T>, mix_baseline<T>};
}

template <typename T>
void mix_samples(const at::Tensor& out, const MixupArgs& args) {
  const int64_t total = args.x.numel();
  const int64_t sample = total / args.x.size(0);
  const T* x = args.x.const_data_ptr<T>();
  const auto* lam = args.lam.const_data_ptr<Compute<T>>();
  const int64_t* perm = args.perm.const_data_ptr<int64_t>();
  T* result = out.mutable_data_ptr<T>();

  const bool streaming = total * static_cast<int64_t>(sizeof(T)) >= kStreamBytes;
  const Mix<T> kernel = streaming ? kernels<T>().streaming : kernels<T>().plain;
  at::parallel_for(0, total, kGrain, [&](int64_t begin, int64_t end) {
    int64_t i = begin / sample;
    int64_t offset = begin % sample;
    for (int64_t at = begin; at < end; ++i, offset = 0) {
      const int64_t n = std::min(sample - offset, end - at);
      kernel(result + at, x + perm[i] * sample + offset, x + at, lam[i], n);
      at += n;
    }
    if (streaming) finish_streaming();
  });
}

void mixup_kernel(const at::Tensor& out, const MixupArgs& args) {
  switch (args.x.scalar_type()) {
    case at::kFloat:
      return mix_samples<float>(out, args);
    case at::kDouble:
      return mix_samples<double>(out, args);
    case at::kHalf:
      return mix_samples<at::Half>(out, args);
    case at::kBFloat16:
      return mix_samples<at::BFloat16>(out, args);
    default:
      TORCH_CHECK_TYPE(false, "mixup: Expected x of dtype float32, float64, float16 or bfloat16 but received ",
                       args.x.scalar_type());
  }
}

at::Tensor mixup_cpu(const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam) {
  return mixup_with(mixup_kernel, x, perm, lam);
}

at::Tensor& mixup_out_cpu(const at::Tensor& x, const at::Tensor& perm, const at::Tensor& lam, at::Tensor& out) {
  return mixup_out_with(mixup_kernel, x, perm, lam, out);
}

}  // namespace
}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CPU, m) {
  m.impl("mixup", torch_learner::mixup_cpu);
  m.impl("mixup.out", torch_learner::mixup_out_cpu);
}
