// Looks through a pickle before libtorch's unpickler gets it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace torch_learner {

// A file that isn't what it should be; the message is a clause: "it is cut off".
struct FileFormatError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A pickle that the unpickler may have.
struct CleanPickle {
  std::string bytes;
  size_t length;  // of the original
};

// Checks the pickle that `bytes` begin with. Passes those only that consist of plain values, containers and tensors:
// nothing else is ever called by name. The unpickler trusts its input (it takes values from an empty stack and recurses
// as deep as containers are nested), so what could hurt it is refused here: a stack that underflows, memo entries that
// aren't there, deep nesting, containers that change after they became part of others.
//
// What the unpickler can't do is written otherwise: attributes given to an object (a state dict's _metadata) are left
// out, and an OrderedDict, for which it gives null, becomes a dict.
CleanPickle clean_pickle(std::string_view bytes);

}  // namespace torch_learner
