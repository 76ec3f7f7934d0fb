// Errors on their way from C++ to JavaScript.
#pragma once

#include "common.h"

namespace torch_learner {

// What a failed operator leaves behind. Shared by every slot that it poisons, so that the first reader can mark it as
// reported for all of them.
struct OpError {
  std::string code;
  std::string message;
  std::string op;
  bool in_place = false;
  std::atomic<bool> reported{false};
};
using ErrorPtr = std::shared_ptr<OpError>;

// A misuse found on the JavaScript thread; thrown in C++, turned into a TorchLearnerError by the export wrapper.
struct Misuse : std::exception {
  std::string code;
  std::string message;
  Misuse(std::string code_, std::string message_) : code(std::move(code_)), message(std::move(message_)) {}
  const char* what() const noexcept override { return message.c_str(); }
};

// Thrown when a N-API call has already left a JavaScript exception pending.
struct PendingJsException {};

// What libtorch says, as one line: without where in its sources it was said, without lists of every backend and of who
// registered what there, and without advice for people who build libtorch.
std::string one_line(const char* text);

inline void check(napi_status status) {
  if (status == napi_ok) return;
  if (status == napi_pending_exception) throw PendingJsException{};
  throw Misuse("ERR_INVALID_ARG", "An argument of the native call has the wrong type (N-API status " +
                                      std::to_string(static_cast<int>(status)) + ").");
}

}  // namespace torch_learner
