// BMP, and DIB, which is the same without the header of a file: all depths, palettes, bit masks, and run lengths.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "codec.h"

namespace torch_learner::image {

namespace {

constexpr size_t kFileHeader = 14;
enum Compression : uint32_t { kNone = 0, kRuns8 = 1, kRuns4 = 2, kMasks = 3, kMasksWithAlpha = 6 };

DecodeError damaged(const char* reason) {
  return {Problem::damaged, std::string("the BMP is damaged or cut off: ") + reason};
}

// A channel of a pixel of 16 or 32 bits.
struct Mask {
  uint32_t bits = 0;
  uint8_t of(uint32_t pixel) const {
    if (bits == 0) return 0;
    const int shift = std::countr_zero(bits);
    const uint32_t most = bits >> shift, value = (pixel & bits) >> shift;
    return static_cast<uint8_t>(uint64_t{value} * 255 / most);
  }
};

class Bmp : public Codec {
 public:
  bool knows(Bytes file) const override {
    if (file.size() < kFileHeader + 12) return false;
    if (file[0] != 'B' || file[1] != 'M') return is_bare(file);
    const uint32_t length = read<uint32_t>(file, kFileHeader);
    return length == 12 || (length >= 16 && length <= 124);
  }

  Size open(Bytes file) override {
    file_ = file;
    start_ = file[0] == 'B' && file[1] == 'M' ? kFileHeader : 0;
    const size_t header = read<uint32_t>(start_);
    if (file.size() < start_ + header) throw damaged("it ends in its header");
    const bool is_old = header == 12;
    int64_t width, height;
    if (is_old) {
      width = read<uint16_t>(start_ + 4);
      height = read<uint16_t>(start_ + 6);
    } else {
      width = read<int32_t>(start_ + 4);
      height = read<int32_t>(start_ + 8);
    }
    is_top_down_ = height < 0;
    height = is_top_down_ ? -height : height;
    if (width < 1 || height < 1 || height > INT32_MAX) throw damaged("its size is 0 or less");
    size_ = {static_cast<int>(width), static_cast<int>(height)};
    depth_ = read<uint16_t>(start_ + (is_old ? 10 : 14));
    compression_ = header >= 20 ? static_cast<Compression>(read<uint32_t>(start_ + 16)) : kNone;
    const bool has_masks = (compression_ == kMasks || compression_ == kMasksWithAlpha) && depth_ >= 16;
    const bool is_known = depth_ == 1 || depth_ == 4 || depth_ == 8 || depth_ == 16 || depth_ == 24 || depth_ == 32;
    if (!is_known || !(compression_ == kNone || has_runs() || has_masks)) {
      throw DecodeError(Problem::unsupported, "it is a BMP of " + std::to_string(depth_) + " bits and compression " +
                                                  std::to_string(compression_) + ", which isn't read here");
    }
    // masks may be part of the header or follow it, then come the colours, then the pixels
    const size_t masks = has_masks && header == 40 ? (compression_ == kMasks ? 12 : 16) : 0;
    const size_t stated = header >= 36 ? read<uint32_t>(start_ + 32) : 0;
    const size_t colours = stated == 0 ? size_t{1} << std::min(depth_, 8) : stated;
    const size_t colour_bytes = is_old ? 3 : 4, palette = start_ + header + masks;
    pixels_ = start_ > 0 ? read<uint32_t>(10) : palette + (depth_ <= 8 ? colours * colour_bytes : 0);
    if (pixels_ > file.size()) throw damaged("its pixels are missing");
    stride_ = (static_cast<size_t>(width) * depth_ + 31) / 32 * 4;
    if (depth_ <= 8) read_palette(palette, colours, colour_bytes);
    if (depth_ == 16 || depth_ == 32) read_masks(has_masks);
    return size_;
  }

  Size start(double& scale) override {
    scale = 1;
    next_ = 0;
    // Run lengths may leave out pixels, but not without a byte a row.
    const double last = std::ceil(static_cast<double>(size_.width) * depth_ / 8);  // without what fills up its row
    const double plain = static_cast<double>(stride_) * (size_.height - 1) + last;
    const double least = has_runs() ? static_cast<double>(size_.height) : plain;
    if (least > static_cast<double>(file_.size() - pixels_)) throw damaged("its bytes are too few for its size");
    if (has_runs()) unroll();
    return size_;
  }

  void row(uint8_t* rgb) override {
    const int y = is_top_down_ ? next_ : size_.height - 1 - next_;
    next_++;
    const size_t width = static_cast<size_t>(size_.width);
    if (!indices_.empty()) return look_up(indices_.data() + width * y, 8, rgb);
    const uint8_t* row = file_.data() + pixels_ + stride_ * y;
    if (depth_ <= 8) return look_up(row, depth_, rgb);
    for (size_t x = 0; x < width; x++, rgb += 3) {
      if (depth_ == 24) {
        rgb[0] = row[3 * x + 2], rgb[1] = row[3 * x + 1], rgb[2] = row[3 * x];
        continue;
      }
      uint32_t pixel = 0;
      std::memcpy(&pixel, row + x * depth_ / 8, depth_ / 8);
      for (int c = 0; c < 3; c++) rgb[c] = masks_[c].of(pixel);
    }
  }

  void close() noexcept override {
    give_back(indices_);
    indices_.clear();
  }

 private:
  // Without a file's header there is no mark: the numbers must make sense.
  static bool is_bare(Bytes file) {
    const uint32_t length = read<uint32_t>(file, 0);
    for (const uint32_t known : {12, 40, 52, 56, 64, 108, 124}) {
      if (length == known) return read<uint16_t>(file, length == 12 ? 8 : 12) == 1;
    }
    return false;
  }

  bool has_runs() const { return (compression_ == kRuns8 && depth_ == 8) || (compression_ == kRuns4 && depth_ == 4); }

  template <typename T>
  static T read(Bytes file, size_t at) {
    T value;
    if (at + sizeof value > file.size()) throw damaged("it ends in its header");
    std::memcpy(&value, file.data() + at, sizeof value);
    return value;
  }
  template <typename T>
  T read(size_t at) const {
    return read<T>(file_, at);
  }

  void read_palette(size_t start, size_t colours, size_t bytes) {
    const size_t room = pixels_ > start ? (pixels_ - start) / bytes : 0;
    colours = std::min({colours, room, size_t{256}});
    std::memset(palette_, 0, sizeof palette_);
    for (size_t i = 0; i < colours; i++) {
      for (size_t c = 0; c < 3; c++) palette_[i][c] = file_[start + i * bytes + 2 - c];
    }
  }

  void read_masks(bool are_given) {
    if (are_given) {
      for (int c = 0; c < 3; c++) masks_[c].bits = read<uint32_t>(start_ + 40 + 4 * c);
    } else if (depth_ == 16) {
      masks_[0].bits = 0x7c00, masks_[1].bits = 0x3e0, masks_[2].bits = 0x1f;
    } else {
      masks_[0].bits = 0xff0000, masks_[1].bits = 0xff00, masks_[2].bits = 0xff;
    }
  }

  void look_up(const uint8_t* row, int depth, uint8_t* rgb) const {
    for (int x = 0; x < size_.width; x++, rgb += 3) {
      const int bit = x * depth;
      const int index = (row[bit >> 3] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
      std::memcpy(rgb, palette_[index], 3);
    }
  }

  // Run lengths to a byte a pixel.
  void unroll() {
    const int64_t width = size_.width, height = size_.height;
    indices_.assign(static_cast<size_t>(width * height), 0);
    const bool is_half = compression_ == kRuns4;
    size_t at = pixels_;
    int64_t x = 0, y = 0;
    const auto put = [&](uint8_t index) {
      if (x < width && y < height) indices_[static_cast<size_t>(y * width + x)] = index;
      x++;
    };
    while (y < height) {
      if (at + 2 > file_.size()) throw damaged("premature end of the file");
      const int count = file_[at], value = file_[at + 1];
      at += 2;
      if (count > 0) {
        for (int i = 0; i < count; i++) put(static_cast<uint8_t>(is_half ? value >> (i % 2 ? 0 : 4) & 15 : value));
      } else if (value == 0) {
        x = 0, y++;
      } else if (value == 1) {
        return;
      } else if (value == 2) {
        if (at + 2 > file_.size()) throw damaged("premature end of the file");
        x += file_[at], y += file_[at + 1];
        at += 2;
      } else {
        const size_t bytes = is_half ? (value + 1) / 2 : value;
        if (at + bytes > file_.size()) throw damaged("premature end of the file");
        for (int i = 0; i < value; i++) {
          put(static_cast<uint8_t>(is_half ? file_[at + i / 2] >> (i % 2 ? 0 : 4) & 15 : file_[at + i]));
        }
        at += bytes + bytes % 2;
      }
    }
  }

  Bytes file_;
  size_t start_ = 0;  // of the header
  Size size_;
  bool is_top_down_ = false;
  int depth_ = 0;
  Compression compression_ = kNone;
  size_t pixels_ = 0;  // where they start
  size_t stride_ = 0;
  uint8_t palette_[256][3] = {};
  Mask masks_[3];
  int next_ = 0;
  std::vector<uint8_t> indices_;
};

}  // namespace

std::unique_ptr<Codec> make_bmp() { return std::make_unique<Bmp>(); }

}  // namespace torch_learner::image
