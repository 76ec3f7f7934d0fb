// What a zip file of uncompressed records holds, as PyTorch writes them.
#pragma once

#include <map>

#include "file_reader.h"

namespace torch_learner {

struct ZipRecord {
  uint64_t offset, size;  // of its bytes in the file
};

// The records under the folder that the first one is in, by their names without it.
//
// The file's directory is believed in nothing: each record lies in the file, none over another, so that all together
// are no larger than it. Compressed records are refused: PyTorch writes none, and a few bytes could stand for
// gigabytes. Checksums aren't compared: PyTorch can be told not to compute them, and ignores them when it reads.
//
// Throws FileFormatError.
std::map<std::string, ZipRecord> zip_directory(FileReader& file);

}  // namespace torch_learner
