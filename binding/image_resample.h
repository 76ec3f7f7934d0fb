// Cropping, padding and resizing of RGB pictures, 8 bits a channel, interleaved. Knows nothing of files or of
// JavaScript.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace torch_learner::image {

struct Size {
  int width = 0;
  int height = 0;
};

// Somebody else's pixels: `stride` bytes from row to row.
struct View {
  const uint8_t* rgb = nullptr;
  Size size;
  ptrdiff_t stride = 0;
};

// The part of a picture that is resized, in its pixels. It may reach outside: those parts are padded.
struct Box {
  int left = 0;
  int top = 0;
  Size size;
};

enum class Method { exact, crop, pad, squish };
enum class Padding { zeros, border, reflection };

// What is wanted of each picture. `max_pixels` bounds what is decoded: a small file may hold a huge picture.
struct Request {
  Size to;
  Method method = Method::exact;
  Padding padding = Padding::reflection;
  double max_pixels = 1e8;
};

// The box that `method` takes from a picture of size `from` to fill `to`. `pct_x`, `pct_y` in [0, 1] place it: .5, .5
// is the middle. Sides and origin are truncated towards zero, as the reference does.
Box choose_box(Method method, Size from, Size to, double pct_x, double pct_y);

// Makes pictures of one size out of others; keeps its buffers from call to call.
class Resampler {
 public:
  // Fills `out` (height x width x 3) with `box` of a picture of size `original`, which `from` shows whole, perhaps
  // smaller than it is.
  void fit(View from, Size original, Box box, const Request& request, uint8_t* out);

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
};

}  // namespace torch_learner::image
