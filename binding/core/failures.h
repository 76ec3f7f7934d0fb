// Who hears of an operator that failed: whoever reads what depends on it; and the run that it belongs to, where it was
// to change something in place; else, when nobody can read it any more, the program.
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
  std::atomic<bool> over{false};     // whoever is told, nobody else needs to be
  std::atomic<bool> excused{false};  // it ended with a failure that is known: what else failed in it needn't be told
  bool silent = false;               // nobody may ever want what it makes
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

  // A number that no other run of this environment has.
  uint32_t begin();
  // In the order of the stream. `excused`: what is untold need not be told, as the run's own end says enough.
  void end(uint32_t run, bool excused);
  void close();

  // An operator has failed.
  ErrorPtr adopt(ErrorText failure);
  // That operator was to change something in place: its run must hear of it.
  void in_place(const ErrorPtr& error);
  // An in-place operator, recorded at this origin, can't run because of `cause`: the error for what it was to change.
  ErrorPtr in_place(const ErrorPtr& cause, Origin origin);
  // Whether a target with this error has one of the origin's run already that the task can't overlook.
  bool covers(const ErrorPtr& error, Origin origin, uint64_t task);
  // A backward from what has this error would reach these leaves, too.
  void reach(const ErrorPtr& error, const std::vector<at::Tensor>& leaves);
  // The leaves that a backward from what has this error would have reached.
  std::vector<at::Tensor> reached(const ErrorPtr& error);
  // For what depends on both.
  ErrorPtr join(const ErrorPtr& first, const ErrorPtr& second);
  // Somebody who reads at this origin is told, after the stream's task of that number was recorded.
  void tell(const ErrorPtr& error, Origin reader, uint64_t task);
  // Its run is told by a mark or its end, which says nothing of the targets to those who read them.
  void tell_run(const ErrorPtr& error);

  // Which of its own errors a run is told by a mark: those of in-place operators, and those which nobody can read, each
  // once; at its end all that it hasn't read. kNone: by reading something.
  enum class Reach : uint8_t { kNone, kRun, kAll };
  ErrorPtr take(Origin origin, Reach reach);

  std::vector<Unread> take_unread();
  // At the end of the program: all that is untold, read or not.
  std::vector<Unread> take_everything();
  bool idle() const { return count_.load(std::memory_order_acquire) == 0; }

 private:
  // Holds the lock. References that are given up meanwhile are collected in its bin, which outlives the lock: the last
  // one to an untold error ends in lost(), which takes the lock itself.
  struct Session {
    Failures& failures;
    std::vector<ErrorPtr> bin;
    std::unique_lock<std::mutex> lock;
    bool announce = false;
    explicit Session(Failures& of) : failures(of), lock(of.mutex_) {}
    ~Session() {
      lock.unlock();
      if (announce) failures.announce_();
    }
  };

  void lost(OpError* error);
  ErrorPtr own(OpError* error);
  ErrorPtr derived(const std::shared_ptr<Run>& run, std::initializer_list<ErrorPtr> causes);
  std::shared_ptr<Run> run_at(Origin origin) const;
  void note(const OpError& error, Session& session);
  void add(Run& run, Run::Entry entry, Session& session);
  void hold_in_place(const ErrorPtr& error, Origin origin, Session& session);

  std::function<void()> announce_;
  std::mutex mutex_;
  std::unordered_map<uint32_t, std::shared_ptr<Run>> runs_;
  std::shared_ptr<Run> program_ = std::make_shared<Run>();
  std::vector<Unread> unread_;
  size_t left_out_ = 0;
  uint64_t last_ = 0;
  uint32_t last_run_ = kSilentRun;
  bool closed_ = false;
  std::atomic<size_t> count_{0};  // of entries, told ones included until they are met
};

}  // namespace torch_learner
