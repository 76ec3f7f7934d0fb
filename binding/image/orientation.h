// Which way up a picture is, by the tag that cameras write. Knows nothing of files or of JavaScript.
#pragma once

#include <cstdint>
#include <span>

#include "box.h"

namespace torch_learner::image {

// The orientation, from 1 (as it is stored) to 8, that EXIF data tell; 1 where they are damaged or say nothing.
int exif_orientation(std::span<const uint8_t> exif);

// The size of a picture that has been turned upright.
Size upright(Size size, int orientation);

// Where the pixels of the stored row `y` go in the upright picture: the first one's place, and the way from each to the
// next, in pixels.
struct Course {
  ptrdiff_t first, step;
};
Course course_of(int y, Size stored, int orientation);

}  // namespace torch_learner::image
