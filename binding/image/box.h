// Which part of a picture is taken. Geometry only: knows nothing of pixels, files or JavaScript.
#pragma once

#include <cstddef>
#include <vector>

namespace torch_learner::image {

struct Size {
  int width = 0;
  int height = 0;
};

// The part of a picture that is resized, in its pixels. It may reach outside: those parts are padded.
struct Box {
  int left = 0;
  int top = 0;
  Size size;

  bool inside(Size picture) const {
    return left >= 0 && top >= 0 && left + size.width <= picture.width && top + size.height <= picture.height;
  }
};

enum class Method {
  exact,   // the picture as it is; another size is an error
  crop,    // the largest part of the wanted shape
  pad,     // the smallest surroundings of the wanted shape
  squish,  // the whole picture, out of shape
  cut,     // as many pixels as wanted, unscaled; what is missing is padded
  area,    // a random share of the area, of a random shape (Inception's crop)
};
enum class Padding { zeros, border, reflection };

// One part taken and resized to `to`.
struct Step {
  Method method = Method::exact;
  Size to;
  Padding padding = Padding::reflection;
  bool random = false;                  // placed by draws; otherwise in the middle
  double min_area = 1, max_area = 1;    // area: shares of the picture's
  double min_ratio = 1, max_ratio = 1;  // area: width / height
};

// What is wanted of each picture: step after step. `max_pixels` bounds what is decoded, since a small file may hold a
// huge picture.
struct Request {
  std::vector<Step> steps;
  double max_pixels = 1e8;
  bool upright = false;  // turned as an orientation tag says, before the steps

  Size to() const { return steps.back().to; }
  size_t draws() const;  // how many numbers a picture needs
};

// How often `area` tries to find a part that fits into the picture.
constexpr int kTries = 10;

// How many numbers in [0, 1) the step takes for a picture: none, or across and down; for `area` share and shape of
// each try before them.
size_t draws_of(const Step& step);

// The box that a step takes from a picture of size `from`. Sides and origin are truncated towards zero (crop, pad),
// rounded half to even (area) or rounded down (the middle of cut), as the reference does.
Box choose_box(const Step& step, Size from, const double* draws);

}  // namespace torch_learner::image
