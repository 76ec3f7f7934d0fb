#include "failures.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>

#include <unordered_set>

namespace torch_learner {

namespace {

constexpr size_t kHeld = 1024;  // untold errors that a run holds on to
constexpr size_t kKinds = 32;   // different errors on their way to JavaScript
constexpr size_t kCauses = 256;

bool told(const OpError& error) { return error.told.load(std::memory_order_acquire); }
bool told_own(const OpError& error) { return error.told_own.load(std::memory_order_acquire) != OpError::kNever; }

// Whether its run is still to be told, by what it takes.
bool due(const OpError& error, bool in_place) {
  return !(in_place ? told_own(error) : told(error)) && !error.claimed.load(std::memory_order_acquire);
}

// Whether the end of its last handle is the last chance to say it.
bool owed(const OpError& error, const Run* program) {
  if (told(error) || error.joint) return false;
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

void mark(OpError& error, const Run* reader, uint64_t task) {
  with_causes(error, [&](OpError& one) {
    one.told.store(true, std::memory_order_release);
    bool own = !one.run || one.run->over.load(std::memory_order_relaxed);
    for (const Run* run = reader; run != nullptr && !own; run = run->parent.get()) own = run == one.run.get();
    uint64_t never = OpError::kNever;
    if (own) one.told_own.compare_exchange_strong(never, task, std::memory_order_acq_rel);
    return true;
  });
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
  const uint64_t at = told_own.load(std::memory_order_acquire);
  if (at != kNever) return task > at;
  return run && (run->excused.load(std::memory_order_acquire) ||
                 (run->over.load(std::memory_order_acquire) && told.load(std::memory_order_acquire)));
}

// References that are given up are collected in a `bin` that outlives the lock: the last one to an untold error ends in
// lost(), which takes the lock itself.
using Bin = std::vector<ErrorPtr>;

Failures::Failures(std::function<void()> announce) : announce_(std::move(announce)) {
  auto silent = std::make_shared<Run>();
  silent->over = silent->silent = true;
  runs_[kSilentRun] = std::move(silent);
  program_->over = true;  // nobody waits for its end
}

void Failures::begin(uint32_t number, uint32_t parent) {
  auto run = std::make_shared<Run>();
  std::lock_guard lock(mutex_);
  auto found = runs_.find(parent);
  run->parent = found == runs_.end() || found->second->silent ? program_ : found->second;
  runs_[number] = std::move(run);
}

void Failures::end(uint32_t number, bool excused) {
  Bin bin;
  std::lock_guard lock(mutex_);
  auto found = runs_.find(number);
  if (found == runs_.end() || number == kSilentRun) return;
  Run& run = *found->second;
  for (Run::Entry& entry : run.entries) {
    ErrorPtr error = entry.held ? std::move(entry.held) : entry.open.lock();
    // what somebody could still read, the end of the program must find
    if (error && !excused && !told(*error)) add(*program_, {entry.origin, nullptr, error, false}, bin);
    bin.push_back(std::move(error));
  }
  count_ -= run.entries.size();
  run.entries.clear();
  if (excused) run.excused = true;
  run.over = true;
  runs_.erase(found);
}

void Failures::close() {
  Bin bin;
  std::lock_guard lock(mutex_);
  closed_ = true;
  auto empty = [&](Run& run) {
    for (Run::Entry& entry : run.entries) bin.push_back(std::move(entry.held));
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
    auto here = last->joint || told(*last) ? nullptr : failures.lock();
    if (here) {
      here->lost(last);
    } else {
      dispose(std::unique_ptr<OpError>(last));
    }
  });
}

ErrorPtr Failures::adopt(ErrorText failure) {
  Bin bin;
  ErrorPtr error = own(new OpError);
  std::lock_guard lock(mutex_);
  error->number = ++last_;
  error->run = run_at(failure.origin);
  error->what = std::make_shared<const ErrorText>(std::move(failure));
  if (!error->run->silent) add(*error->run, {error->what->origin, nullptr, error, false}, bin);
  return error;
}

void Failures::add(Run& run, Run::Entry entry, Bin& bin) {
  if (run.entries.size() >= run.prune_at) {
    std::vector<Run::Entry> rest;
    for (Run::Entry& known : run.entries) {
      ErrorPtr error = known.held ? known.held : known.open.lock();
      const bool keep = error && due(*error, known.in_place);
      bin.push_back(std::move(error));
      if (keep) {
        rest.push_back(std::move(known));
      } else {
        bin.push_back(std::move(known.held));
      }
    }
    count_ -= run.entries.size() - rest.size();
    run.entries = std::move(rest);
    run.prune_at = std::max<size_t>(64, run.entries.size() * 2);
  }
  if (entry.held && run.entries.size() >= kHeld) {
    bin.push_back(std::move(entry.held));
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
  // Left out are errors that have nothing to tell beside their own causes: otherwise chains of them grow for ever where
  // run after run works on the same spoiled memory.
  auto passes_on = [&](const OpError& one) {
    return one.joint || (!one.causes.empty() && one.run->over && !one.run->silent && one.run != program_);
  };
  auto& known = error->causes;
  std::vector<ErrorPtr> next(causes);
  while (!next.empty() && known.size() < kCauses) {
    ErrorPtr cause = std::move(next.back());
    next.pop_back();
    if (passes_on(*cause)) {
      next.insert(next.end(), cause->causes.begin(), cause->causes.end());
    } else if (std::find(known.begin(), known.end(), cause) == known.end()) {
      known.push_back(std::move(cause));
    }
  }
  return error;
}

void Failures::in_place(const ErrorPtr& error) {
  Bin bin;
  std::lock_guard lock(mutex_);
  error->in_place = true;
  // outside of runs that end, the poisoned memory alone holds it
  if (!error->run->silent && error->run != program_) add(*error->run, {error->what->origin, error, {}, true}, bin);
}

ErrorPtr Failures::in_place(const ErrorPtr& cause, Origin origin) {
  Bin bin;
  std::lock_guard lock(mutex_);
  ErrorPtr error = derived(run_at(origin), {cause});
  error->in_place = true;
  if (!error->run->silent && error->run != program_) add(*error->run, {origin, error, {}, true}, bin);
  return error;
}

bool Failures::covers(const ErrorPtr& error, Origin origin, uint64_t task) {
  std::lock_guard lock(mutex_);
  const Run* run = run_at(origin).get();
  bool found = false;
  with_causes(*error, [&](OpError& one) {
    found |= one.run.get() == run && one.in_place && !one.lifted(task);
    return !found;
  });
  return found;
}

ErrorPtr Failures::join(const ErrorPtr& first, const ErrorPtr& second) {
  if (first == second) return first;
  std::lock_guard lock(mutex_);
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
  std::lock_guard lock(mutex_);
  mark(*error, run_at(reader).get(), task);
}

ErrorPtr Failures::take(Origin origin, Reach reach) {
  if (idle() || run_of(origin) == 0) return nullptr;
  Bin bin;
  std::lock_guard lock(mutex_);
  auto found = runs_.find(run_of(origin));
  if (found == runs_.end()) return nullptr;
  ErrorPtr first;
  for (const Run::Entry& entry : found->second->entries) {
    if (reach == Reach::kPlace && !(entry.in_place && entry.origin == origin)) continue;
    if (reach == Reach::kRun && !entry.held) continue;
    ErrorPtr error = entry.held ? entry.held : entry.open.lock();
    if (error && due(*error, entry.in_place) && (!first || error->number < first->number)) first = error;
    bin.push_back(std::move(error));
  }
  if (first) first->claimed.store(true, std::memory_order_release);
  return first;
}

// The last reference is gone and nobody was told.
void Failures::lost(OpError* error) {
  std::unique_ptr<OpError> owned(error);
  bool announce = false;
  {
    Bin bin;
    std::lock_guard lock(mutex_);
    const std::shared_ptr<Run> run = error->run;
    if (!closed_ && !run->silent && !run->excused && owed(*error, program_.get())) {
      if (run->over) {
        announce = unread_.empty() && left_out_ == 0;
        note(*error);
      } else {
        Origin origin = error->what->origin;
        add(*run, {origin, own(owned.release()), {}, false}, bin);
      }
    }
  }
  if (owned) dispose(std::move(owned));
  if (announce) announce_();
}

void Failures::note(const OpError& error) {
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
  std::lock_guard lock(mutex_);
  std::vector<Unread> taken = std::exchange(unread_, {});
  if (left_out_ > 0) taken.push_back({"", "", "", 0, std::exchange(left_out_, 0)});
  return taken;
}

std::vector<Unread> Failures::take_everything() {
  {
    Bin untold;
    Bin bin;
    std::lock_guard lock(mutex_);
    auto gather = [&](Run& run) {
      for (Run::Entry& entry : run.entries) {
        ErrorPtr error = entry.held ? entry.held : entry.open.lock();
        if (error && owed(*error, program_.get())) untold.push_back(error);
        bin.push_back(std::move(error));
      }
    };
    gather(*program_);
    for (auto& [number, run] : runs_) gather(*run);
    for (const ErrorPtr& error : untold) {
      if (told(*error)) continue;
      note(*error);
      mark(*error, error->run.get(), 0);
    }
  }
  return take_unread();
}

void PoisonedMemory::add(const at::Tensor& tensor, const ErrorPtr& error) {
  if (!tensor.defined() || !tensor.has_storage()) return;
  const c10::Storage& storage = tensor.storage();
  ErrorPtr former;
  std::lock_guard lock(mutex_);
  Entry& entry =
      entries_.try_emplace(storage.unsafeGetStorageImpl(), Entry{storage.getWeakStorageImpl(), nullptr}).first->second;
  former = std::exchange(entry.error, error);
  size_.store(entries_.size(), std::memory_order_release);
}

ErrorPtr PoisonedMemory::find(const at::Tensor& tensor, uint64_t task) {
  if (empty() || !tensor.defined() || !tensor.has_storage()) return nullptr;
  std::lock_guard lock(mutex_);
  auto found = entries_.find(tensor.storage().unsafeGetStorageImpl());
  return found != entries_.end() && !found->second.error->lifted(task) ? found->second.error : nullptr;
}

void PoisonedMemory::sweep(uint64_t task) {
  std::vector<Entry> bin;  // released without the lock
  std::lock_guard lock(mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (!it->second.error->lifted(task) && it->second.storage.use_count() > 0) {
      ++it;
    } else {
      bin.push_back(std::move(it->second));
      it = entries_.erase(it);
    }
  }
  size_.store(entries_.size(), std::memory_order_release);
}

std::vector<at::Tensor> leaves_of(const at::Tensor& root) {
  std::vector<at::Tensor> leaves;
  if (!root.defined()) return leaves;
  if (!root.grad_fn()) {
    if (root.requires_grad()) leaves.push_back(root);
    return leaves;
  }
  std::unordered_set<torch::autograd::Node*> seen;
  std::vector<torch::autograd::Node*> next{root.grad_fn().get()};
  while (!next.empty()) {
    auto* node = next.back();
    next.pop_back();
    if (!seen.insert(node).second) continue;
    if (auto* leaf = dynamic_cast<torch::autograd::AccumulateGrad*>(node)) leaves.push_back(leaf->variable);
    for (const auto& edge : node->next_edges()) {
      if (edge.function) next.push_back(edge.function.get());
    }
  }
  return leaves;
}

}  // namespace torch_learner
