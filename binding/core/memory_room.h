// How much memory the system would give to this process.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace torch_learner {

// What is free, or would be freed on demand, for this process: the machine's, within the limits of the control groups
// it is in. Unknown on other systems than Linux. `root` is put before every path that is read, for tests.
std::optional<size_t> free_memory(const std::string& root = "");

// Private memory of this process that is really there, as opposed to promised.
size_t resident_memory();

}  // namespace torch_learner
