// What some of libtorch's public operators forget to look at before they compute: wrong arguments would end the
// process.
#pragma once

#include <ATen/core/stack.h>

#include <map>
#include <string>

#include "common.h"

namespace torch_learner {

// Throws for arguments with which the kernel would crash. They are as the schema orders them, defaults filled in.
using Check = void (*)(const torch::jit::Stack& arguments);

// By the operator's full name.
using CheckTable = std::map<std::string, Check>;
const CheckTable& norm_checks();
const CheckTable& index_checks();
const CheckTable& size_checks();

// The check for all overloads of the operator, or null.
Check find_check(const std::string& name);

}  // namespace torch_learner
