#include "orientation.h"

#include <cstring>

namespace torch_learner::image {

namespace {

constexpr uint16_t kOrientation = 0x112, kShort = 3;

// TIFF's structure: numbers of either byte order; behind the end everything is 0.
struct Reader {
  std::span<const uint8_t> bytes;
  bool is_big;

  uint32_t read(size_t at, size_t count) const {
    uint32_t value = 0;
    if (at > bytes.size() || count > bytes.size() - at) return 0;
    for (size_t i = 0; i < count; i++) value |= uint32_t{bytes[at + i]} << 8 * (is_big ? count - 1 - i : i);
    return value;
  }
};

}  // namespace

int exif_orientation(std::span<const uint8_t> exif) {
  constexpr char kPrefix[] = {'E', 'x', 'i', 'f', 0, 0};
  if (exif.size() >= sizeof kPrefix && std::memcmp(exif.data(), kPrefix, sizeof kPrefix) == 0) {
    exif = exif.subspan(sizeof kPrefix);
  }
  if (exif.size() < 8 || exif[0] != exif[1] || (exif[0] != 'I' && exif[0] != 'M')) return 1;
  const Reader reader{exif, exif[0] == 'M'};
  if (reader.read(2, 2) != 42) return 1;
  const size_t start = reader.read(4, 4), entries = reader.read(start, 2);
  for (size_t i = 0; i < entries; i++) {
    const size_t entry = start + 2 + 12 * i;
    if (reader.read(entry, 2) != kOrientation) continue;
    const uint32_t value = reader.read(entry + 2, 2) == kShort ? reader.read(entry + 8, 2) : 1;
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Size upright(Size size, int orientation) { return orientation >= 5 ? Size{size.height, size.width} : size; }

Course course_of(int y, Size stored, int orientation) {
  const ptrdiff_t width = stored.width, height = stored.height;
  switch (orientation) {
    case 2:  // mirrored
      return {y * width + width - 1, -1};
    case 3:  // upside down
      return {(height - 1 - y) * width + width - 1, -1};
    case 4:  // upside down and mirrored
      return {(height - 1 - y) * width, 1};
    case 5:  // lying on its left side, mirrored
      return {y, height};
    case 6:  // lying on its left side
      return {height - 1 - y, height};
    case 7:  // lying on its right side, mirrored
      return {(width - 1) * height + height - 1 - y, -height};
    case 8:  // lying on its right side
      return {(width - 1) * height + y, -height};
    default:
      return {y * width, 1};
  }
}

}  // namespace torch_learner::image
