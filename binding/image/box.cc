#include "box.h"

#include <algorithm>
#include <cmath>

namespace torch_learner::image {

namespace {

// A whole number from `low` to `high`, both included.
int whole(double draw, int low, int high) {
  return std::min(high, low + static_cast<int>(draw * (static_cast<double>(high) - low + 1)));
}

// The origin of `size` pixels in `from`: anywhere inside, or where there are too few, anywhere around them.
int origin(int from, int size, bool random, double draw) {
  const int room = from - size;
  if (!random) return room >= 0 ? room / 2 : -((1 - room) / 2);
  return room < 0 ? whole(draw, room, -1) : whole(draw, 0, room);
}

Box in_shape(const Step& step, Size from, const double* draws) {
  const double across = static_cast<double>(from.width) / step.to.width;
  const double down = static_cast<double>(from.height) / step.to.height;
  const double ratio = step.method == Method::crop ? std::min(across, down) : std::max(across, down);
  // At least one pixel: a 1000 x 1 strip has a crop too.
  const Size size{std::max(1, static_cast<int>(ratio * step.to.width)),
                  std::max(1, static_cast<int>(ratio * step.to.height))};
  const double x = step.random ? draws[0] : 0.5, y = step.random ? draws[1] : 0.5;
  return {static_cast<int>(x * (from.width - size.width)), static_cast<int>(y * (from.height - size.height)), size};
}

Box by_area(const Step& step, Size from, const double* draws) {
  const double widest = step.max_ratio / step.min_ratio;
  const double pixels = static_cast<double>(from.width) * from.height;
  const double* place = draws + 2 * kTries;
  for (int attempt = 0; attempt < kTries; attempt++, draws += 2) {
    const double area = (step.min_area + (step.max_area - step.min_area) * draws[0]) * pixels;
    const double ratio = step.min_ratio * std::pow(widest, draws[1]);  // uniform in its logarithm
    const double width = std::max(1.0, std::nearbyint(std::sqrt(area * ratio)));
    const double height = std::max(1.0, std::nearbyint(std::sqrt(area / ratio)));
    if (width > from.width || height > from.height) continue;
    const Size size{static_cast<int>(width), static_cast<int>(height)};
    return {whole(place[0], 0, from.width - size.width), whole(place[1], 0, from.height - size.height), size};
  }
  Size size = from;
  const double shape = static_cast<double>(from.width) / from.height;
  if (shape < step.min_ratio) size.height = std::max(1, static_cast<int>(from.width / step.min_ratio));
  if (shape > step.max_ratio) size.width = std::max(1, static_cast<int>(from.height * step.max_ratio));
  return {(from.width - size.width) / 2, (from.height - size.height) / 2, size};
}

}  // namespace

size_t draws_of(const Step& step) {
  if (step.method == Method::area) return 2 * kTries + 2;
  return step.random ? 2 : 0;
}

size_t Request::draws() const {
  size_t count = 0;
  for (const Step& step : steps) count += draws_of(step);
  return count;
}

Box choose_box(const Step& step, Size from, const double* draws) {
  switch (step.method) {
    case Method::crop:
    case Method::pad:
      return in_shape(step, from, draws);
    case Method::area:
      return by_area(step, from, draws);
    case Method::cut:
      return {origin(from.width, step.to.width, step.random, step.random ? draws[0] : 0),
              origin(from.height, step.to.height, step.random, step.random ? draws[1] : 0), step.to};
    default:
      return {0, 0, from};
  }
}

}  // namespace torch_learner::image
