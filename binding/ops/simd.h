// For kernels that are bound by memory: several instruction sets, and stores that go past the caches.
//
// Kernels are compiled for several instruction sets by function attributes rather than compiler flags: flags would also
// compile the inline functions of every header for that set, and the linker could then choose such a copy for the whole
// addon. What is here is therefore inlined into its callers, or of this file's includer alone.
#pragma once

#include <ATen/Version.h>

#include <cstdint>
#include <string>

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")))
#endif
#define ALWAYS_INLINE __attribute__((always_inline)) inline

namespace torch_learner {
namespace {

enum class Isa { kBaseline, kAvx2, kAvx512 };

constexpr int64_t kCacheLine = 64;
// Elements worked on at once where results pass through a buffer: 4-8 KB, which stay in the first-level cache.
constexpr int64_t kBlock = 1024;
// Results from this size on go past the caches; below, the next operator is better served by finding them there.
constexpr int64_t kStreamBytes = int64_t{16} << 20;
constexpr int64_t kGrain = 16384;

// The set that libtorch itself uses (ATEN_CPU_CAPABILITY may lower it), for the same rounding as its kernels.
inline Isa instruction_set() {
#if defined(__x86_64__)
  static const std::string capability = at::get_cpu_capability();
  if (capability == "AVX512") return Isa::kAvx512;
  if (capability == "AVX2") return Isa::kAvx2;
#endif
  return Isa::kBaseline;
}

// Elements of `size` bytes up to the first that begins a cache line, `n` at most.
inline int64_t unaligned_elements(const void* out, int64_t size, int64_t n) {
  const auto misalignment = static_cast<int64_t>(reinterpret_cast<uintptr_t>(out) % kCacheLine);
  const int64_t elements = (kCacheLine - misalignment) % kCacheLine / size;
  return elements < n ? elements : n;
}

// memcpy of whole cache lines, both sides aligned, that leaves the target out of the caches.
using StreamCopy = void (*)(void* to, const void* from, int64_t bytes);

#if defined(__x86_64__)

TARGET_AVX2 inline void stream_copy_avx2(void* to, const void* from, int64_t bytes) {
  auto* target = static_cast<__m256i*>(to);
  const auto* source = static_cast<const __m256i*>(from);
  for (int64_t i = 0; i < bytes / 32; ++i) _mm256_stream_si256(target + i, _mm256_load_si256(source + i));
}

TARGET_AVX512 inline void stream_copy_avx512(void* to, const void* from, int64_t bytes) {
  auto* target = static_cast<__m512i*>(to);
  const auto* source = static_cast<const __m512i*>(from);
  for (int64_t i = 0; i < bytes / 64; ++i) _mm512_stream_si512(target + i, _mm512_load_si512(source + i));
}

// Streaming stores aren't ordered with others: without the fence another thread could read what was there before.
inline void finish_streaming() { _mm_sfence(); }

#else

inline void finish_streaming() {}

#endif

}  // namespace
}  // namespace torch_learner
