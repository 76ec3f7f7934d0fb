#include "failures.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>

#include <unordered_set>

namespace torch_learner {

namespace {

constexpr size_t kHeld = 1024;   // untold errors that a run holds on to
constexpr size_t kKinds = 32;    // different errors on their way to JavaScript
constexpr size_t kJoined = 256;  // errors that are told with another one

bool untold(const ErrorPtr& error) { return error && !error->told.load(std::memory_order_acquire); }

}  // namespace

// References that are given up are collected in a `bin` that outlives the lock: the last one to an untold error ends in
// lost(), which takes the lock itself.
using Bin = std::vector<ErrorPtr>;

Failures::Failures(std::function<void()> announce) : announce_(std::move(announce)) {
  auto silent = std::make_shared<Run>();
  silent->over = silent->silent = true;
  runs_[kSilentRun] = std::move(silent);
}

void Failures::begin(uint32_t run) {
  std::lock_guard lock(mutex_);
  runs_[run] = std::make_shared<Run>();
}

void Failures::end(uint32_t number, bool silent) {
  Bin bin;
  std::lock_guard lock(mutex_);
  auto found = runs_.find(number);
  if (found == runs_.end() || number == kSilentRun) return;
  Run& run = *found->second;
  for (Run::Entry& entry : run.entries) {
    ErrorPtr error = entry.held ? std::move(entry.held) : entry.open.lock();
    if (!error) continue;
    if (silent) mark(error);
    bin.push_back(std::move(error));
  }
  count_ -= run.entries.size();
  run.entries.clear();
  run.over = true;
  run.silent = silent;
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

ErrorPtr Failures::own(OpError* error) {
  return ErrorPtr(error, [failures = weak_from_this()](OpError* last) {
    auto here = last->told.load(std::memory_order_acquire) ? nullptr : failures.lock();
    if (here) {
      here->lost(last);
    } else {
      delete last;
    }
  });
}

ErrorPtr Failures::adopt(std::unique_ptr<OpError> made) {
  Bin bin;
  ErrorPtr error = own(made.release());
  std::lock_guard lock(mutex_);
  error->number = ++last_;
  auto found = runs_.find(run_of(error->origin));
  error->run = found == runs_.end() ? program_ : found->second;
  if (!error->run->silent) add(*error->run, {error->origin, nullptr, error, false}, bin);
  return error;
}

void Failures::add(Run& run, Run::Entry entry, Bin& bin) {
  if (run.entries.size() >= run.prune_at) {
    std::vector<Run::Entry> rest;
    for (Run::Entry& known : run.entries) {
      ErrorPtr error = known.held ? known.held : known.open.lock();
      const bool keep = untold(error);
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

void Failures::in_place(const ErrorPtr& error, Origin origin) {
  Bin bin;
  std::lock_guard lock(mutex_);
  auto found = runs_.find(run_of(origin));
  // outside of runs the poisoned memory alone holds it
  if (found == runs_.end() || found->second->silent || !untold(error)) return;
  add(*found->second, {origin, error, {}, true}, bin);
}

void Failures::join(const ErrorPtr& error, const ErrorPtr& other) {
  if (error == other) return;
  std::lock_guard lock(mutex_);
  std::unordered_set<const OpError*> seen;
  std::vector<const OpError*> next{other.get()};
  while (!next.empty()) {  // no rings: the two would keep each other for ever
    const OpError* one = next.back();
    next.pop_back();
    if (one == error.get()) return;
    if (!seen.insert(one).second) continue;
    for (const ErrorPtr& joined : one->joined) next.push_back(joined.get());
  }
  auto& joined = error->joined;
  if (joined.size() >= kJoined || std::find(joined.begin(), joined.end(), other) != joined.end()) return;
  joined.push_back(other);
}

void Failures::mark(const ErrorPtr& error) {
  std::vector<OpError*> next{error.get()};
  while (!next.empty()) {
    OpError* one = next.back();
    next.pop_back();
    if (one->told.exchange(true, std::memory_order_acq_rel)) continue;
    for (const ErrorPtr& joined : one->joined) next.push_back(joined.get());
  }
}

void Failures::tell(const ErrorPtr& error) {
  std::lock_guard lock(mutex_);
  mark(error);
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
    if (untold(error) && (!first || error->number < first->number)) first = error;
    bin.push_back(std::move(error));
  }
  if (first) mark(first);
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
    if (closed_ || run->silent) return;
    if (run == program_ || run->over) {
      announce = unread_.empty() && left_out_ == 0;
      note(*error);
    } else {
      Origin origin = error->origin;
      add(*run, {origin, own(owned.release()), {}, false}, bin);
    }
  }
  if (announce) announce_();
}

void Failures::note(const OpError& error) {
  for (Unread& known : unread_) {
    if (known.origin != error.origin || known.message != error.message || known.code != error.code) continue;
    known.count++;
    return;
  }
  if (unread_.size() < kKinds) {
    unread_.push_back({error.code, error.message, error.op, error.origin, 1});
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
    Bin bin;
    std::lock_guard lock(mutex_);
    auto gather = [&](Run& run) {
      for (Run::Entry& entry : run.entries) {
        ErrorPtr error = entry.held ? entry.held : entry.open.lock();
        if (untold(error)) {
          note(*error);
          mark(error);
        }
        bin.push_back(std::move(error));
      }
    };
    gather(*program_);
    for (auto& [number, run] : runs_) gather(*run);
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

ErrorPtr PoisonedMemory::find(const at::Tensor& tensor) {
  if (empty() || !tensor.defined() || !tensor.has_storage()) return nullptr;
  std::lock_guard lock(mutex_);
  auto found = entries_.find(tensor.storage().unsafeGetStorageImpl());
  return found != entries_.end() && untold(found->second.error) ? found->second.error : nullptr;
}

void PoisonedMemory::sweep() {
  std::vector<Entry> bin;  // released without the lock
  std::lock_guard lock(mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (untold(it->second.error) && it->second.storage.use_count() > 0) {
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
