// Calling any registered operator by its schema.
#pragma once

#include "checks.h"
#include "stream.h"

namespace torch_learner {

// The shapes of value that an operator's argument can take, as far as JavaScript can give them.
enum class ArgType : uint8_t {
  kTensor,
  kTensorList,
  kOptionalTensorList,
  kScalar,
  kInt,
  kFloat,
  kBool,
  kString,
  kIntList,
  kFloatList,
  kBoolList,
  kScalarList,
  kScalarType,
  kDevice,
  kLayout,
  kMemoryFormat,
  kGenerator,
  kUnsupported
};

struct ArgSpec {
  std::string name;
  uint32_t name_id = 0;
  ArgType type = ArgType::kUnsupported;
  bool optional = false;  // None is a value of its type
  bool required = false;  // has no default
  bool kwarg_only = false;
  bool out = false;
  int32_t fixed_size = 0;  // int[2]: one number stands for all
  c10::IValue fallback;
};

struct OpOverload {
  c10::OperatorHandle handle;
  std::string name;  // aten::add.Tensor
  std::string schema;
  std::vector<ArgSpec> args;
  std::vector<int32_t> return_alias;  // per result: the argument it is (in-place, out=), or -1 for a fresh tensor
  bool tensors_only = true;           // every result is one Tensor
  bool draws_random = false;
  bool has_out = false;
  Check check = nullptr;  // what the operator itself forgets to check
  bool writes = false;    // changes an argument
  bool reshapes = false;  // may change an argument's sizes, strides, dtype, or whether it needs gradients
  bool is_backward = false;
  bool reads_gradients = false;  // works with the gradients of its arguments, and not only with these
  bool ignores_values = false;   // doesn't look at what its arguments hold, so that wrong values do no harm
  explicit OpOverload(const c10::OperatorHandle& h) : handle(h) {}
};

struct OpFamily {
  std::string name;
  std::vector<OpOverload> overloads;  // in the order in which they are tried
};

// Index of a name such as "aten::add" or -1; families are shared by all environments and never freed.
int64_t find_op(const std::string& name);
const OpFamily& op_family(size_t index);
// Names of arguments as numbers, so that calls compare numbers.
uint32_t intern_name(const std::string& name);
std::string interned_name(uint32_t id);
std::vector<std::string> op_names();
ArgType classify_type(const c10::TypePtr& type);

// Runs a recorded operator call on the stream thread, on an empty stack.
void run_operator(Task& task, torch::jit::Stack& stack);
std::string describe_call(const Task& task);

}  // namespace torch_learner
