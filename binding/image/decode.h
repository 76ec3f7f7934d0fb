// Picture files to RGB pixels of a wanted size: PNG by libspng and JPEG by libjpeg-turbo, whichever this build has, and
// BMP, GIF and PNM.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codec.h"
#include "resample.h"

namespace torch_learner::image {

// Decodes one file after another on one thread; keeps its buffers from file to file.
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // The size that the file's header states, as it is stored or turned upright.
  Size size(const std::string& path, bool is_upright);
  // The picture, cut and resized, as height x width x 3 bytes. Transparency is dropped, not composed; an orientation
  // tag is obeyed only on request (Pillow's behaviour, which the reference has).
  void decode(const std::string& path, const Request& request, const double* draws, uint8_t* out);
  // Pixels that another decoder has read, cut and resized by the same code.
  void fit(View from, const Request& request, const double* draws, uint8_t* out);

 private:
  Codec& open(const std::string& path);
  void stream(Codec& codec, const Box& box, const Request& request, uint8_t* out);
  View whole(Codec& codec, int orientation, double scale);
  void trim();

  std::vector<std::unique_ptr<Codec>> codecs_;
  std::vector<uint8_t> file_;
  std::vector<uint8_t> rgb_;
  std::vector<uint8_t> row_;  // on its way to where it is turned
  Size size_;
  Resampler resampler_;
};

// What this build decodes: "bmp", "gif", "pnm", "png", "jpeg".
std::vector<std::string> codecs();

}  // namespace torch_learner::image
