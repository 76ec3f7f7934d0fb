// The inner loops of resizing: weighted sums of bytes in fixed point, the same to the last bit on every processor.
#pragma once

#include <cstddef>
#include <cstdint>

namespace torch_learner::image {

// 8 bits of value and 2 of headroom (sums of rounded weights may pass 1) leave 22 of an int32 for a weight's fraction.
constexpr int kFraction = 22;
constexpr int32_t kHalf = 1 << (kFraction - 1);

// Rows that are read by weigh_across() or written by it must be this much longer: whole registers are moved.
constexpr size_t kSlack = 16;

// Weights are given to weigh_across() in groups of four, the last filled up with zeros.
constexpr int kGroup = 4;
constexpr int whole_groups(int taps) { return (taps + kGroup - 1) / kGroup * kGroup; }

// One output row from one input row of RGB pixels: pixel x is the sum of `count[x]` pixels from `first[x]`, whose
// weights start at weight + x * stride. `stride` is a multiple of kGroup.
void weigh_across(const uint8_t* row, int out_width, const int* first, const int* count, const int32_t* weight,
                  int stride, uint8_t* out);

// sums[i] = kHalf + row[i] * weight
void start_sums(int32_t* sums, const uint8_t* row, int32_t weight, size_t n);

// sums[i] += row[i] * weight
void add_to_sums(int32_t* sums, const uint8_t* row, int32_t weight, size_t n);

// out[i] = sums[i] as a byte
void finish_sums(const int32_t* sums, uint8_t* out, size_t n);

}  // namespace torch_learner::image
