// GIF: the first frame. Every pixel of it must be in the file; what follows is of no interest.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "codec.h"

namespace torch_learner::image {

namespace {

constexpr int kMostBits = 12;
constexpr int kMostCodes = 1 << kMostBits;
// What a byte of code can stand for at the most: the longest string is as long as the table, its code takes 12 bits.
constexpr double kMostInflation = kMostCodes * 8.0 / kMostBits;

DecodeError damaged(const char* reason) {
  return {Problem::damaged, std::string("the GIF is damaged or cut off: ") + reason};
}
DecodeError cut_off() { return damaged("premature end of the file"); }

using Colour = std::array<uint8_t, 3>;

class Gif : public Codec {
 public:
  bool knows(Bytes file) const override { return file.size() >= 3 && std::memcmp(file.data(), "GIF", 3) == 0; }

  Size open(Bytes file) override {
    file_ = file;
    at_ = 3;
    const int version = byte() << 16 | byte() << 8 | byte();
    if (version != ('8' << 16 | '7' << 8 | 'a') && version != ('8' << 16 | '9' << 8 | 'a')) {
      throw damaged("its version is unknown");
    }
    size_ = {word(), word()};
    const int flags = byte();
    skip(2);  // the index of the background, which nobody uses, and the shape of pixels
    std::fill(palette_.begin(), palette_.end(), Colour{});
    bool has_palette = read_palette(flags);
    outside_ = 0;
    for (int mark = byte(); mark != ','; mark = byte()) {
      if (mark == '!') read_extension();
      if (mark == ';') throw damaged("it has no frame");
    }
    left_ = word();
    top_ = word();
    frame_ = {word(), word()};
    if (frame_.width == 0 || frame_.height == 0) throw damaged("its frame has no pixels");
    const int local = byte();
    if ((local & 0x80) != 0) std::fill(palette_.begin(), palette_.end(), Colour{});
    has_palette |= read_palette(local);
    if (!has_palette) {
      for (size_t i = 0; i < palette_.size(); i++) palette_[i].fill(static_cast<uint8_t>(i));
    }
    is_interlaced_ = (local & 0x40) != 0;
    size_.width = std::max(size_.width, left_ + frame_.width);
    size_.height = std::max(size_.height, top_ + frame_.height);
    return size_;
  }

  Size start(double& scale) override {
    scale = 1;
    next_ = 0;
    const double pixels = static_cast<double>(frame_.width) * frame_.height;
    if (pixels > kMostInflation * static_cast<double>(file_.size() - at_)) {
      throw damaged("its bytes are too few for its size");
    }
    unpack();
    return size_;
  }

  void row(uint8_t* rgb) override {
    const int y = next_++ - top_;
    const bool inside = y >= 0 && y < frame_.height;
    const uint8_t* row = inside ? indices_.data() + static_cast<size_t>(stored(y)) * frame_.width : nullptr;
    for (int x = 0; x < size_.width; x++, rgb += 3) {
      const int at = x - left_;
      const size_t index = inside && at >= 0 && at < frame_.width ? row[at] : outside_;
      std::memcpy(rgb, palette_[index].data(), 3);
    }
  }

  void close() noexcept override {
    give_back(indices_);
    indices_.clear();
  }

 private:
  int byte() {
    if (at_ >= file_.size()) throw cut_off();
    return file_[at_++];
  }
  int word() {
    const int low = byte();
    return low | byte() << 8;
  }
  void skip(size_t count) {
    if (count > file_.size() - at_) throw cut_off();
    at_ += count;
  }

  bool read_palette(int flags) {
    if ((flags & 0x80) == 0) return false;
    const size_t colours = size_t{2} << (flags & 7), start = at_;
    skip(colours * 3);
    std::memcpy(palette_.data(), file_.data() + start, colours * 3);
    return true;
  }

  // What lies outside the frame has the transparent colour, if there is one, else the first.
  void read_extension() {
    const int kind = byte();
    const size_t start = at_ + 1;
    for (int length = byte(); length > 0; length = byte()) skip(static_cast<size_t>(length));
    if (kind == 0xf9 && file_[start - 1] >= 4 && (file_[start] & 1) != 0) outside_ = file_[start + 3];
  }

  // Where row `y` is among the rows as they are stored.
  int stored(int y) const {
    if (!is_interlaced_) return y;
    const int height = frame_.height;
    const int first = (height + 7) / 8, second = (height + 3) / 8, third = (height + 1) / 4;
    if (y % 8 == 0) return y / 8;
    if (y % 8 == 4) return first + y / 8;
    if (y % 4 == 2) return first + second + y / 4;
    return first + second + third + y / 2;
  }

  // The next `bits` bits of the blocks of data, least first. Only whole blocks are read.
  int code(int bits) {
    while (held_bits_ < bits) {
      if (block_ == 0) {
        block_ = static_cast<size_t>(byte());
        if (block_ == 0 || block_ > file_.size() - at_) throw cut_off();
      }
      block_--;
      held_ |= static_cast<uint32_t>(file_[at_++]) << held_bits_;
      held_bits_ += 8;
    }
    const int value = static_cast<int>(held_ & ((1u << bits) - 1));
    held_ >>= bits;
    held_bits_ -= bits;
    return value;
  }

  // LZW: each code is an earlier string and one index more.
  void unpack() {
    const int depth = byte();
    if (depth < 1 || depth >= kMostBits) throw damaged("its codes have an impossible width");
    held_ = 0, held_bits_ = 0, block_ = 0;
    const int clear = 1 << depth, end = clear + 1;
    int bits = depth + 1, next = end + 1, last = -1;
    uint8_t first = 0;
    const size_t pixels = static_cast<size_t>(frame_.width) * frame_.height;
    indices_.resize(pixels);
    for (size_t done = 0; done < pixels;) {
      const int given = code(bits);
      if (given == clear) {
        bits = depth + 1, next = end + 1, last = -1;
        continue;
      }
      if (given == end) throw cut_off();
      if (given > (last < 0 ? clear - 1 : next)) throw damaged("a wrong code");
      // the string comes from its end
      size_t length = 0;
      int at = given;
      if (given == next) {
        string_[length++] = first;
        at = last;
      }
      for (; at >= clear; at = before_[at]) string_[length++] = added_[at];
      first = static_cast<uint8_t>(at);
      string_[length++] = first;
      const size_t count = std::min(length, pixels - done);
      for (size_t i = 0; i < count; i++) indices_[done++] = string_[length - 1 - i];
      if (last >= 0 && next < kMostCodes) {
        before_[next] = static_cast<uint16_t>(last);
        added_[next] = first;
        next++;
        if (next == 1 << bits && bits < kMostBits) bits++;
      }
      last = given;
    }
  }

  Bytes file_;
  size_t at_ = 0;
  Size size_;
  int left_ = 0, top_ = 0;
  Size frame_;
  bool is_interlaced_ = false;
  size_t outside_ = 0;
  std::array<Colour, 256> palette_{};
  int next_ = 0;
  std::vector<uint8_t> indices_;  // of the frame's pixels, as they are stored
  // of unpacking
  uint32_t held_ = 0;
  int held_bits_ = 0;
  size_t block_ = 0;  // bytes left in the block
  std::array<uint16_t, kMostCodes> before_{};
  std::array<uint8_t, kMostCodes> added_{};
  std::array<uint8_t, kMostCodes + 1> string_{};
};

}  // namespace

std::unique_ptr<Codec> make_gif() { return std::make_unique<Gif>(); }

}  // namespace torch_learner::image
