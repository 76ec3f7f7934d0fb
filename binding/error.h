// Errors on their way from C++ to JavaScript.
#pragma once

#include "common.h"

namespace torch_learner {

struct Run;

// Where an operator was recorded, as JavaScript numbers it: a run in the upper bits, a place within it in the lower 24.
// 0 is the program outside of all runs.
using Origin = uint64_t;
constexpr uint32_t run_of(Origin origin) { return static_cast<uint32_t>(origin >> 24); }

// What a failed operator leaves behind. Shared by every slot that it poisons, so that the first reader can mark it as
// told for all of them. Made by Failures, which also hears of one that was never told.
struct OpError {
  std::string code;
  std::string message;
  std::string op;
  Origin origin = 0;
  uint64_t number = 0;  // in the order in which they happened
  std::shared_ptr<Run> run;
  std::vector<std::shared_ptr<OpError>> joined;  // told together with this one; guarded by Failures
  std::atomic<bool> told{false};
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
