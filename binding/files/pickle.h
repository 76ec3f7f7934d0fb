// Python's pickles as torch.save writes them, read without running any of the code they name.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "file_reader.h"

namespace torch_learner {

enum class PickleKind : uint8_t { null, truth, integer, text, tuple, list, dict, type, storage, tensor, other };

struct PickleValue {
  PickleKind kind = PickleKind::null;
  uint32_t items = 0;     // of containers, and what storages and tensors are made of: see Pickle::items
  int64_t number = 0;     // integers and truth values
  std::string_view text;  // strings, and the names of types: "torch FloatStorage"
};

// What a pickle says. Values refer to each other by number, whatever is nested in what: nobody owns anything, nothing
// recurses, and the memory for all of it is a small multiple of the pickle's bytes, whatever these are.
class Pickle {
 public:
  // Reads the one that `bytes` begin with, which have to stay. Passes those only that consist of plain values,
  // containers and tensors, and does nothing but note them: tensors are descriptions. Attributes given to an object (a
  // state dict's _metadata) are left out.
  //
  // Throws FileFormatError.
  explicit Pickle(std::string_view bytes);

  const PickleValue& root() const { return values_[root_]; }
  const PickleValue& operator[](uint32_t value) const { return values_[value]; }
  size_t size() const { return values_.size(); }
  // Of a dict: key, value, key, value... Of a storage or a tensor: the arguments it is made from.
  const std::vector<uint32_t>& items(const PickleValue& value) const { return lists_[value.items]; }
  // How many of the bytes belong to it.
  size_t length() const { return length_; }

 private:
  friend class PickleMachine;
  std::deque<PickleValue> values_;
  std::deque<std::vector<uint32_t>> lists_;
  uint32_t root_ = 0;
  size_t length_ = 0;
};

}  // namespace torch_learner
