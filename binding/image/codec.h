// What every picture format is to the rest: a size, and then rows of RGB from the top.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>

#include "resample.h"

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

using Bytes = std::span<uint8_t>;

// One format's decoder, used for one file after another. The bytes are the decoder's to rearrange, and stay in place
// until close(). Pixels are those of Pillow's `Image.open(file).convert('RGB')`.
class Codec {
 public:
  virtual ~Codec() = default;
  // Whether it looks like this format.
  virtual bool knows(Bytes file) const = 0;
  // The size that the header states; refuses files that can't hold a picture of that size.
  virtual Size open(Bytes file) = 0;
  // Of the picture that open() has looked into, as exif_orientation() has it.
  virtual int orientation() const { return 1; }
  // Gets ready for the rows. The picture may come smaller than it is, but no smaller than `scale` times, which becomes
  // what it is.
  virtual Size start(double& scale) = 0;
  // The next row: width * 3 bytes; kSlack bytes behind them may be written too.
  virtual void row(uint8_t* rgb) = 0;
  // Called when the last row that is wanted has been read: a file that ends too early is still found out.
  virtual void finish() {}
  virtual void close() noexcept = 0;
};

std::unique_ptr<Codec> make_bmp();
std::unique_ptr<Codec> make_gif();
std::unique_ptr<Codec> make_pnm();
#ifdef TORCH_LEARNER_HAVE_SPNG
std::unique_ptr<Codec> make_png();
#endif
#ifdef TORCH_LEARNER_HAVE_JPEG
std::unique_ptr<Codec> make_jpeg();
#endif

}  // namespace torch_learner::image
