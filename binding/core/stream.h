// The ordered native queue: JavaScript records tasks, one long-lived thread per Node environment runs them in order.
#pragma once

#include "failures.h"
#include "holdings.h"
#include "poisoned_memory.h"

namespace torch_learner {

// One tensor as JavaScript sees it. `value` and `error` are written by the stream thread only, and read by the
// JavaScript thread only once task number `seq` has run; `seq` itself belongs to the JavaScript thread.
struct Slot {
  std::atomic<int32_t> refs{1};
  uint64_t seq = 0;
  Holding holding;  // what memory it is counted for
  at::Tensor value;
  ErrorPtr error;
  bool passing = false;  // the error came from a failed in-place operator on this tensor
  Slot* next = nullptr;  // in a list of slots to be freed or used again

  // The error that the task of this number must see, if any. A failed in-place operator leaves its target as it was, so
  // once its run has been told, the target is usable again.
  const ErrorPtr* live_error(uint64_t task) const {
    if (!error || (passing && error->lifted(task))) return nullptr;
    return &error;
  }
};

using Integers = c10::SmallVector<int64_t, 6>;

// One argument of a recorded call. Owns what it points at (see Task::release).
struct Arg {
  enum class Kind : uint8_t { kDefault, kTensor, kDouble, kInt, kIntList, kValue, kTensorList };
  Kind kind = Kind::kDefault;
  union {
    Slot* slot;
    double number;
    int64_t integer;
    Integers* integers;
    c10::IValue* value;
    std::vector<Slot*>* list;  // nullptr entries are absent tensors (Tensor?[])
  };
  Arg() : integer(0) {}
};

struct OpOverload;
class Stream;

// Modes which PyTorch keeps per thread: captured when a task is recorded, set around it when it runs.
struct Modes {
  // As JavaScript gives them with every call that computes: bit 0 grad mode, bit 1 autocast, bits 2-7 its dtype, bits
  // 16-30 its block.
  static Modes of(uint32_t flags) {
    Modes modes;
    modes.grad = flags & 1;
    modes.autocast = flags & 2;
    if (modes.autocast) modes.autocast_dtype = static_cast<at::ScalarType>((flags >> 2) & 63);
    modes.autocast_block = static_cast<uint16_t>((flags >> 16) & 0x7fff);
    return modes;
  }

  bool grad = true;
  bool autocast = false;
  at::ScalarType autocast_dtype = at::kBFloat16;
  uint16_t autocast_block = 0;  // which call of autocast(): weights cast in one aren't used in another
};

struct Task {
  std::optional<Modes> modes;  // none for what computes nothing that they could change
  Origin origin = 0;
  const OpOverload* op = nullptr;
  c10::SmallVector<Arg, 8> args;
  c10::SmallVector<Slot*, 2> outs;
  c10::SmallVector<Slot*, 2> in_place;  // targets of an in-place operator, already owned through args
  std::function<void(Task&)> run;       // instead of an operator, or after one whose results aren't all tensors
  std::vector<c10::IValue> results;     // what that operator returned
  bool always = false;                  // run even if an input is poisoned
};

class Stream {
 public:
  static constexpr size_t kCapacity = 4096;

  explicit Stream(std::shared_ptr<Failures> failures);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Records a task and returns its number. Waits for room when the queue is full: a loop that never awaits is
  // throttled instead of filling the memory.
  uint64_t push(Task&& task);
  uint64_t last() const { return head_.load(std::memory_order_relaxed); }
  bool reached(uint64_t seq) const { return tail_.load(std::memory_order_acquire) >= seq; }
  void wait(uint64_t seq);
  // Stops after the task that is running and drops the rest. With `patience`, waits no longer than that for the task,
  // and returns false when it still runs: the stream must then live as long as the process.
  bool stop(std::optional<std::chrono::milliseconds> patience = std::nullopt);

  // The error that a task of this number must see which uses the slot, the memory's included; once the slot's has run.
  ErrorPtr error_of(const Slot& slot, uint64_t task);
  // On the stream's thread: gives up what JavaScript has given up, so that errors which only that held are known.
  void tidy() { tidy(tail_.load(std::memory_order_relaxed) + 1); }
  Failures& failures() { return *failures_; }
  // With TORCH_LEARNER_SYNC=1: the error of the last task, once it has run.
  void keep_failed() { keep_failed_ = true; }
  ErrorPtr take_failed() {
    ErrorPtr error = std::exchange(failed_, nullptr);
    return failed_number_ == last() ? error : nullptr;
  }

  // For the JavaScript thread. Slots are destroyed on the stream thread, so that large frees never stall JavaScript,
  // and come back from there, so that neither thread frees what the other has allocated.
  Slot* make_slot();
  Slot* make_slot(at::Tensor value);
  void drop(Slot* slot);
  int64_t live_bytes() const { return holdings_.bytes(); }
  // Slots that there are, those that wait to be used again included.
  int64_t slots() const { return slots_.load(std::memory_order_relaxed); }

 private:
  void loop();
  bool await_work(uint64_t next);
  void execute(Task& task, uint64_t number);
  void finish(Task& task);
  void destroy(Slot* slot);
  void sweep();
  void wake();
  void set_modes(const Modes& modes);
  ErrorPtr poisoned(const Task& task, uint64_t number);
  void poison(Task& task, uint64_t number, ErrorPtr error, bool own);
  void tidy(uint64_t number);

  std::vector<Task> ring_;
  std::atomic<uint64_t> head_{0}, tail_{0};
  std::atomic<bool> asleep_{false}, stopping_{false}, ended_{false};
  std::atomic<Slot*> garbage_{nullptr}, recycled_{nullptr};
  Slot* spare_ = nullptr;  // recycled slots in the hands of JavaScript
  Slot* dead_ = nullptr;   // slots on their way to recycled_, in the hands of the stream
  Slot* last_dead_ = nullptr;
  size_t dead_count_ = 0;
  std::atomic<size_t> recycled_count_{0};  // about how many slots wait there
  std::atomic<uint64_t> waited_for_{0};
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::shared_ptr<Failures> failures_;
  PoisonedMemory memory_;
  size_t freed_ = 0;  // slots, while some memory was poisoned
  bool keep_failed_ = false;
  ErrorPtr failed_;
  uint64_t failed_number_ = 0;
  Holdings holdings_;
  std::atomic<int64_t> slots_{0};
  Modes current_;
  torch::jit::Stack stack_;  // of the operator that is running; kept for its memory
  std::thread thread_;
};

}  // namespace torch_learner
