// torch_learner::normalize and normalize_mixup on the CPU: bytes are read once, or twice where two samples are mixed,
// and float32 is written once.
//
// Results equal those of the separate steps bit for bit, divisions included. A division takes the time of ten
// multiplications, which would make the pass wait for the arithmetic instead of for the memory. A number of two floats
// for the reciprocal and a fused multiply-add give the same float; of bytes there are only 256, so that is simply tried
// for each of them beforehand, and where one of them differs the kernel divides.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "preprocess.h"
#include "simd.h"

namespace torch_learner {
namespace {

// 1 / x as the sum of two floats.
struct Reciprocal {
  float high, low;

  explicit Reciprocal(float x)
      : high(static_cast<float>(1 / static_cast<double>(x))),
        low(static_cast<float>(1 / static_cast<double>(x) - high)) {}
};

// What each element of a run in memory needs, from its own channel.
struct Numbers {
  const float *mean, *std, *high, *low;

  Numbers from(int64_t i) const { return {mean + i, std + i, high + i, low + i}; }
};

struct Scale {
  float divisor;
  Reciprocal reciprocal{divisor};
};

template <bool kDivide>
ALWAYS_INLINE float normalized(float x, const Scale& scale, const Numbers& numbers, int64_t i) {
  if constexpr (kDivide) {
    return (x / scale.divisor - numbers.mean[i]) / numbers.std[i];
  } else {
    const float difference = __builtin_fmaf(x, scale.reciprocal.high, x * scale.reciprocal.low) - numbers.mean[i];
    return __builtin_fmaf(difference, numbers.high[i], difference * numbers.low[i]);
  }
}

// Two pieces of samples, or one: then `partner` isn't looked at.
template <typename T>
struct Piece {
  const T *own, *partner;
  float lam;

  Piece from(int64_t i) const { return {own + i, partner + i, lam}; }
};

template <Isa isa, bool kDivide, bool kMix, typename T>
ALWAYS_INLINE void compute(float* __restrict out, const Piece<T>& in, const Scale& scale, const Numbers& numbers,
                           int64_t n) {
  const Scale s = scale;
  const Numbers k = numbers;
  const T *own = in.own, *partner = in.partner;
  if constexpr (!kMix) {
    for (int64_t i = 0; i < n; ++i) out[i] = normalized<kDivide>(static_cast<float>(own[i]), s, k, i);
  } else {
    // lerp(partner, own, lam), as in mix_cpu.cc
    const bool small = std::abs(in.lam) < 0.5F;
    const float coefficient = small ? in.lam : in.lam - 1;
    for (int64_t i = 0; i < n; ++i) {
      const float a = normalized<kDivide>(static_cast<float>(own[i]), s, k, i);
      const float b = normalized<kDivide>(static_cast<float>(partner[i]), s, k, i);
      const float base = small ? b : a;
      if constexpr (isa == Isa::kBaseline) {
        out[i] = coefficient * (a - b) + base;
      } else {
        out[i] = __builtin_fmaf(coefficient, a - b, base);
      }
    }
  }
}

// `period`: after so many elements the numbers are the same again; kBlock at most, and whole cache lines.
template <typename T>
using Kernel = void (*)(float* out, Piece<T> in, const Scale& scale, Numbers numbers, int64_t period, int64_t n,
                        bool streaming);

template <Isa isa, bool kDivide, bool kMix, StreamCopy stream_copy, typename T>
ALWAYS_INLINE void run(float* out, const Piece<T>& in, const Scale& scale, Numbers numbers, int64_t period, int64_t n,
                       bool streaming) {
  int64_t i = 0;
  if (streaming) {
    i = unaligned_elements(out, sizeof(float), n);
    compute<isa, kDivide, kMix>(out, in, scale, numbers, i);
    numbers = numbers.from(i);
    alignas(kCacheLine) float buffer[kBlock];
    for (; i + period <= n; i += period) {
      compute<isa, kDivide, kMix>(buffer, in.from(i), scale, numbers, period);
      stream_copy(out + i, buffer, period * static_cast<int64_t>(sizeof(float)));
    }
  }
  for (; i < n; i += period) {
    compute<isa, kDivide, kMix>(out + i, in.from(i), scale, numbers, std::min(period, n - i));
  }
}

template <bool kDivide, bool kMix, typename T>
void run_baseline(float* out, Piece<T> in, const Scale& scale, Numbers numbers, int64_t period, int64_t n, bool) {
  run<Isa::kBaseline, kDivide, kMix, nullptr>(out, in, scale, numbers, period, n, false);
}

#if defined(__x86_64__)

template <bool kDivide, bool kMix, typename T>
TARGET_AVX2 void run_avx2(float* out, Piece<T> in, const Scale& scale, Numbers numbers, int64_t period, int64_t n,
                          bool streaming) {
  run<Isa::kAvx2, kDivide, kMix, stream_copy_avx2>(out, in, scale, numbers, period, n, streaming);
}

template <bool kDivide, bool kMix, typename T>
TARGET_AVX512 void run_avx512(float* out, Piece<T> in, const Scale& scale, Numbers numbers, int64_t period, int64_t n,
                              bool streaming) {
  run<Isa::kAvx512, kDivide, kMix, stream_copy_avx512>(out, in, scale, numbers, period, n, streaming);
}

// Whether the reciprocals give every byte what the divisions give it, with the numbers of one channel.
TARGET_AVX2 bool reciprocals_divide(const Scale& scale, const Numbers& numbers) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto x = static_cast<float>(byte);
    if (normalized<false>(x, scale, numbers, 0) != normalized<true>(x, scale, numbers, 0)) return false;
  }
  return true;
}

#endif

template <bool kDivide, bool kMix, typename T>
Kernel<T> kernel() {
#if defined(__x86_64__)
  if (instruction_set() == Isa::kAvx512) return run_avx512<kDivide, kMix, T>;
  if (instruction_set() == Isa::kAvx2) return run_avx2<kDivide, kMix, T>;
#endif
  return run_baseline<kDivide, kMix, T>;
}

// The numbers of every channel, laid out for runs of memory: channels in turn where pixels are interleaved, and one
// channel alone where each has a plane.
class Layout {
 public:
  explicit Layout(const NormalizeArgs& args)
      : cycle_(args.interleaved ? args.channels : 1),
        period_(kBlock / (kLine * cycle_) * (kLine * cycle_)),
        length_(period_ + cycle_ + kLine),
        rows_(args.interleaved ? 1 : args.channels),
        values_(static_cast<size_t>(4 * rows_ * length_)) {
    for (int64_t row = 0; row < rows_; ++row) {
      for (int64_t i = 0; i < cycle_; ++i) {
        const int64_t channel = row + i;
        const Reciprocal reciprocal(args.std[channel]);
        const std::array<float, 4> numbers{args.mean[channel], args.std[channel], reciprocal.high, reciprocal.low};
        for (size_t k = 0; k < numbers.size(); ++k) {
          for (int64_t j = i; j < length_; j += cycle_) array(k)[row * length_ + j] = numbers[k];
        }
      }
    }
  }

  int64_t period() const { return period_; }

  Numbers of(int64_t channel) const {
    const Numbers all{array(0), array(1), array(2), array(3)};
    return all.from(rows_ == 1 ? channel : channel * length_);
  }

 private:
  static constexpr int64_t kLine = kCacheLine / static_cast<int64_t>(sizeof(float));

  float* array(size_t k) { return values_.data() + k * rows_ * length_; }
  const float* array(size_t k) const { return values_.data() + k * rows_ * length_; }

  int64_t cycle_, period_, length_, rows_;
  std::vector<float> values_;
};

bool can_multiply(const NormalizeArgs& args, const Scale& scale, const Layout& layout) {
#if defined(__x86_64__)
  if (args.x.scalar_type() != at::kByte || instruction_set() == Isa::kBaseline) return false;
  for (int64_t c = 0; c < args.channels; ++c) {
    if (!reciprocals_divide(scale, layout.of(c))) return false;
  }
  return true;
#else
  return false;
#endif
}

template <bool kMix, typename T>
void normalize_samples(const at::Tensor& out, const NormalizeArgs& args) {
  const int64_t total = args.x.numel();
  const int64_t sample = total / args.x.size(0);
  const int64_t plane = sample / args.channels;
  const T* x = args.x.const_data_ptr<T>();
  const int64_t* perm = kMix ? args.perm.const_data_ptr<int64_t>() : nullptr;
  const float* lam = kMix ? args.lam.const_data_ptr<float>() : nullptr;
  float* result = out.mutable_data_ptr<float>();

  const Scale scale{args.divisor};
  const Layout layout(args);
  const Kernel<T> run = can_multiply(args, scale, layout) ? kernel<false, kMix, T>() : kernel<true, kMix, T>();
  const bool streaming = total * static_cast<int64_t>(sizeof(float)) >= kStreamBytes;
  at::parallel_for(0, total, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end;) {
      const int64_t i = at / sample;
      const int64_t offset = at % sample;
      const int64_t left = args.interleaved ? sample - offset : plane - offset % plane;
      const int64_t n = std::min(left, end - at);
      const int64_t channel = args.interleaved ? offset % args.channels : offset / plane;
      const T* partner = kMix ? x + perm[i] * sample + offset : x;
      run(result + at, {x + at, partner, kMix ? lam[i] : 1}, scale, layout.of(channel), layout.period(), n, streaming);
      at += n;
    }
    if (streaming) finish_streaming();
  });
}

void normalize_kernel(const at::Tensor& out, const NormalizeArgs& args) {
  const bool mix = args.perm.defined();
  if (args.x.scalar_type() == at::kByte) {
    mix ? normalize_samples<true, uint8_t>(out, args) : normalize_samples<false, uint8_t>(out, args);
  } else {
    mix ? normalize_samples<true, float>(out, args) : normalize_samples<false, float>(out, args);
  }
}

at::Tensor normalize_cpu(const at::Tensor& x, at::ArrayRef<double> mean, at::ArrayRef<double> std,
                         std::optional<double> divisor, std::optional<at::MemoryFormat> format) {
  return normalize_with(normalize_kernel, x, {mean, std, divisor, format});
}

at::Tensor normalize_mixup_cpu(const at::Tensor& x, at::ArrayRef<double> mean, at::ArrayRef<double> std,
                               const at::Tensor& perm, const at::Tensor& lam, std::optional<double> divisor,
                               std::optional<at::MemoryFormat> format) {
  return normalize_mixup_with(normalize_kernel, x, perm, lam, {mean, std, divisor, format});
}

}  // namespace
}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CPU, m) {
  m.impl("normalize", torch_learner::normalize_cpu);
  m.impl("normalize_mixup", torch_learner::normalize_mixup_cpu);
}
