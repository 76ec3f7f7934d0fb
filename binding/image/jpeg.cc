// JPEG by libjpeg-turbo.
#ifdef TORCH_LEARNER_HAVE_JPEG

#include <algorithm>
#include <array>
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <vector>

#include "codec.h"
#include "kernels.h"
#include "orientation.h"

// after <cstdio>, whose types they use
#include <jpeglib.h>

#include <jerror.h>

namespace torch_learner::image {

namespace {

// A picture of many scans decodes all of its pixels once more for each.
constexpr int kMostScans = 500;

// libjpeg's objects with what its callbacks need to find, and a place to return to from its errors.
struct Decompressor {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf escape;
  std::array<char, JMSG_LENGTH_MAX> message{};
  bool starved = false;  // the file ended before the picture did
};

Decompressor& owner(j_common_ptr info) { return *static_cast<Decompressor*>(info->client_data); }

// libjpeg's own words, by the numbers of its errors. Its error manager would bring stderr along, and is of no use here.
constexpr const char* kMessages[] = {
#define JVERSION ""
#define JCOPYRIGHT_SHORT ""
#define JMESSAGE(code, text) text,
#include <jerror.h>
};

[[noreturn]] void on_error(j_common_ptr info) {
  Decompressor& self = owner(info);
  const jpeg_error_mgr& errors = self.errors;
  const bool known = errors.msg_code > 0 && errors.msg_code < static_cast<int>(std::size(kMessages));
  const char* text = known ? kMessages[errors.msg_code] : "unknown error";
  const int* at = errors.msg_parm.i;
  if (std::strstr(text, "%s") != nullptr) {
    std::snprintf(self.message.data(), self.message.size(), text, errors.msg_parm.s);
  } else {
    std::snprintf(self.message.data(), self.message.size(), text, at[0], at[1], at[2], at[3], at[4], at[5], at[6],
                  at[7]);
  }
  std::longjmp(self.escape, 1);
}

// Warnings are of damage that the decoder has found a way around; the reference takes such pictures, too.
void on_message(j_common_ptr info, int level) {
  if (level < 0) info->err->num_warnings++;
}

void ignore(j_common_ptr) {}
void ignore_text(j_common_ptr, char*) {}

void on_reset(j_common_ptr info) {
  info->err->num_warnings = 0;
  info->err->msg_code = 0;
}

void on_progress(j_common_ptr info) {
  Decompressor& self = owner(info);
  if (self.info.input_scan_number <= kMostScans) return;
  std::snprintf(self.message.data(), self.message.size(), "it has more than %d scans", kMostScans);
  std::longjmp(self.escape, 1);
}

void ignore_source(j_decompress_ptr) {}

// At the end of the bytes the decoder is given an end marker, which makes it fill up the picture and stop.
boolean on_starved(j_decompress_ptr info) {
  static const JOCTET kEnd[] = {0xff, JPEG_EOI};
  owner(reinterpret_cast<j_common_ptr>(info)).starved = true;
  info->src->next_input_byte = kEnd;
  info->src->bytes_in_buffer = sizeof kEnd;
  return TRUE;
}

void skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  jpeg_source_mgr& source = *info->src;
  if (static_cast<size_t>(count) > source.bytes_in_buffer) {
    on_starved(info);
    return;
  }
  source.next_input_byte += count;
  source.bytes_in_buffer -= static_cast<size_t>(count);
}

// Adobe's inverted ink to light: what is left of each colour, darkened by black.
void cmyk_to_rgb(const uint8_t* ink, int width, uint8_t* rgb) {
  for (int x = 0; x < width; x++, ink += 4, rgb += 3) {
    const int light = ink[3];
    for (int c = 0; c < 3; c++) {
      const int product = (255 - ink[c]) * light + 128;
      rgb[c] = static_cast<uint8_t>(std::clamp(light - ((product >> 8) + product) / 256, 0, 255));
    }
  }
}

class Jpeg : public Codec {
 public:
  Jpeg() {
    jpeg_error_mgr& errors = self_.errors;
    errors.error_exit = on_error;
    errors.emit_message = on_message;
    errors.output_message = ignore;
    errors.format_message = ignore_text;
    errors.reset_error_mgr = on_reset;
    self_.info.err = &errors;
    self_.source.init_source = ignore_source;
    self_.source.fill_input_buffer = on_starved;
    self_.source.skip_input_data = skip;
    self_.source.resync_to_restart = jpeg_resync_to_restart;
    self_.source.term_source = ignore_source;
    self_.progress.progress_monitor = on_progress;
  }

  ~Jpeg() override { close(); }

  bool knows(Bytes file) const override {
    return file.size() >= 3 && file[0] == 0xff && file[1] == 0xd8 && file[2] == 0xff;
  }

  Size open(Bytes file) override {
    file_ = file;
    self_.starved = false;
    self_.source.next_input_byte = file.data();
    self_.source.bytes_in_buffer = file.size();
    if (!create()) throw std::bad_alloc();
    if (!header()) throw damaged();
    const jpeg_decompress_struct& info = self_.info;
    if (self_.starved) throw damaged("premature end in the header");
    if (info.num_components != 1 && info.num_components != 3 && info.num_components != 4) {
      throw DecodeError(Problem::unsupported, "it is a JPEG of " + std::to_string(info.num_components) + " channels");
    }
    return {static_cast<int>(info.image_width), static_cast<int>(info.image_height)};
  }

  // Of the first segment with EXIF data before the pixels.
  int orientation() const override {
    constexpr uint8_t kApp1 = 0xe1, kScan = 0xda;
    for (size_t at = 2; at + 4 <= file_.size() && file_[at] == 0xff && file_[at + 1] != kScan;) {
      const size_t length = size_t{file_[at + 2]} << 8 | file_[at + 3];
      if (length < 2 || length > file_.size() - at - 2) break;
      const Bytes segment = file_.subspan(at + 4, length - 2);
      const bool is_exif = segment.size() > 6 && std::memcmp(segment.data(), "Exif", 4) == 0;
      if (file_[at + 1] == kApp1 && is_exif) return exif_orientation(segment);
      at += length + 2;
    }
    return 1;
  }

  Size start(double& scale) override {
    jpeg_decompress_struct& info = self_.info;
    // Without arithmetic coding, a block of 64 values takes a bit at the least, so that a file of this length can't
    // hold more pixels: the header lies, or most of the file is missing.
    const double pixels = static_cast<double>(info.image_width) * info.image_height;
    if (!info.arith_code && pixels / 512 > static_cast<double>(file_.size())) {
      throw damaged("its bytes are too few for its size");
    }
    // Halves have fast code in libjpeg-turbo; other eighths take longer than the whole picture.
    info.scale_num = 8;
    while (info.scale_num > 1 && info.scale_num / 2 >= scale * 8) info.scale_num /= 2;
    info.scale_denom = 8;
    scale = info.scale_num / 8.0;
    info.out_color_space = info.num_components == 4 ? JCS_CMYK : JCS_RGB;
    if (!begin()) throw damaged();
    const Size size{static_cast<int>(info.output_width), static_cast<int>(info.output_height)};
    if (info.num_components == 4) ink_.resize(static_cast<size_t>(size.width) * 4);
    return size;
  }

  void row(uint8_t* rgb) override {
    const bool is_ink = self_.info.out_color_space == JCS_CMYK;
    if (!read(is_ink ? ink_.data() : rgb)) throw damaged();
    if (is_ink) cmyk_to_rgb(ink_.data(), static_cast<int>(self_.info.output_width), rgb);
  }

  void finish() override {
    // Rows that nobody wants tell whether the file is whole; its end marker tells sooner.
    constexpr std::array<uint8_t, 2> kEnd{0xff, JPEG_EOI};
    const auto tail = file_.last(std::min<size_t>(file_.size(), 64));
    const bool is_whole = std::search(tail.begin(), tail.end(), kEnd.begin(), kEnd.end()) != tail.end();
    if (!is_whole) {
      std::vector<uint8_t> unwanted(static_cast<size_t>(self_.info.output_width) * 4 + kSlack);
      while (self_.info.output_scanline < self_.info.output_height && !self_.starved) {
        if (!read(unwanted.data())) throw damaged();
      }
    }
    if (self_.starved) throw damaged("premature end of the file");
  }

  // Kept for the next file it would keep the tables of this one, and a file without tables would take them.
  void close() noexcept override { jpeg_destroy_decompress(&self_.info); }

 private:
  // Each of these may be left in its middle by libjpeg's errors: they own nothing.
  bool create() {
    if (setjmp(self_.escape) != 0) return false;
    self_.info.client_data = &self_;
    jpeg_create_decompress(&self_.info);
    self_.info.src = &self_.source;
    self_.info.progress = &self_.progress;
    return true;
  }

  bool header() {
    if (setjmp(self_.escape) != 0) return false;
    return jpeg_read_header(&self_.info, TRUE) == JPEG_HEADER_OK;
  }

  bool begin() {
    if (setjmp(self_.escape) != 0) return false;
    return jpeg_start_decompress(&self_.info) == TRUE;
  }

  bool read(uint8_t* row) {
    if (setjmp(self_.escape) != 0) return false;
    return jpeg_read_scanlines(&self_.info, &row, 1) == 1;
  }

  DecodeError damaged() const {
    if (self_.info.err->msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
    return damaged(self_.message.data());
  }

  static DecodeError damaged(const std::string& reason) {
    return {Problem::damaged, "the JPEG is damaged or cut off: " + reason};
  }

  Bytes file_;
  Decompressor self_;
  std::vector<uint8_t> ink_;
};

}  // namespace

std::unique_ptr<Codec> make_jpeg() { return std::make_unique<Jpeg>(); }

}  // namespace torch_learner::image

#endif
