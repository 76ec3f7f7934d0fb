#include "failures.h"

#include <algorithm>
#include <unordered_set>

namespace torch_learner {

namespace {

constexpr size_t kHeld = 1024;    // untold errors that a run holds on to
constexpr size_t kKinds = 32;     // different errors on their way to JavaScript
constexpr size_t kCauses = 256;   // of one error
constexpr size_t kLeaves = 4096;  // of one error
constexpr uint32_t kRuns = 1 << 28;

bool told(const OpError& error) { return error.told.load(std::memory_order_acquire); }
bool told_own(const OpError& error) { return error.told_own.load(std::memory_order_acquire) != OpError::kNever; }
bool is_over(const OpError& error) { return !error.run || error.run->over.load(std::memory_order_acquire); }

// Whether its run is still to be told.
bool due(const OpError& error, bool in_place) { return !(in_place ? told_own(error) : told(error)); }

// Whether the end of its last handle is the last chance to say it.
bool owed(const OpError& error, const Run* program) {
  if (told(error) || error.joint || error.reported.load(std::memory_order_acquire)) return false;
  if (error.causes.empty()) return true;
  if (error.run.get() == program) return false;
  // what it comes from is owed itself, or was told: there, if it is of the same run
  return std::all_of(error.causes.begin(), error.causes.end(),
                     [&](const ErrorPtr& cause) { return told(*cause) && cause->run != error.run; });
}

template <typename Visit>
void with_causes(OpError& error, Visit visit) {
  std::unordered_set<const OpError*> seen;
  std::vector<OpError*> next{&error};
  while (!next.empty()) {
    OpError* one = next.back();
    next.pop_back();
    if (!seen.insert(one).second || !visit(*one)) continue;
    for (const ErrorPtr& cause : one->causes) next.push_back(cause.get());
  }
}

// `reader`: the run that is told, by reading what has the error.
void mark(OpError& error, const Run* reader, uint64_t task) {
  bool all_own = true;
  std::vector<OpError*> met;
  with_causes(error, [&](OpError& one) {
    if (one.settled) return false;
    one.told.store(true, std::memory_order_release);
    uint64_t never = OpError::kNever;
    if (one.joint || is_over(one) || one.run.get() == reader) one.told_own.compare_exchange_strong(never, task);
    all_own &= told_own(one);
    met.push_back(&one);
    return true;
  });
  if (!all_own) return;
  for (OpError* one : met) one->settled = true;
}

// A chain of causes may be long: its end must not be a recursion.
void dispose(std::unique_ptr<OpError> error) {
  thread_local std::vector<ErrorPtr>* under_way = nullptr;
  if (under_way != nullptr) {
    std::move(error->causes.begin(), error->causes.end(), std::back_inserter(*under_way));
    return;
  }
  std::vector<ErrorPtr> rest = std::move(error->causes);
  under_way = &rest;
  error.reset();
  while (!rest.empty()) {
    ErrorPtr one = std::move(rest.back());
    rest.pop_back();
    one.reset();
  }
  under_way = nullptr;
}

}  // namespace

bool OpError::lifted(uint64_t task) const {
  if (joint) return std::all_of(causes.begin(), causes.end(), [&](const auto& cause) { return cause->lifted(task); });
  const uint64_t at = told_own.load(std::memory_order_acquire);
  return at != kNever ? task > at : run && run->excused.load(std::memory_order_acquire);
}

Failures::Failures(std::function<void()> announce) : announce_(std::move(announce)) {
  auto silent = std::make_shared<Run>();
  silent->over = silent->silent = true;
  runs_[kSilentRun] = std::move(silent);
  program_->over = true;  // nobody waits for its end
}

uint32_t Failures::begin() {
  auto run = std::make_shared<Run>();
  Session session(*this);
  do {
    last_run_ = last_run_ >= kRuns ? kSilentRun + 1 : last_run_ + 1;
  } while (runs_.count(last_run_) > 0);
  runs_[last_run_] = std::move(run);
  return last_run_;
}

void Failures::end(uint32_t number, bool excused) {
  Session session(*this);
  auto found = runs_.find(number);
  if (found == runs_.end() || number == kSilentRun) return;
  const std::shared_ptr<Run> run = found->second;
  runs_.erase(found);
  if (excused) run->excused = true;
  run->over = true;
  std::vector<Run::Entry> entries = std::move(run->entries);
  run->entries.clear();
  count_ -= entries.size();
  for (Run::Entry& entry : entries) {
    ErrorPtr error = entry.held ? std::move(entry.held) : entry.open.lock();
    // what somebody could still read, the end of the program must find
    if (error && !excused && !told(*error)) add(*program_, {entry.origin, nullptr, error, false}, session);
    session.bin.push_back(std::move(error));
  }
}

void Failures::close() {
  Session session(*this);
  closed_ = true;
  auto empty = [&](Run& run) {
    for (Run::Entry& entry : run.entries) session.bin.push_back(std::move(entry.held));
    run.entries.clear();
  };
  for (auto& [number, run] : runs_) empty(*run);
  empty(*program_);
  count_ = 0;
}

std::shared_ptr<Run> Failures::run_at(Origin origin) const {
  auto found = runs_.find(run_of(origin));
  return found == runs_.end() ? program_ : found->second;
}

ErrorPtr Failures::own(OpError* error) {
  return ErrorPtr(error, [failures = weak_from_this()](OpError* last) {
    const bool known = last->joint || told(*last) || last->reported.load(std::memory_order_acquire);
    auto here = known ? nullptr : failures.lock();
    if (here) {
      here->lost(last);
    } else {
      dispose(std::unique_ptr<OpError>(last));
    }
  });
}

ErrorPtr Failures::adopt(ErrorText text) {
  ErrorPtr error = own(new OpError);
  Session session(*this);
  error->number = ++last_;
  error->run = run_at(text.origin);
  error->what = std::make_shared<const ErrorText>(std::move(text));
  if (!error->run->silent) add(*error->run, {error->what->origin, nullptr, error, false}, session);
  return error;
}

void Failures::add(Run& run, Run::Entry entry, Session& session) {
  if (run.entries.size() >= run.prune_at) {
    std::vector<Run::Entry> rest;
    for (Run::Entry& known : run.entries) {
      ErrorPtr error = known.held ? known.held : known.open.lock();
      const bool keep = error && due(*error, known.in_place);
      session.bin.push_back(std::move(error));
      if (keep) {
        rest.push_back(std::move(known));
      } else {
        session.bin.push_back(std::move(known.held));
      }
    }
    count_ -= run.entries.size() - rest.size();
    run.entries = std::move(rest);
    run.prune_at = std::max<size_t>(64, run.entries.size() * 2);
  }
  if (entry.held && run.entries.size() >= kHeld) {  // the run has enough to reject with
    if (owed(*entry.held, program_.get())) note(*entry.held, session);
    entry.held->reported.store(true, std::memory_order_release);
    session.bin.push_back(std::move(entry.held));
    return;
  }
  run.entries.push_back(std::move(entry));
  count_++;
}

// With the lock held.
ErrorPtr Failures::derived(const std::shared_ptr<Run>& run, std::initializer_list<ErrorPtr> causes) {
  ErrorPtr error = own(new OpError);
  error->number = ++last_;
  error->run = run;
  error->what = (*causes.begin())->what;
  std::unordered_set<const OpError*> seen;
  auto add_cause = [&](const ErrorPtr& cause) {
    if (error->causes.size() < kCauses && seen.insert(cause.get()).second) error->causes.push_back(cause);
  };
  for (const ErrorPtr& cause : causes) {
    if (cause->joint) {
      for (const ErrorPtr& one : cause->causes) add_cause(one);
      error->leaves.insert(error->leaves.end(), cause->leaves.begin(), cause->leaves.end());
    } else {
      add_cause(cause);
    }
  }
  return error;
}

// With the lock held.
void Failures::hold_in_place(const ErrorPtr& error, Origin origin, Session& session) {
  error->in_place = true;
  // outside of runs that end, the poisoned memory alone holds it
  if (!error->run->silent && error->run != program_) add(*error->run, {origin, error, {}, true}, session);
}

void Failures::in_place(const ErrorPtr& error) {
  Session session(*this);
  hold_in_place(error, error->what->origin, session);
}

ErrorPtr Failures::in_place(const ErrorPtr& cause, Origin origin) {
  Session session(*this);
  ErrorPtr error = derived(run_at(origin), {cause});
  hold_in_place(error, origin, session);
  return error;
}

bool Failures::covers(const ErrorPtr& error, Origin origin, uint64_t task) {
  Session session(*this);
  const Run* run = run_at(origin).get();
  auto is_own = [&](const OpError& one) { return one.run.get() == run && one.in_place && !one.lifted(task); };
  if (!error->joint) return is_own(*error);
  return std::any_of(error->causes.begin(), error->causes.end(), [&](const auto& one) { return is_own(*one); });
}

void Failures::reach(const ErrorPtr& error, const std::vector<at::Tensor>& leaves) {
  Session session(*this);
  for (const at::Tensor& leaf : leaves) {
    if (error->leaves.size() >= kLeaves) return;
    WeakTensor weak(leaf.getIntrusivePtr());
    if (std::find(error->leaves.begin(), error->leaves.end(), weak) == error->leaves.end()) {
      error->leaves.push_back(std::move(weak));
    }
  }
}

std::vector<at::Tensor> Failures::reached(const ErrorPtr& error) {
  Session session(*this);
  std::vector<at::Tensor> leaves;
  std::unordered_set<const c10::TensorImpl*> seen;
  with_causes(*error, [&](OpError& one) {
    for (const WeakTensor& weak : one.leaves) {
      auto leaf = weak.lock();
      if (leaf && seen.insert(leaf.get()).second) leaves.push_back(at::Tensor(std::move(leaf)));
    }
    return true;
  });
  return leaves;
}

ErrorPtr Failures::join(const ErrorPtr& first, const ErrorPtr& second) {
  if (first == second) return first;
  Session session(*this);
  auto has = [](const OpError& joint, const ErrorPtr& one) {
    return joint.joint && std::find(joint.causes.begin(), joint.causes.end(), one) != joint.causes.end();
  };
  if (has(*first, second) || (first->joint && first->causes.size() >= kCauses)) return first;
  if (has(*second, first)) return second;
  ErrorPtr joint = derived(program_, {first, second});
  joint->joint = true;
  return joint;
}

void Failures::tell(const ErrorPtr& error, Origin reader, uint64_t task) {
  Session session(*this);
  mark(*error, run_at(reader).get(), task);
}

void Failures::tell_run(const ErrorPtr& error) {
  Session session(*this);
  with_causes(*error, [](OpError& one) { return !one.told.exchange(true, std::memory_order_acq_rel); });
}

ErrorPtr Failures::take(Origin origin, Reach reach) {
  if (reach == Reach::kNone || idle() || run_of(origin) == 0) return nullptr;
  Session session(*this);
  auto found = runs_.find(run_of(origin));
  if (found == runs_.end()) return nullptr;
  ErrorPtr first;
  for (const Run::Entry& entry : found->second->entries) {
    if (reach == Reach::kRun && !entry.held) continue;
    ErrorPtr error = entry.held ? entry.held : entry.open.lock();
    const bool wanted = error && due(*error, entry.in_place) && (reach == Reach::kAll || !error->claimed.load());
    if (wanted && (!first || error->number < first->number)) first = error;
    session.bin.push_back(std::move(error));
  }
  if (first) first->claimed.store(true);
  return first;
}

// The last reference is gone and nobody was told.
void Failures::lost(OpError* error) {
  std::unique_ptr<OpError> owned(error);
  {
    Session session(*this);
    const std::shared_ptr<Run> run = error->run;
    if (!closed_ && !run->silent && !run->excused && owed(*error, program_.get())) {
      if (run->over) {
        note(*error, session);
      } else {
        const Origin origin = error->what->origin;
        add(*run, {origin, own(owned.release()), {}, false}, session);
      }
    }
  }
  if (owned) dispose(std::move(owned));
}

void Failures::note(const OpError& error, Session& session) {
  session.announce |= unread_.empty() && left_out_ == 0;
  const ErrorText& what = *error.what;
  for (Unread& known : unread_) {
    if (known.origin != what.origin || known.message != what.message || known.code != what.code) continue;
    known.count++;
    return;
  }
  if (unread_.size() < kKinds) {
    unread_.push_back({what.code, what.message, what.op, what.origin, 1});
  } else {
    left_out_++;
  }
}

std::vector<Unread> Failures::take_unread() {
  Session session(*this);
  std::vector<Unread> taken = std::exchange(unread_, {});
  if (left_out_ > 0) taken.push_back({"", "", "", 0, std::exchange(left_out_, 0)});
  return taken;
}

std::vector<Unread> Failures::take_everything() {
  {
    std::vector<ErrorPtr> untold;
    Session session(*this);
    auto gather = [&](Run& run) {
      for (Run::Entry& entry : run.entries) {
        ErrorPtr error = entry.held ? entry.held : entry.open.lock();
        if (error && owed(*error, program_.get())) untold.push_back(error);
        session.bin.push_back(std::move(error));
      }
    };
    gather(*program_);
    for (auto& [number, run] : runs_) gather(*run);
    for (const ErrorPtr& error : untold) {
      if (told(*error)) continue;
      note(*error, session);
      mark(*error, error->run.get(), 0);
    }
    session.announce = false;  // they are taken at once
  }
  return take_unread();
}

}  // namespace torch_learner
