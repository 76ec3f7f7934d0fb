// Who hears of an operator that failed: whoever reads what depends on it; else the run that it belongs to; else, when
// nobody can read it any more, the program.
#pragma once

#include <unordered_map>

#include "error.h"

namespace torch_learner {

// What answers for its failures together: a Learner's fit, a named scope, or (number 0) the rest of the program.
struct Run {
  struct Entry {
    Origin origin = 0;
    ErrorPtr held;                // of an in-place operator, or one that nobody can read any more
    std::weak_ptr<OpError> open;  // somebody may still read it
    bool in_place = false;
  };
  bool over = false;
  bool silent = false;  // abandoned, or its failure is known already
  std::vector<Entry> entries;
  size_t prune_at = 64;
};

// An error that nobody has read and nobody can read any more, and how many there were like it.
struct Unread {
  std::string code, message, op;
  Origin origin = 0;
  size_t count = 1;
};

class Failures : public std::enable_shared_from_this<Failures> {
 public:
  // Work that nobody may ever ask for, such as prefetching: whoever takes it sees its errors, otherwise nobody does.
  static constexpr uint32_t kSilentRun = 1;

  // Called, from any thread, when there is something for take_unread().
  explicit Failures(std::function<void()> announce);

  void begin(uint32_t run);
  // In the order of the stream. `silent`: what is untold need not be told, as the run's own end says enough.
  void end(uint32_t run, bool silent);
  void close();

  ErrorPtr adopt(std::unique_ptr<OpError> error);
  // An operator has failed in place, by an error of its own or one of its inputs.
  void in_place(const ErrorPtr& error, Origin origin);
  // Something depends on both: whoever is told the one has heard of both.
  void join(const ErrorPtr& error, const ErrorPtr& other);
  void tell(const ErrorPtr& error);

  // Which of a run's untold errors a reader is told beside what it depends on: those of in-place operators at the same
  // place; those which nobody can read, too, wherever in the run; all, at the run's end.
  enum class Reach : uint8_t { kPlace, kRun, kAll };
  ErrorPtr take(Origin origin, Reach reach);

  std::vector<Unread> take_unread();
  // At the end of the program: all that is untold, read or not.
  std::vector<Unread> take_everything();
  bool idle() const { return count_.load(std::memory_order_acquire) == 0; }

 private:
  void lost(OpError* error);
  ErrorPtr own(OpError* error);
  void note(const OpError& error);
  void mark(const ErrorPtr& error);
  void add(Run& run, Run::Entry entry, std::vector<ErrorPtr>& bin);

  std::function<void()> announce_;
  std::mutex mutex_;
  std::unordered_map<uint32_t, std::shared_ptr<Run>> runs_;
  std::shared_ptr<Run> program_ = std::make_shared<Run>();
  std::vector<Unread> unread_;
  size_t left_out_ = 0;
  uint64_t last_ = 0;
  bool closed_ = false;
  std::atomic<size_t> count_{0};  // of entries, told ones included until they are met
};

// The memory that failed in-place operators were to change: it is poisoned for whoever uses it, under whatever name,
// until somebody has been told. For the stream's thread, but for `find`.
class PoisonedMemory {
 public:
  bool empty() const { return size_.load(std::memory_order_acquire) == 0; }
  void add(const at::Tensor& tensor, const ErrorPtr& error);
  ErrorPtr find(const at::Tensor& tensor);
  // Forgets what has been told or whose memory is gone.
  void sweep();
  size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    c10::weak_intrusive_ptr<c10::StorageImpl> storage;
    ErrorPtr error;
  };
  std::mutex mutex_;
  std::unordered_map<const c10::StorageImpl*, Entry> entries_;
  std::atomic<size_t> size_{0};
};

// The leaves that a backward from `root` adds gradients to.
std::vector<at::Tensor> leaves_of(const at::Tensor& root);

}  // namespace torch_learner
