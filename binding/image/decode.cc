#include "decode.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "kernels.h"
#include "orientation.h"

namespace torch_learner::image {

namespace {

constexpr off_t kMaxFileBytes = off_t{1} << 30;
// Longer sides are no photographs, and tables by row and column would take more memory than the pixels.
constexpr int kMaxSide = 1000000;

struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

DecodeError unreadable(int error) {
  if (error == ENOENT || error == ENOTDIR) return {Problem::missing, "there is no such file"};
  return {Problem::unreadable, std::generic_category().message(error)};
}

// A file's bytes. Only a regular file's: a pipe or a device would never end.
void read_file(const std::string& path, std::vector<uint8_t>& bytes) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status {};
  if (file.value < 0) {
    const int error = errno;
    // a socket can't be opened, nor can a folder everywhere: say what it is
    const bool is_odd = ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
    if (!is_odd) throw unreadable(error);
  } else if (::fstat(file.value, &status) != 0) {
    throw unreadable(errno);
  }
  if (!S_ISREG(status.st_mode)) {
    throw DecodeError(Problem::unreadable, S_ISDIR(status.st_mode) ? "it is a folder" : "it isn't a regular file");
  }
  if (status.st_size == 0) throw DecodeError(Problem::empty, "the file is empty");
  if (status.st_size > kMaxFileBytes) throw DecodeError(Problem::too_large, "the file is larger than 1 GiB");
  bytes.resize(static_cast<size_t>(status.st_size));
  size_t length = 0;
  while (length < bytes.size()) {
    const ssize_t count = ::read(file.value, bytes.data() + length, bytes.size() - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw unreadable(errno);
    if (count == 0) break;
    length += static_cast<size_t>(count);
  }
  // A file that shrank meanwhile leaves fewer bytes, which the codec will call truncated.
  bytes.resize(length);
  if (bytes.empty()) throw DecodeError(Problem::empty, "the file is empty");
}

void check_size(Size size, double max_pixels) {
  const double pixels = static_cast<double>(size.width) * size.height;
  char text[160];
  if (pixels > max_pixels) {
    std::snprintf(text, sizeof text, "it has %d x %d = %.0f pixels, more than the %.0f allowed", size.width,
                  size.height, pixels, max_pixels);
  } else if (std::max(size.width, size.height) > kMaxSide) {
    std::snprintf(text, sizeof text, "it has %d x %d pixels: a side may have %d at the most", size.width, size.height,
                  kMaxSide);
  } else {
    return;
  }
  throw DecodeError(Problem::too_large, text);
}

void check_exact(Size size, const Request& request) {
  const Step& first = request.steps.front();
  const Size to = first.to;
  if (first.method != Method::exact || (size.width == to.width && size.height == to.height)) return;
  char text[160];
  std::snprintf(text, sizeof text, "it is %d x %d pixels where %d x %d are expected", size.width, size.height, to.width,
                to.height);
  throw DecodeError(Problem::wrong_size, text);
}

// Decoded at twice the wanted size or more, a picture resizes to within a level of resizing the whole.
double least_scale(const Box& box, Size to) {
  const double across = static_cast<double>(to.width) / box.size.width;
  const double down = static_cast<double>(to.height) / box.size.height;
  return std::min(2 * std::max(across, down), 1.0);
}

template <typename Body>
struct AtEnd {
  Body body;
  ~AtEnd() { body(); }
};

}  // namespace

Decoder::Decoder() {
#ifdef TORCH_LEARNER_HAVE_JPEG
  codecs_.push_back(make_jpeg());
#endif
#ifdef TORCH_LEARNER_HAVE_SPNG
  codecs_.push_back(make_png());
#endif
  codecs_.push_back(make_gif());
  codecs_.push_back(make_bmp());
  codecs_.push_back(make_pnm());
}

Decoder::~Decoder() = default;

void Decoder::trim() {
  give_back(file_);
  give_back(rgb_);
  give_back(row_);
  resampler_.trim();
}

Codec& Decoder::open(const std::string& path) {
  read_file(path, file_);
  for (const auto& codec : codecs_) {
    if (!codec->knows(file_)) continue;
    try {
      size_ = codec->open(file_);
    } catch (...) {
      codec->close();
      throw;
    }
    return *codec;
  }
  throw DecodeError(Problem::unsupported, "it isn't in a format that this build decodes");
}

Size Decoder::size(const std::string& path, bool is_upright) {
  const AtEnd trimming{[this] { trim(); }};
  Codec& codec = open(path);
  const AtEnd closing{[&] { codec.close(); }};
  return is_upright ? upright(size_, codec.orientation()) : size_;
}

View Decoder::whole(Codec& codec, int orientation, double scale) {
  const Size size = codec.start(scale), turned = upright(size, orientation);
  const size_t row_bytes = static_cast<size_t>(size.width) * 3;
  rgb_.resize(row_bytes * size.height + kSlack);
  row_.resize(orientation == 1 ? 0 : row_bytes + kSlack);
  for (int y = 0; y < size.height; y++) {
    if (orientation == 1) {
      codec.row(rgb_.data() + row_bytes * y);
      continue;
    }
    codec.row(row_.data());
    const Course course = course_of(y, size, orientation);
    uint8_t* to = rgb_.data() + course.first * 3;
    for (size_t x = 0; x < row_bytes; x += 3, to += course.step * 3) std::memcpy(to, row_.data() + x, 3);
  }
  codec.finish();
  return {rgb_.data(), turned, static_cast<ptrdiff_t>(turned.width) * 3, scale};
}

// Row by row from the codec to the resampler, so that no more than a row is ever held.
void Decoder::stream(Codec& codec, const Box& box, const Request& request, uint8_t* out) {
  double scale = least_scale(box, request.steps.front().to);
  const Size size = codec.start(scale);
  resampler_.begin(size, scale, box, request, out);
  rgb_.resize(static_cast<size_t>(size.width) * 3 + kSlack);
  const int first = resampler_.first_row(), end = resampler_.end_row();
  for (int y = 0; y < end; y++) {
    codec.row(rgb_.data());
    if (y >= first) resampler_.push(rgb_.data());
  }
  codec.finish();
}

void Decoder::decode(const std::string& path, const Request& request, const double* draws, uint8_t* out) {
  const AtEnd trimming{[this] { trim(); }};
  Codec& codec = open(path);
  const AtEnd closing{[&] { codec.close(); }};
  check_size(size_, request.max_pixels);
  const int orientation = request.upright ? codec.orientation() : 1;
  const Size size = upright(size_, orientation);
  check_exact(size, request);
  const Box box = choose_box(request.steps.front(), size, draws);
  if (orientation == 1 && box.inside(size)) {
    stream(codec, box, request, out);
    resampler_.finish(request, draws, out);
    return;
  }
  // A smaller scale leaves a part of a pixel at the far edges, which turning would bring to the near ones.
  const bool may_shrink = box.inside(size) && size.width % 8 == 0 && size.height % 8 == 0;
  const double scale = may_shrink ? least_scale(box, request.steps.front().to) : 1;
  resampler_.run(whole(codec, orientation, scale), size, request, draws, out);
}

void Decoder::fit(View from, const Request& request, const double* draws, uint8_t* out) {
  const AtEnd trimming{[this] { trim(); }};
  resampler_.run(from, from.size, request, draws, out);
}

std::vector<std::string> codecs() {
  std::vector<std::string> names{"bmp", "gif", "pnm"};
#ifdef TORCH_LEARNER_HAVE_SPNG
  names.emplace_back("png");
#endif
#ifdef TORCH_LEARNER_HAVE_JPEG
  names.emplace_back("jpeg");
#endif
  return names;
}

}  // namespace torch_learner::image
