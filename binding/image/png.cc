// PNG by libspng.
#ifdef TORCH_LEARNER_HAVE_SPNG

#include <spng.h>

#include <cstring>
#include <vector>

#include "codec.h"
#include "kernels.h"
#include "orientation.h"

namespace torch_learner::image {

namespace {

constexpr size_t kSignature = 8;
// A chunk without its data: length, type, checksum.
constexpr size_t kFrame = 12;
// What deflate makes of one byte at the most.
constexpr double kMostInflation = 1032;

struct Closer {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};

DecodeError damaged(const std::string& reason) {
  return {Problem::damaged, "the PNG is damaged or cut off: " + reason};
}

void check(int status) {
  if (status == SPNG_OK) return;
  if (status == SPNG_EMEM) throw std::bad_alloc();
  throw damaged(spng_strerror(status));
}

size_t big_endian(const uint8_t* bytes) {
  return size_t{bytes[0]} << 24 | size_t{bytes[1]} << 16 | size_t{bytes[2]} << 8 | bytes[3];
}

class Png : public Codec {
 public:
  bool knows(Bytes file) const override {
    constexpr uint8_t kMagic[kSignature] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    return file.size() >= kSignature && std::memcmp(file.data(), kMagic, kSignature) == 0;
  }

  Size open(Bytes file) override {
    file = leave_essentials(file);
    length_ = file.size();
    png_.reset(spng_ctx_new(0));
    if (!png_) throw std::bad_alloc();
    check(spng_set_png_buffer(png_.get(), file.data(), file.size()));
    check(spng_get_ihdr(png_.get(), &header_));
    return {static_cast<int>(header_.width), static_cast<int>(header_.height)};
  }

  int orientation() const override { return orientation_; }

  Size start(double& scale) override {
    scale = 1;
    const size_t width = header_.width, height = header_.height;
    const int channels[] = {1, 0, 3, 1, 2, 0, 4};
    const double bits = static_cast<double>(channels[header_.color_type]) * header_.bit_depth;
    const double bytes = header_.height * (1 + header_.width * bits / 8);
    if (bytes > kMostInflation * static_cast<double>(length_)) throw damaged("its bytes are too few for its size");
    // The reference takes 16 bits of grey as they are, and what passes 255 for white; of 16 bits of colour it takes the
    // upper ones, as does the codec.
    is_deep_grey_ = header_.color_type == SPNG_COLOR_TYPE_GRAYSCALE && header_.bit_depth == 16;
    row_bytes_ = width * (is_deep_grey_ ? 2 : 3);
    const int format = is_deep_grey_ ? SPNG_FMT_RAW : SPNG_FMT_RGB8;
    next_ = 0;
    if (header_.interlace_method == SPNG_INTERLACE_NONE) {
      check(spng_decode_image(png_.get(), nullptr, 0, format, SPNG_DECODE_PROGRESSIVE));
      row_.resize(is_deep_grey_ ? row_bytes_ : 0);
    } else {
      whole_.resize(row_bytes_ * height);
      check(spng_decode_image(png_.get(), whole_.data(), whole_.size(), format, 0));
    }
    return {static_cast<int>(width), static_cast<int>(height)};
  }

  void row(uint8_t* rgb) override {
    if (!whole_.empty()) {
      const uint8_t* row = whole_.data() + row_bytes_ * next_++;
      if (is_deep_grey_) {
        spread(row, rgb);
      } else {
        std::memcpy(rgb, row, row_bytes_);
      }
      return;
    }
    next_++;
    const int status = spng_decode_row(png_.get(), is_deep_grey_ ? row_.data() : rgb, row_bytes_);
    if (status != SPNG_EOI) check(status);
    if (is_deep_grey_) spread(row_.data(), rgb);
  }

  void finish() override {
    // Rows that nobody wants tell whether the file is whole; its last chunk tells sooner.
    if (has_end_) return;
    std::vector<uint8_t> unwanted(size_t{header_.width} * 3 + kSlack);
    while (next_ < header_.height) row(unwanted.data());
  }

  void close() noexcept override {
    png_.reset();
    give_back(whole_);
    whole_.clear();
  }

 private:
  // Moves together the chunks that make the pixels. The others (texts, colour profiles, other frames) may be damaged or
  // inflate without end for all we care.
  Bytes leave_essentials(Bytes file) {
    uint8_t* const bytes = file.data();
    size_t from = kSignature, to = kSignature;
    has_end_ = false;
    orientation_ = 1;
    while (!has_end_ && from + kFrame <= file.size()) {
      const size_t length = big_endian(bytes + from) + kFrame;
      if (length > file.size() - from) break;
      const uint8_t* type = bytes + from + 4;
      const bool is_essential = (type[0] & 0x20) == 0;
      has_end_ = std::memcmp(type, "IEND", 4) == 0;
      if (std::memcmp(type, "eXIf", 4) == 0) orientation_ = exif_orientation(file.subspan(from + 8, length - kFrame));
      if (is_essential) {
        if (to < from) std::memmove(bytes + to, bytes + from, length);
        to += length;
      }
      from += length;
    }
    if (has_end_) return file.first(to);
    // what is left of the chunk in which the file ends
    std::memmove(bytes + to, bytes + from, file.size() - from);
    return file.first(to + file.size() - from);
  }

  void spread(const uint8_t* deep, uint8_t* rgb) const {
    for (size_t x = 0; x < header_.width; x++, deep += 2, rgb += 3) {
      rgb[0] = rgb[1] = rgb[2] = deep[0] != 0 ? 255 : deep[1];
    }
  }

  std::unique_ptr<spng_ctx, Closer> png_;
  spng_ihdr header_{};
  size_t length_ = 0;
  bool has_end_ = false;
  int orientation_ = 1;
  bool is_deep_grey_ = false;
  size_t row_bytes_ = 0;
  size_t next_ = 0;
  std::vector<uint8_t> row_;
  std::vector<uint8_t> whole_;  // of an interlaced picture
};

}  // namespace

std::unique_ptr<Codec> make_png() { return std::make_unique<Png>(); }

}  // namespace torch_learner::image

#endif
