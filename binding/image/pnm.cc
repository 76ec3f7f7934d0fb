// PBM, PGM and PPM: bits, grey or colour, as bytes or as decimal numbers. Deep and odd ranges as in Pillow.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "codec.h"

namespace torch_learner::image {

namespace {

constexpr size_t kMostDigits = 10;

DecodeError damaged(const std::string& reason) {
  return {Problem::damaged, "the PNM file is damaged or cut off: " + reason};
}
DecodeError cut_off() { return damaged("premature end of the file"); }

bool is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

class Pnm : public Codec {
 public:
  bool knows(Bytes file) const override {
    return file.size() >= 3 && file[0] == 'P' && file[1] >= '1' && file[1] <= '6' && is_space(file[2]);
  }

  Size open(Bytes file) override {
    file_ = file;
    at_ = 2;
    const int kind = file[1] - '0';
    is_text_ = kind <= 3;
    is_bits_ = kind == 1 || kind == 4;
    channels_ = kind == 3 || kind == 6 ? 3 : 1;
    const int64_t width = number(), height = number();
    if (width < 1 || height < 1 || width > std::numeric_limits<int>::max() ||
        height > std::numeric_limits<int>::max()) {
      throw damaged("its size is 0 or too large");
    }
    size_ = {static_cast<int>(width), static_cast<int>(height)};
    const int64_t most = is_bits_ ? 1 : number();
    if (most < 1 || most > 65535) throw damaged("its largest value isn't from 1 to 65535");
    most_ = static_cast<int>(most);
    return size_;
  }

  Size start(double& scale) override {
    scale = 1;
    next_ = 0;
    const double values = static_cast<double>(size_.width) * size_.height * channels_;
    const size_t row = static_cast<size_t>(size_.width) * channels_;
    stride_ = is_bits_ ? (row + 7) / 8 : row * (most_ > 255 ? 2 : 1);
    const double text = is_bits_ ? values : 2 * values - 1;  // spaces between
    const double least = is_text_ ? text : static_cast<double>(stride_) * size_.height;
    if (least > static_cast<double>(file_.size() - at_)) throw damaged("its bytes are too few for its size");
    return size_;
  }

  void row(uint8_t* rgb) override {
    const size_t count = static_cast<size_t>(size_.width) * channels_;
    const uint8_t* bytes = file_.data() + at_ + (is_text_ ? 0 : stride_ * next_);
    next_++;
    for (size_t i = 0; i < count; i++) {
      const uint8_t level = is_bits_ ? (bit(bytes, i) ? 0 : 255) : level_of(is_text_ ? written() : stored(bytes, i));
      if (channels_ == 3) {
        rgb[i] = level;
      } else {
        std::memset(rgb + 3 * i, level, 3);
      }
    }
  }

  // Numbers that nobody wants may be missing or wrong.
  void finish() override {
    if (!is_text_) return;
    const size_t count = static_cast<size_t>(size_.width) * channels_;
    for (; next_ < static_cast<size_t>(size_.height); next_++) {
      for (size_t i = 0; i < count; i++) is_bits_ ? void(bit(nullptr, i)) : void(written());
    }
  }

  void close() noexcept override {}

 private:
  // The next byte that is no comment.
  int next_byte() {
    while (at_ < file_.size()) {
      const uint8_t byte = file_[at_++];
      if (byte != '#') return byte;
      while (at_ < file_.size() && file_[at_] != '\n' && file_[at_] != '\r') at_++;
    }
    return -1;
  }

  // A number, and one space behind it.
  int64_t number() {
    int64_t value = 0;
    size_t digits = 0;
    for (;;) {
      const int byte = next_byte();
      if (byte < 0 && (digits == 0 || !is_text_)) throw cut_off();
      if (byte < 0) return value;
      if (is_space(static_cast<uint8_t>(byte))) {
        if (digits == 0) continue;
        return value;
      }
      if (byte < '0' || byte > '9') throw damaged("something that isn't a number");
      if (++digits > kMostDigits) throw damaged("a number of more than 10 digits");
      value = value * 10 + (byte - '0');
    }
  }

  int written() {
    const int64_t value = number();
    if (value > most_) throw damaged("a value above its largest");
    return static_cast<int>(value);
  }

  int stored(const uint8_t* bytes, size_t i) const {
    return most_ > 255 ? bytes[2 * i] << 8 | bytes[2 * i + 1] : bytes[i];
  }

  bool bit(const uint8_t* bytes, size_t i) {
    if (!is_text_) return (bytes[i / 8] >> (7 - i % 8) & 1) != 0;
    int byte;
    do {
      byte = next_byte();
    } while (byte >= 0 && is_space(static_cast<uint8_t>(byte)));
    if (byte < 0) throw cut_off();
    if (byte != '0' && byte != '1') throw damaged("something that is neither 0 nor 1");
    return byte == '1';
  }

  // Deep grey is spread over 16 bits, of which what passes 255 is white; everything else over 8 bits.
  uint8_t level_of(int value) const {
    const double top = channels_ == 1 && most_ > 255 ? 65535 : 255;
    return static_cast<uint8_t>(std::min(255.0, std::nearbyint(value * top / most_)));
  }

  Bytes file_;
  size_t at_ = 0;  // behind the header; of text: what comes next
  Size size_;
  bool is_text_ = false, is_bits_ = false;
  size_t channels_ = 1;
  int most_ = 255;
  size_t stride_ = 0;
  size_t next_ = 0;  // row
};

}  // namespace

std::unique_ptr<Codec> make_pnm() { return std::make_unique<Pnm>(); }

}  // namespace torch_learner::image
