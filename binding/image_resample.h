// Cropping, padding and resizing of RGB pictures, 8 bits a channel, interleaved. Knows nothing of files or of
// JavaScript.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "image_box.h"

namespace torch_learner::image {

// Somebody else's pixels: `stride` bytes from row to row. They may show a picture at a smaller `scale`; its last pixels
// then reach beyond the picture's edge, since sizes are whole.
struct View {
  const uint8_t* rgb = nullptr;
  Size size;
  ptrdiff_t stride = 0;
  double scale = 1;
};

// Makes pictures of one size out of others; keeps its buffers from call to call.
class Resampler {
 public:
  // Fills `out` (height x width x 3) with `box` of a picture of size `original`, which `from` shows whole, perhaps
  // smaller than it is.
  void fit(View from, Size original, Box box, const Step& step, uint8_t* out);

  // All steps of a request, one on the result of the other.
  //
  // @throws std::length_error when a padded part would be out of all proportion
  void run(View from, Size original, const Request& request, const double* draws, uint8_t* out);

  // Fills `out` (height x width x 3) with the part of `from` between `left, top` and `right, bottom`, which must lie
  // inside it and may have fractions. Antialiased bilinear: a triangle as wide as the step between output pixels.
  void resize(View from, double left, double top, double right, double bottom, uint8_t* out, Size to);

  // A copy of `box`, padded where it reaches outside; valid until the next call.
  View padded(View from, Box box, Padding padding);

 private:
  // Which input pixels make one output pixel, and how much of each, in 1/2^22.
  struct Weights {
    int taps = 0;
    std::vector<int> first;
    std::vector<int> count;
    std::vector<int32_t> weight;
    void fill(double from, double to, int in_size, int out_size);
  };

  Weights across_, down_;
  std::vector<uint8_t> rows_;
  std::vector<uint8_t> canvas_;
  std::vector<uint8_t> between_[2];  // the results of steps that aren't the last, in turn
};

}  // namespace torch_learner::image
