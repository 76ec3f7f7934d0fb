// The state of one Node environment (the main thread or a worker): its stream, its tensor handles, its way back to JS.
#pragma once

#include "job_pool.h"
#include "stream.h"

namespace torch_learner {

// Work to be done on the JavaScript thread: settle a promise, release a reference.
struct Completion {
  napi_deferred deferred = nullptr;
  ErrorPtr error;
  Origin origin = 0;   // of who waits for it
  bool taken = false;  // the error is one that its run has to be told, rather than of something that was read
  std::function<napi_value(napi_env)> build;  // makes the promise's value
  std::function<void(napi_env)> cleanup;      // runs in any case, last
};

// The road from any thread to the JavaScript thread. Outlives the environment in the hands of deleters that run late.
class Mailbox {
 public:
  void open(napi_env env);
  void close();
  void post(Completion* completion);
  // A pending promise keeps the process alive; an idle addon doesn't.
  void expect(napi_env env);
  void settled(napi_env env);

 private:
  std::mutex mutex_;
  napi_threadsafe_function function_ = nullptr;
  int pending_ = 0;
};

struct OpFamily;

struct Environment {
  explicit Environment(napi_env env);
  ~Environment();

  static Environment& of(napi_env env);

  // Handles: index in the low 24 bits, generation above, so that a stale handle is recognised.
  double put(Slot* slot);
  double put(at::Tensor value);
  Slot* get(double id) const;
  bool release(double id);
  size_t live() const { return live_; }

  // The operator's overloads, without the lock of the registry that all environments share.
  const OpFamily& family(size_t index);

  uint64_t push(Task&& task);
  // With TORCH_LEARNER_SYNC=1: waits for everything and throws what failed, so that the JavaScript stack points there.
  void settle_if_synchronous();
  Slot* fresh(Task& task);  // a new output slot, owned by the task and by the caller
  napi_value promise(Completion* completion);
  void throw_error(napi_env env, const std::string& code, const std::string& message, const std::string& op = "",
                   Origin origin = 0);
  napi_value make_error(napi_env env, const std::string& code, const std::string& message, const std::string& op,
                        Origin origin = 0);
  // Waits until the slot's value is there; throws its error to who reads at this origin.
  void await_slot(Slot* slot, Origin origin);
  // On the JavaScript thread: who reads at this origin is told.
  void tell(const ErrorPtr& error, Origin origin) { failures->tell(error, origin, stream.last()); }
  void report(const ErrorPtr& error, std::optional<Origin> origin);  // none: its run is told, as by a mark
  // Tells V8 how much memory its tensors hold, whenever that has changed by some megabytes.
  void account(napi_env env);

  napi_env env;
  std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>();
  std::shared_ptr<Failures> failures;
  Stream stream;
  JobPool jobs;
  uint64_t random_seq = 0;       // the last recorded task that draws random numbers
  uint64_t reshaped_seq = 0;     // the last one that may change sizes and suchlike of tensors that there are
  uint64_t history_seq = 0;      // the last one that may change how gradients flow to such tensors
  uint32_t* reshaped = nullptr;  // how many of the former were recorded, in memory that JavaScript sees
  bool synchronous = false;      // TORCH_LEARNER_SYNC=1
  bool abandoned = false;        // an operator still ran when the process ended
  int threads = 0;
  napi_ref error_factory = nullptr;
  napi_ref unread_handler = nullptr;

 private:
  struct Entry {
    Slot* slot = nullptr;
    uint32_t generation = 1;
  };
  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;
  std::vector<const OpFamily*> families_;
  size_t live_ = 0;
  int64_t reported_bytes_ = 0;
};

// Settles the completion's promise when everything recorded so far has run: rejects with the slot's error, or with one
// that the origin's run has to be told. Takes over the caller's reference to the slot (which may be null).
void deliver(Environment& environment, Slot* slot, Completion* completion, Origin origin = 0,
             Failures::Reach reach = Failures::Reach::kNone);

// [code, message, operator, origin, count] for each.
napi_value to_js(napi_env env, const std::vector<Unread>& unread);

using Export = napi_value (*)(Environment&, napi_env, napi_callback_info);

// Turns every C++ exception into one JavaScript error.
napi_value guarded(napi_env env, napi_callback_info info, Export body);

template <Export F>
napi_value exported(napi_env env, napi_callback_info info) {
  return guarded(env, info, F);
}

template <Export F>
void define(napi_env env, napi_value exports, const char* name) {
  napi_value value;
  check(napi_create_function(env, name, NAPI_AUTO_LENGTH, exported<F>, nullptr, &value));
  check(napi_set_named_property(env, exports, name, value));
}

void init_dispatch(napi_env env, napi_value exports);
void init_tensor(napi_env env, napi_value exports);
void init_synchronise(napi_env env, napi_value exports);
void init_autograd(napi_env env, napi_value exports);
void init_random(napi_env env, napi_value exports);
void init_device(napi_env env, napi_value exports);
void init_allocator(napi_env env, napi_value exports);
void init_serialize(napi_env env, napi_value exports);
void init_image(napi_env env, napi_value exports);

}  // namespace torch_learner
