#include "resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "kernels.h"

namespace torch_learner::image {

namespace {

constexpr int kChannels = 3;

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

}  // namespace

void Resampler::Weights::fill(double from_, double to_, int in_size_, int out_size_) {
  // pictures of one size come in rows
  if (from == from_ && to == to_ && in_size == in_size_ && out_size == out_size_) return;
  from = from_, to = to_, in_size = in_size_, out_size = out_size_;
  const double step = (to - from) / out_size;
  const double reach = std::max(step, 1.0);
  stride = whole_groups(static_cast<int>(std::ceil(reach)) * 2 + 1);
  first.resize(out_size);
  count.resize(out_size);
  weight.assign(static_cast<size_t>(out_size) * stride, 0);
  std::vector<double> exact(stride);
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
    int32_t* fixed = weight.data() + static_cast<size_t>(at) * stride;
    for (int i = 0; i < end - begin; i++) {
      fixed[i] = static_cast<int32_t>((sum == 0 ? 0 : exact[i] / sum) * (1 << kFraction) + 0.5);
    }
  }
  alive = 1;
  for (int at = 0, next = 0; at < out_size; at++) {
    while (next < out_size && first[next] < first[at] + count[at]) next++;
    alive = std::max(alive, next - at);
  }
}

void Resampler::begin_part(Size hull, double left, double top, double right, double bottom, uint8_t* out, Size to) {
  across_.fill(left, right, hull.width, to.width);
  down_.fill(top, bottom, hull.height, to.height);
  const size_t row_bytes = static_cast<size_t>(to.width) * kChannels;
  if (!across_.whole()) row_.resize(row_bytes + kSlack);
  if (!down_.whole()) sums_.resize(row_bytes * down_.alive);
  out_ = out;
  to_ = to;
  row_at_ = down_.first.front();
  started_ = finished_ = 0;
}

// Adds a row of the hull to each output row that it belongs to.
void Resampler::push(const uint8_t* row) {
  const size_t row_bytes = static_cast<size_t>(to_.width) * kChannels;
  row += static_cast<ptrdiff_t>(left_) * kChannels;
  if (!across_.whole()) {
    weigh_across(row, to_.width, across_.first.data(), across_.count.data(), across_.weight.data(), across_.stride,
                 row_.data());
    row = row_.data();
  }
  const int at = row_at_++;
  if (down_.whole()) {
    std::memcpy(out_ + row_bytes * at, row, row_bytes);
    return;
  }
  const auto sums = [&](int y) { return sums_.data() + row_bytes * (y % down_.alive); };
  const auto weight = [&](int y) { return down_.weight[static_cast<size_t>(y) * down_.stride + at - down_.first[y]]; };
  for (int y = finished_; y < started_; y++) add_to_sums(sums(y), row, weight(y), row_bytes);
  for (; started_ < to_.height && down_.first[started_] == at; started_++) {
    start_sums(sums(started_), row, weight(started_), row_bytes);
  }
  for (; finished_ < started_ && down_.first[finished_] + down_.count[finished_] == at + 1; finished_++) {
    finish_sums(sums(finished_), out_ + row_bytes * finished_, row_bytes);
  }
}

// All the rows that are needed. Nothing may be read behind the last pixel: the last rows, several where they are short,
// are copied to where there is room behind them.
void Resampler::feed(View rows) {
  const size_t row_bytes = static_cast<size_t>(rows.size.width) * kChannels;
  const int end = end_row();
  for (int y = first_row(); y < end; y++) {
    const uint8_t* row = rows.rgb + y * rows.stride;
    if (static_cast<size_t>(rows.size.height - 1 - y) * rows.stride < kSlack) {
      last_.resize(row_bytes + kSlack);
      std::memcpy(last_.data(), row, row_bytes);
      row = last_.data();
    }
    push(row);
  }
}

void Resampler::resize(View from, double left, double top, double right, double bottom, uint8_t* out, Size to) {
  left_ = top_ = 0;
  begin_part(from.size, left, top, right, bottom, out, to);
  feed(from);
}

void Resampler::begin_box(Size from, double scale, Box box, uint8_t* out, Size to) {
  // The box in the pixels at hand, and the whole pixels around it: nothing from outside may bleed in.
  const double left = box.left * scale, right = (box.left + box.size.width) * scale;
  const double top = box.top * scale, bottom = (box.top + box.size.height) * scale;
  left_ = static_cast<int>(left);
  top_ = static_cast<int>(top);
  const Size hull{std::min(static_cast<int>(std::ceil(right)), from.width) - left_,
                  std::min(static_cast<int>(std::ceil(bottom)), from.height) - top_};
  begin_part(hull, left - left_, top - top_, std::min(right - left_, static_cast<double>(hull.width)),
             std::min(bottom - top_, static_cast<double>(hull.height)), out, to);
}

void Resampler::begin(Size from, double scale, Box box, const Request& request, uint8_t* out) {
  begin_box(from, scale, box, target(request, 0, out), request.steps.front().to);
}

void Resampler::finish(const Request& request, const double* draws, uint8_t* out) {
  const Step& step = request.steps.front();
  const View view{target(request, 0, out), step.to, static_cast<ptrdiff_t>(step.to.width) * kChannels};
  run_from(1, view, step.to, request, draws + draws_of(step), out);
}

void Resampler::run(View from, Size original, const Request& request, const double* draws, uint8_t* out) {
  run_from(0, from, original, request, draws, out);
}

uint8_t* Resampler::target(const Request& request, size_t i, uint8_t* out) {
  if (i + 1 == request.steps.size()) return out;
  const Size size = request.steps[i].to;
  std::vector<uint8_t>& buffer = between_[i % 2];
  buffer.resize(static_cast<size_t>(size.width) * size.height * kChannels);
  return buffer.data();
}

void Resampler::run_from(size_t first, View from, Size original, const Request& request, const double* draws,
                         uint8_t* out) {
  for (size_t i = first; i < request.steps.size(); i++) {
    const Step& step = request.steps[i];
    const Box box = choose_box(step, original, draws);
    if (!box.inside(original) && static_cast<double>(box.size.width) * box.size.height > request.max_pixels * 4) {
      throw std::length_error("with its margin it has more than 4 times the pixels allowed");
    }
    uint8_t* const result = target(request, i, out);
    fit(from, original, box, step, result);
    from = {result, step.to, static_cast<ptrdiff_t>(step.to.width) * kChannels};
    original = step.to;
    draws += draws_of(step);
  }
}

void Resampler::fit(View from, Size original, Box box, const Step& step, uint8_t* out) {
  if (!box.inside(original)) {
    resize(padded(from, box, step.padding), 0, 0, box.size.width, box.size.height, out, step.to);
    return;
  }
  begin_box(from.size, from.scale, box, out, step.to);
  feed(from);
}

void Resampler::trim() {
  for (auto* buffer : {&canvas_, &row_, &last_, &between_[0], &between_[1]}) give_back(*buffer);
  give_back(sums_);
  if (across_.weight.capacity() > kKept) across_ = {};
  if (down_.weight.capacity() > kKept) down_ = {};
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
