// Errors on their way from C++ to JavaScript.
#pragma once

#include "common.h"

namespace torch_learner {

struct Run;
using WeakTensor = c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;

// Where an operator was recorded, as JavaScript numbers it: a run in the upper bits, a place within it in the lower 24.
// 0 is the program outside of all runs.
using Origin = uint64_t;
constexpr uint32_t run_of(Origin origin) { return static_cast<uint32_t>(origin >> 24); }

// What is said of an operator that failed.
struct ErrorText {
  std::string code;
  std::string message;
  std::string op;
  Origin origin = 0;
};

// What a failed operator leaves behind, in every slot that it poisons: whoever reads one of them tells it. There are
// three kinds: an operator failed; an in-place operator wasn't run because of `causes`, so that its target is out of
// date; a result depends on several `causes` and has nothing of its own to tell. Made by Failures, which also hears of
// one that was never told.
struct OpError {
  static constexpr uint64_t kNever = UINT64_MAX;

  std::shared_ptr<const ErrorText> what;
  bool in_place = false;  // its operator was to change something in place
  bool joint = false;     // of the third kind
  uint64_t number = 0;    // in the order in which they happened
  std::shared_ptr<Run> run;
  std::vector<std::shared_ptr<OpError>> causes;  // told together with this one
  // Tensors that a backward from what depends on this would have reached; guarded by Failures.
  std::vector<WeakTensor> leaves;
  std::atomic<bool> told{false};      // somebody was told
  std::atomic<bool> claimed{false};   // its run was told by a mark
  std::atomic<bool> reported{false};  // it is among the unread ones, or needn't be
  bool settled = false;               // it and all its causes are told, each to its own run; guarded by Failures
  // The last task that was recorded when its own run was told by what it reads: those after it may use what it has
  // poisoned in place, which is as it was before.
  std::atomic<uint64_t> told_own{kNever};

  // Whether the task of this number may use again what was poisoned in place.
  bool lifted(uint64_t task) const;
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

// What the exception that is being handled says. `otherwise`: the code of one that isn't a misuse nor lack of memory.
ErrorText described(const char* otherwise = "ERR_OP_FAILED");

inline void check(napi_status status) {
  if (status == napi_ok) return;
  if (status == napi_pending_exception) throw PendingJsException{};
  throw Misuse("ERR_INVALID_ARG", "An argument of the native call has the wrong type (N-API status " +
                                      std::to_string(static_cast<int>(status)) + ").");
}

}  // namespace torch_learner
