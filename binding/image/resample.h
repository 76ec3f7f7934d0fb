// Cropping, padding and resizing of RGB pictures, 8 bits a channel, interleaved. Knows nothing of files or of
// JavaScript.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "box.h"

namespace torch_learner::image {

// Buffers up to this size (in elements) are kept from picture to picture: what a large picture took and a small one
// doesn't need is given back. Where memory is checked none is, so that each is as long as it must be and no longer.
#ifdef TORCH_LEARNER_CHECKED
constexpr size_t kKept = 0;
#else
constexpr size_t kKept = size_t{1} << 22;
#endif

template <typename T>
void give_back(std::vector<T>& buffer) {
  if (buffer.capacity() > kKept) std::vector<T>().swap(buffer);
}

// Somebody else's pixels: `stride` bytes from row to row. They may show a picture at a smaller `scale`; its last pixels
// then reach beyond the picture's edge, since sizes are whole.
struct View {
  const uint8_t* rgb = nullptr;
  Size size;
  ptrdiff_t stride = 0;
  double scale = 1;
};

// Makes pictures of one size out of others; keeps its buffers from call to call. Antialiased bilinear: a triangle as
// wide as the step between output pixels.
class Resampler {
 public:
  // All steps of a request, one on the result of the other, from a picture of size `original` to `out` (height x width
  // x 3). `from` shows it whole, perhaps smaller than it is.
  //
  // @throws std::length_error when a padded part would be out of all proportion
  void run(View from, Size original, const Request& request, const double* draws, uint8_t* out);

  // The first step of a request for a picture that comes row by row, `from` in size: every row from first_row() to
  // before end_row() goes to push(), in order; then finish() does the other steps. Not for a box that reaches outside.
  // Rows must be readable kSlack bytes beyond their end.
  void begin(Size from, double scale, Box box, const Request& request, uint8_t* out);
  int first_row() const { return top_ + down_.first.front(); }
  int end_row() const { return top_ + down_.first.back() + down_.count.back(); }
  void push(const uint8_t* row);
  void finish(const Request& request, const double* draws, uint8_t* out);

  // Fills `out` (height x width x 3) with the part of `from` between `left, top` and `right, bottom`, which must lie
  // inside it and may have fractions.
  void resize(View from, double left, double top, double right, double bottom, uint8_t* out, Size to);

  // A copy of `box`, padded where it reaches outside; valid until the next call.
  View padded(View from, Box box, Padding padding);

  // Gives back what a large picture has left behind.
  void trim();

 private:
  // Which input pixels make one output pixel, and how much of each, in 1/2^22.
  struct Weights {
    double from = 0, to = 0;
    int in_size = 0, out_size = 0;
    int stride = 0;
    int alive = 0;  // output pixels that one input pixel belongs to
    std::vector<int> first;
    std::vector<int> count;
    std::vector<int32_t> weight;
    bool whole() const { return from == 0 && to == in_size && in_size == out_size; }
    void fill(double from, double to, int in_size, int out_size);
  };

  void fit(View from, Size original, Box box, const Step& step, uint8_t* out);
  // Where the result of step `i` goes.
  uint8_t* target(const Request& request, size_t i, uint8_t* out);
  void run_from(size_t first, View from, Size original, const Request& request, const double* draws, uint8_t* out);
  void begin_box(Size from, double scale, Box box, uint8_t* out, Size to);
  void begin_part(Size hull, double left, double top, double right, double bottom, uint8_t* out, Size to);
  void feed(View rows);

  Weights across_, down_;
  std::vector<uint8_t> row_;   // one row, right in width
  std::vector<int32_t> sums_;  // of the output rows that are under way
  std::vector<uint8_t> last_;  // a row with room behind it
  std::vector<uint8_t> canvas_;
  std::vector<uint8_t> between_[2];  // the results of steps that aren't the last, in turn
  // of the picture under way
  uint8_t* out_ = nullptr;
  Size to_;
  int left_ = 0, top_ = 0;          // where the hull starts
  int row_at_ = 0;                  // the next input row, in the hull
  int started_ = 0, finished_ = 0;  // output rows
};

}  // namespace torch_learner::image
