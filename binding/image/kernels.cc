#include "kernels.h"

#include <algorithm>

#if defined(__x86_64__) && defined(__GNUC__)
#define TORCH_LEARNER_AVX2 1
#include <immintrin.h>
#endif

namespace torch_learner::image {

namespace {

constexpr int kChannels = 3;

uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFraction, 0, 255)); }

void weigh_across_plain(const uint8_t* row, int out_width, const int* first, const int* count, const int32_t* weight,
                        int stride, uint8_t* out) {
  for (int x = 0; x < out_width; x++, weight += stride, out += kChannels) {
    int32_t red = kHalf, green = kHalf, blue = kHalf;
    const uint8_t* pixel = row + static_cast<ptrdiff_t>(first[x]) * kChannels;
    for (int tap = 0; tap < count[x]; tap++, pixel += kChannels) {
      red += pixel[0] * weight[tap];
      green += pixel[1] * weight[tap];
      blue += pixel[2] * weight[tap];
    }
    out[0] = to_byte(red);
    out[1] = to_byte(green);
    out[2] = to_byte(blue);
  }
}

[[gnu::always_inline]] inline void start_plain(int32_t* sums, const uint8_t* row, int32_t weight, size_t n) {
  for (size_t i = 0; i < n; i++) sums[i] = kHalf + row[i] * weight;
}

[[gnu::always_inline]] inline void add_plain(int32_t* sums, const uint8_t* row, int32_t weight, size_t n) {
  for (size_t i = 0; i < n; i++) sums[i] += row[i] * weight;
}

[[gnu::always_inline]] inline void finish_plain(const int32_t* sums, uint8_t* out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = to_byte(sums[i]);
}

#ifdef TORCH_LEARNER_AVX2
bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

// Four pixels at a time. A weight doesn't fit the 16 bits that can be multiplied and added in pairs, so its upper and
// its lower 11 bits go separate ways and meet at the end: nothing is rounded on the way.
__attribute__((target("avx2"))) void weigh_across_avx2(const uint8_t* row, int out_width, const int* first,
                                                       const int* count, const int32_t* weight, int stride,
                                                       uint8_t* out) {
  constexpr int kLower = 11;
  // r0 r1 g0 g1 b0 b1 - - | r2 r3 g2 g3 b2 b3 - -, 16 bits each
  const __m256i pairs = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7, -1,
                                         10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  // the two weights of a pair, as 16 bits each, for all channels: w0 w1 in the lower half, w2 w3 in the upper one
  const __m256i spread = _mm256_setr_epi8(0, 1, 4, 5, 0, 1, 4, 5, 0, 1, 4, 5, 0, 1, 4, 5, 8, 9, 12, 13, 8, 9, 12, 13, 8,
                                          9, 12, 13, 8, 9, 12, 13);
  const __m128i lower_mask = _mm_set1_epi32((1 << kLower) - 1);
  const __m128i half = _mm_set1_epi32(kHalf);
  for (int x = 0; x < out_width; x++, weight += stride, out += kChannels) {
    __m256i upper = _mm256_setzero_si256(), lower = _mm256_setzero_si256();
    const uint8_t* pixel = row + static_cast<ptrdiff_t>(first[x]) * kChannels;
    for (int tap = 0; tap < count[x]; tap += kGroup, pixel += kGroup * kChannels) {
      const __m128i weights = _mm_loadu_si128(reinterpret_cast<const __m128i*>(weight + tap));
      const __m256i high = _mm256_broadcastsi128_si256(_mm_srai_epi32(weights, kLower));
      const __m256i low = _mm256_broadcastsi128_si256(_mm_and_si128(weights, lower_mask));
      const __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel)));
      const __m256i values = _mm256_shuffle_epi8(bytes, pairs);
      upper = _mm256_add_epi32(upper, _mm256_madd_epi16(values, _mm256_shuffle_epi8(high, spread)));
      lower = _mm256_add_epi32(lower, _mm256_madd_epi16(values, _mm256_shuffle_epi8(low, spread)));
    }
    const __m256i sums = _mm256_add_epi32(_mm256_slli_epi32(upper, kLower), lower);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    sum = _mm_srai_epi32(_mm_add_epi32(sum, half), kFraction);
    sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
    _mm_storeu_si32(out, sum);  // its fourth byte belongs to the next pixel
  }
}

__attribute__((target("avx2"))) void start_avx2(int32_t* sums, const uint8_t* row, int32_t weight, size_t n) {
  start_plain(sums, row, weight, n);
}

__attribute__((target("avx2"))) void add_avx2(int32_t* sums, const uint8_t* row, int32_t weight, size_t n) {
  add_plain(sums, row, weight, n);
}

__attribute__((target("avx2"))) void finish_avx2(const int32_t* sums, uint8_t* out, size_t n) {
  finish_plain(sums, out, n);
}
#endif

}  // namespace

void weigh_across(const uint8_t* row, int out_width, const int* first, const int* count, const int32_t* weight,
                  int stride, uint8_t* out) {
#ifdef TORCH_LEARNER_AVX2
  if (has_avx2()) return weigh_across_avx2(row, out_width, first, count, weight, stride, out);
#endif
  weigh_across_plain(row, out_width, first, count, weight, stride, out);
}

void start_sums(int32_t* sums, const uint8_t* row, int32_t weight, size_t n) {
#ifdef TORCH_LEARNER_AVX2
  if (has_avx2()) return start_avx2(sums, row, weight, n);
#endif
  start_plain(sums, row, weight, n);
}

void add_to_sums(int32_t* sums, const uint8_t* row, int32_t weight, size_t n) {
#ifdef TORCH_LEARNER_AVX2
  if (has_avx2()) return add_avx2(sums, row, weight, n);
#endif
  add_plain(sums, row, weight, n);
}

void finish_sums(const int32_t* sums, uint8_t* out, size_t n) {
#ifdef TORCH_LEARNER_AVX2
  if (has_avx2()) return finish_avx2(sums, out, n);
#endif
  finish_plain(sums, out, n);
}

}  // namespace torch_learner::image
