// PyTorch's own files of tensors (torch.save), read without running any of the code they name.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/common.h"

namespace torch_learner {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// The state dict in a file, of the zip format or the one before PyTorch 1.6. With an empty `key`: the file's dict
// itself, or when that holds other things too, the one under "model" or "state_dict". Takes no more memory than the
// file has bytes and a small multiple of its pickle (16 MiB at most), whatever the file says.
//
// Throws FileFormatError (file_reader.h) for anything else.
NamedTensors read_pth(const std::string& path, const std::string& key);

}  // namespace torch_learner
