#include "image_decode.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#ifdef TORCH_LEARNER_HAVE_SPNG
#include <spng.h>
#endif
#ifdef TORCH_LEARNER_HAVE_TURBOJPEG
#include <turbojpeg.h>
#endif

namespace torch_learner::image {

namespace {

constexpr uintmax_t kMaxFileBytes = uintmax_t{1} << 30;

// A file's bytes. Only a regular file's: a pipe or a device would never end.
void read_file(const std::string& path, std::vector<uint8_t>& bytes) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    throw DecodeError(Problem::missing, "there is no such file");
  }
  if (error) throw DecodeError(Problem::unreadable, error.message());
  if (!std::filesystem::is_regular_file(status)) {
    throw DecodeError(Problem::unreadable,
                      std::filesystem::is_directory(status) ? "it is a folder" : "it isn't a regular file");
  }
  const uintmax_t length = std::filesystem::file_size(path, error);
  if (error) throw DecodeError(Problem::unreadable, error.message());
  if (length == 0) throw DecodeError(Problem::empty, "the file is empty");
  if (length > kMaxFileBytes) throw DecodeError(Problem::too_large, "the file is larger than 1 GiB");

  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw DecodeError(Problem::unreadable, std::generic_category().message(errno));
  std::setvbuf(file.get(), nullptr, _IONBF, 0);
  bytes.resize(length);
  // A file that shrank meanwhile leaves fewer bytes, which the codec will call truncated.
  bytes.resize(std::fread(bytes.data(), 1, length, file.get()));
  if (bytes.empty()) throw DecodeError(Problem::unreadable, "it can't be read");
}

[[maybe_unused]] bool starts_with(const std::vector<uint8_t>& bytes, std::initializer_list<uint8_t> magic) {
  return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
}

void check_size(Size size, double max_pixels) {
  const double pixels = static_cast<double>(size.width) * size.height;
  if (pixels <= max_pixels) return;
  char text[160];
  std::snprintf(text, sizeof text, "it has %d x %d = %.0f pixels, more than the %.0f allowed", size.width, size.height,
                pixels, max_pixels);
  throw DecodeError(Problem::too_large, text);
}

#ifdef TORCH_LEARNER_HAVE_SPNG
struct PngCloser {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Png = std::unique_ptr<spng_ctx, PngCloser>;

void check_png(int status) {
  if (status == SPNG_OK) return;
  if (status == SPNG_EMEM) throw std::bad_alloc();
  throw DecodeError(Problem::damaged, std::string("the PNG is damaged or cut off: ") + spng_strerror(status));
}

Png open_png(const std::vector<uint8_t>& file, Size& size) {
  Png png(spng_ctx_new(0));
  if (!png) throw std::bad_alloc();
  check_png(spng_set_png_buffer(png.get(), file.data(), file.size()));
  // Text and colour profiles can be bombs of their own: bound what is kept of them.
  check_png(spng_set_chunk_limits(png.get(), 64 << 20, 64 << 20));
  spng_ihdr header;
  check_png(spng_get_ihdr(png.get(), &header));
  size = {static_cast<int>(header.width), static_cast<int>(header.height)};
  return png;
}
#endif

}  // namespace

struct Decoder::Codec {
  // Nothing of the file before must reach the next: libjpeg-turbo keeps the tables of a file that it gave up.
  void forget() {
#ifdef TORCH_LEARNER_HAVE_SPNG
    png.reset();
#endif
#ifdef TORCH_LEARNER_HAVE_TURBOJPEG
    if (spoiled && jpeg != nullptr) {
      tjDestroy(jpeg);
      jpeg = nullptr;
    }
    spoiled = is_jpeg = false;
#endif
  }

#ifdef TORCH_LEARNER_HAVE_SPNG
  Png png;
#endif
#ifdef TORCH_LEARNER_HAVE_TURBOJPEG
  tjhandle jpeg = nullptr;
  bool is_jpeg = false;
  bool spoiled = false;

  ~Codec() {
    if (jpeg != nullptr) tjDestroy(jpeg);
  }

  Size open_jpeg(const std::vector<uint8_t>& file) {
    if (jpeg == nullptr) jpeg = tjInitDecompress();
    if (jpeg == nullptr) throw std::bad_alloc();
    spoiled = true;
    Size size;
    int subsampling = 0, colours = 0;
    tjDecompressHeader3(jpeg, file.data(), file.size(), &size.width, &size.height, &subsampling, &colours);
    if (size.width < 1 || size.height < 1) {
      throw DecodeError(Problem::damaged, std::string("the JPEG is damaged or cut off: ") + tjGetErrorStr2(jpeg));
    }
    if (colours == TJCS_CMYK || colours == TJCS_YCCK) throw DecodeError(Problem::unsupported, "it is a CMYK JPEG");
    spoiled = false;
    is_jpeg = true;
    return size;
  }

  // The smallest size that the codec can decode to which is still twice the wanted one: the picture is then resized
  // from it to within a level of resizing the whole.
  static Size shrunk(Size size, double factor, double& best_scale) {
    Size best = size;
    int count = 0;
    const tjscalingfactor* factors = tjGetScalingFactors(&count);
    for (int i = 0; i < count; i++) {
      const double scale = static_cast<double>(factors[i].num) / factors[i].denom;
      if (scale >= 1 || scale < 2 * factor) continue;
      const Size scaled{TJSCALED(size.width, factors[i]), TJSCALED(size.height, factors[i])};
      if (scale >= best_scale) continue;
      best = scaled;
      best_scale = scale;
    }
    return best;
  }

  void decode_jpeg(const std::vector<uint8_t>& file, Size size, uint8_t* rgb) {
    const int flags = TJFLAG_LIMITSCANS | TJFLAG_STOPONWARNING;
    const int status =
        tjDecompress2(jpeg, file.data(), file.size(), rgb, size.width, size.width * 3, size.height, TJPF_RGB, flags);
    if (status == 0) return;
    spoiled = true;
    const std::string reason = tjGetErrorStr2(jpeg);
    // A file that ends early has no lower half. Other warnings may be harmless (stray bytes between markers are
    // common), but this interface doesn't tell a warning from a failure after one: let another decoder judge.
    const bool doubtful = tjGetErrorCode(jpeg) == TJERR_WARNING && reason.find("Premature end") == std::string::npos;
    throw DecodeError(doubtful ? Problem::unsupported : Problem::damaged, "the JPEG is damaged or cut off: " + reason);
  }
#endif
};

Decoder::Decoder() : codec_(std::make_unique<Codec>()) {}
Decoder::~Decoder() = default;

void Decoder::open(const std::string& path) {
  codec_->forget();
  read_file(path, file_);
#ifdef TORCH_LEARNER_HAVE_SPNG
  if (starts_with(file_, {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'})) {
    codec_->png = open_png(file_, size_);
    return;
  }
#endif
#ifdef TORCH_LEARNER_HAVE_TURBOJPEG
  if (starts_with(file_, {0xff, 0xd8, 0xff})) {
    size_ = codec_->open_jpeg(file_);
    return;
  }
#endif
  throw DecodeError(Problem::unsupported, "it isn't in a format that this build decodes");
}

Size Decoder::size(const std::string& path) {
  open(path);
  return size_;
}

// The pixels of the opened file; a JPEG may come smaller than it is when no more is needed.
View Decoder::pixels([[maybe_unused]] const Box& box, [[maybe_unused]] const Step& step) {
  Size size = size_;
  double scale = 1;
#ifdef TORCH_LEARNER_HAVE_TURBOJPEG
  if (codec_->is_jpeg) {
    const double factor = std::max(static_cast<double>(step.to.width) / box.size.width,
                                   static_cast<double>(step.to.height) / box.size.height);
    if (step.method != Method::exact && box.inside(size_)) size = Codec::shrunk(size_, factor, scale);
    rgb_.resize(static_cast<size_t>(size.width) * size.height * 3);
    codec_->decode_jpeg(file_, size, rgb_.data());
  }
#endif
#ifdef TORCH_LEARNER_HAVE_SPNG
  if (codec_->png) {
    rgb_.resize(static_cast<size_t>(size.width) * size.height * 3);
    const int status = spng_decode_image(codec_->png.get(), rgb_.data(), rgb_.size(), SPNG_FMT_RGB8, 0);
    codec_->png.reset();
    check_png(status);
  }
#endif
  return {rgb_.data(), size, static_cast<ptrdiff_t>(size.width) * 3, scale};
}

void Decoder::decode(const std::string& path, const Request& request, const double* draws, uint8_t* out) {
  open(path);
  check_size(size_, request.max_pixels);
  const Step& first = request.steps.front();
  if (first.method == Method::exact && (size_.width != first.to.width || size_.height != first.to.height)) {
    throw DecodeError(Problem::wrong_size,
                      "it is " + std::to_string(size_.width) + " x " + std::to_string(size_.height) + " pixels where " +
                          std::to_string(first.to.width) + " x " + std::to_string(first.to.height) + " are expected");
  }
  resampler_.run(pixels(choose_box(first, size_, draws), first), size_, request, draws, out);
}

void Decoder::fit(View from, const Request& request, const double* draws, uint8_t* out) {
  resampler_.run(from, from.size, request, draws, out);
}

std::vector<std::string> codecs() {
  std::vector<std::string> names;
#ifdef TORCH_LEARNER_HAVE_SPNG
  names.emplace_back("png");
#endif
#ifdef TORCH_LEARNER_HAVE_TURBOJPEG
  names.emplace_back("jpeg");
#endif
  return names;
}

}  // namespace torch_learner::image
