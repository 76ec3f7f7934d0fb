// Picture files to RGB pixels: PNG by libspng, JPEG by libjpeg-turbo, whichever this build has.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "image_resample.h"

namespace torch_learner::image {

enum class Problem {
  missing,      // no such file
  unreadable,   // there, and not to be read: a folder, no permission
  empty,        // no bytes
  unsupported,  // perhaps a picture, but not for this build: ask another decoder
  damaged,      // the codec gave up
  too_large,    // more pixels than allowed
  wrong_size,   // Method::exact, and the picture has another size
};

struct DecodeError : std::exception {
  Problem problem;
  std::string reason;
  DecodeError(Problem problem_, std::string reason_) : problem(problem_), reason(std::move(reason_)) {}
  const char* what() const noexcept override { return reason.c_str(); }
};

// Decodes one file after another on one thread; keeps its buffers from file to file.
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // The size that the file's header states.
  Size size(const std::string& path);
  // The picture, cut and resized, as height x width x 3 bytes. Transparency is dropped, not composed; an orientation
  // tag is not obeyed (Pillow's behaviour, which the reference has).
  void decode(const std::string& path, const Request& request, const double* draws, uint8_t* out);
  // Pixels that another decoder has read, cut and resized by the same code.
  void fit(View from, const Request& request, const double* draws, uint8_t* out);

 private:
  struct Codec;
  void open(const std::string& path);
  View pixels(const Box& box, const Step& step);

  std::unique_ptr<Codec> codec_;
  std::vector<uint8_t> file_;
  std::vector<uint8_t> rgb_;
  Size size_;
  Resampler resampler_;
};

// What this build decodes: a subset of "png", "jpeg".
std::vector<std::string> codecs();

}  // namespace torch_learner::image
