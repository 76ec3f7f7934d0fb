// Which overload a call from JavaScript means, and its arguments in the schema's types.
#pragma once

#include <memory>
#include <utility>

#include "convert.h"
#include "dispatch.h"

namespace torch_learner {

// What JavaScript gave, before anyone knows what it stands for.
struct Call {
  c10::SmallVector<JsValue, 6> positional;
  c10::SmallVector<std::pair<uint32_t, JsValue>, 2> named;
};

// For each argument of the schema the value that is meant for it; those left out are Kind::kDefault.
using Chosen = c10::SmallVector<const JsValue*, 16>;

// Fills `chosen`, or returns false: this overload can't take the call.
bool match(const OpOverload& op, const Call& call, Chosen& chosen);

// Throws what the operator would have taken.
[[noreturn]] void refuse(const OpFamily& family, const Call& call);

// A value that `match` has found to fit, other than tensors, plain numbers and lists of integers.
c10::IValue to_ivalue(const ArgSpec& spec, const JsValue& value);

std::unique_ptr<Integers> to_integers(const ArgSpec& spec, const JsValue& value);

}  // namespace torch_learner
