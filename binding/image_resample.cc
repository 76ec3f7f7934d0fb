#include "image_resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace torch_learner::image {

namespace {

constexpr int kChannels = 3;
// 8 bits of value and 2 of headroom (sums of rounded weights may pass 1) leave 22 of an int32 for a weight's fraction.
constexpr int kFraction = 22;
constexpr int32_t kHalf = 1 << (kFraction - 1);

uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFraction, 0, 255)); }

// Where a coordinate outside [0, size) reads from, or -1 for nowhere.
int fold(int at, int size, Padding padding) {
  if (at >= 0 && at < size) return at;
  if (padding == Padding::zeros) return -1;
  if (padding == Padding::border || size == 1) return std::clamp(at, 0, size - 1);
  // mirrored around the middle of the edge pixel, again and again
  const int period = 2 * (size - 1);
  const int phase = ((at % period) + period) % period;
  return phase < size ? phase : period - phase;
}

void weigh_row(const uint8_t* row, int first, int count, const int32_t* weight, uint8_t* out) {
  int32_t red = kHalf, green = kHalf, blue = kHalf;
  const uint8_t* pixel = row + static_cast<ptrdiff_t>(first) * kChannels;
  for (int tap = 0; tap < count; tap++, pixel += kChannels) {
    red += pixel[0] * weight[tap];
    green += pixel[1] * weight[tap];
    blue += pixel[2] * weight[tap];
  }
  out[0] = to_byte(red);
  out[1] = to_byte(green);
  out[2] = to_byte(blue);
}

}  // namespace

void Resampler::Weights::fill(double from, double to, int in_size, int out_size) {
  const double step = (to - from) / out_size;
  const double reach = std::max(step, 1.0);
  taps = static_cast<int>(std::ceil(reach)) * 2 + 1;
  first.resize(out_size);
  count.resize(out_size);
  weight.resize(static_cast<size_t>(out_size) * taps);
  std::vector<double> exact(taps);
  for (int at = 0; at < out_size; at++) {
    const double centre = from + (at + 0.5) * step;
    const int begin = std::max(0, static_cast<int>(centre - reach + 0.5));
    const int end = std::min(in_size, static_cast<int>(centre + reach + 0.5));
    double sum = 0;
    for (int i = begin; i < end; i++) {
      exact[i - begin] = std::max(0.0, 1.0 - std::abs((i - centre + 0.5) / reach));
      sum += exact[i - begin];
    }
    first[at] = begin;
    count[at] = end - begin;
    int32_t* fixed = weight.data() + static_cast<size_t>(at) * taps;
    for (int i = 0; i < end - begin; i++) {
      fixed[i] = static_cast<int32_t>((sum == 0 ? 0 : exact[i] / sum) * (1 << kFraction) + 0.5);
    }
  }
}

void Resampler::resize(View from, double left, double top, double right, double bottom, uint8_t* out, Size to) {
  const size_t row_bytes = static_cast<size_t>(to.width) * kChannels;
  const bool same_width = left == 0 && right == to.width && from.size.width == to.width;
  const bool same_height = top == 0 && bottom == to.height && from.size.height == to.height;
  if (!same_height) down_.fill(top, bottom, from.size.height, to.height);
  const int first_row = same_height ? 0 : down_.first.front();
  const int end_row = same_height ? to.height : down_.first.back() + down_.count.back();

  View wide = from;  // right in width already
  if (!same_width) {
    across_.fill(left, right, from.size.width, to.width);
    rows_.resize(row_bytes * (end_row - first_row));
    for (int y = first_row; y < end_row; y++) {
      const uint8_t* row = from.rgb + y * from.stride;
      uint8_t* target = rows_.data() + row_bytes * (y - first_row);
      for (int x = 0; x < to.width; x++) {
        weigh_row(row, across_.first[x], across_.count[x],
                  across_.weight.data() + static_cast<size_t>(x) * across_.taps,
                  target + static_cast<size_t>(x) * kChannels);
      }
    }
    wide = {rows_.data() - static_cast<ptrdiff_t>(row_bytes) * first_row,
            {to.width, from.size.height},
            static_cast<ptrdiff_t>(row_bytes)};
  }

  std::vector<int32_t> sums(row_bytes);
  for (int y = 0; y < to.height; y++, out += row_bytes) {
    if (same_height) {
      std::memcpy(out, wide.rgb + y * wide.stride, row_bytes);
      continue;
    }
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int tap = 0; tap < down_.count[y]; tap++) {
      const uint8_t* row = wide.rgb + (down_.first[y] + tap) * wide.stride;
      const int32_t weight = down_.weight[static_cast<size_t>(y) * down_.taps + tap];
      for (size_t i = 0; i < row_bytes; i++) sums[i] += row[i] * weight;
    }
    for (size_t i = 0; i < row_bytes; i++) out[i] = to_byte(sums[i]);
  }
}

void Resampler::run(View from, Size original, const Request& request, const double* draws, uint8_t* out) {
  for (size_t i = 0; i < request.steps.size(); i++) {
    const Step& step = request.steps[i];
    const Box box = choose_box(step, original, draws);
    if (!box.inside(original) && static_cast<double>(box.size.width) * box.size.height > request.max_pixels * 4) {
      throw std::length_error("with its margin it has more than 4 times the pixels allowed");
    }
    uint8_t* target = out;
    if (i + 1 < request.steps.size()) {
      std::vector<uint8_t>& buffer = between_[i % 2];
      buffer.resize(static_cast<size_t>(step.to.width) * step.to.height * kChannels);
      target = buffer.data();
    }
    fit(from, original, box, step, target);
    from = {target, step.to, static_cast<ptrdiff_t>(step.to.width) * kChannels};
    original = step.to;
    draws += draws_of(step);
  }
}

void Resampler::fit(View from, Size original, Box box, const Step& step, uint8_t* out) {
  if (!box.inside(original)) {
    resize(padded(from, box, step.padding), 0, 0, box.size.width, box.size.height, out, step.to);
    return;
  }
  // The box in the pixels at hand, and the whole pixels around it: nothing from outside may bleed in.
  const double left = box.left * from.scale, right = (box.left + box.size.width) * from.scale;
  const double top = box.top * from.scale, bottom = (box.top + box.size.height) * from.scale;
  const int x = static_cast<int>(left), y = static_cast<int>(top);
  const Size hull{std::min(static_cast<int>(std::ceil(right)), from.size.width) - x,
                  std::min(static_cast<int>(std::ceil(bottom)), from.size.height) - y};
  const View part{from.rgb + y * from.stride + static_cast<ptrdiff_t>(x) * kChannels, hull, from.stride};
  resize(part, left - x, top - y, std::min(right - x, static_cast<double>(hull.width)),
         std::min(bottom - y, static_cast<double>(hull.height)), out, step.to);
}

View Resampler::padded(View from, Box box, Padding padding) {
  const size_t row_bytes = static_cast<size_t>(box.size.width) * kChannels;
  canvas_.assign(row_bytes * box.size.height, 0);
  std::vector<int> columns(box.size.width);
  for (int x = 0; x < box.size.width; x++) columns[x] = fold(box.left + x, from.size.width, padding);
  for (int y = 0; y < box.size.height; y++) {
    const int row = fold(box.top + y, from.size.height, padding);
    if (row < 0) continue;
    const uint8_t* source = from.rgb + row * from.stride;
    uint8_t* target = canvas_.data() + row_bytes * y;
    for (int x = 0; x < box.size.width; x++, target += kChannels) {
      if (columns[x] >= 0) std::memcpy(target, source + static_cast<ptrdiff_t>(columns[x]) * kChannels, kChannels);
    }
  }
  return {canvas_.data(), box.size, static_cast<ptrdiff_t>(row_bytes)};
}

}  // namespace torch_learner::image
