#include "stream.h"

#include <ATen/autocast_mode.h>

#include "dispatch.h"

namespace torch_learner {

namespace {

// How long an idle stream looks for work before it sleeps: long enough to bridge the gaps within a burst of calls,
// short enough not to steal a core from the data loader.
constexpr int kIdleSpins = 2000;

inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// What the exception that is being handled says of this task.
ErrorText caught(const Task& task) {
  ErrorText text = described();
  text.origin = task.origin;
  if (task.op == nullptr) return text;
  text.op = task.op->name;
  text.message += " (" + describe_call(task) + ")";
  return text;
}

template <typename Visit>
void each_tensor(const Task& task, Visit visit) {
  for (const Arg& arg : task.args) {
    if (arg.kind == Arg::Kind::kTensor) {
      visit(*arg.slot);
    } else if (arg.kind == Arg::Kind::kTensorList) {
      for (Slot* slot : *arg.list) {
        if (slot != nullptr) visit(*slot);
      }
    }
  }
}

}  // namespace

Stream::Stream(std::shared_ptr<Failures> failures) : ring_(kCapacity), failures_(std::move(failures)) {
  thread_ = std::thread([this] { loop(); });
}

Stream::~Stream() {
  stop();
  sweep();
  for (Slot* list : {spare_, dead_, recycled_.load()}) {
    while (list != nullptr) delete std::exchange(list, list->next);
  }
}

bool Stream::stop(std::optional<std::chrono::milliseconds> patience) {
  if (!thread_.joinable()) return true;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
    if (patience && !done_.wait_for(lock, *patience, [&] { return ended_.load(); })) {
      thread_.detach();
      return false;
    }
  }
  thread_.join();
  for (uint64_t c = tail_.load(); c < head_.load(); c++) finish(ring_[c % kCapacity]);
  tail_.store(head_.load());
  return true;
}

uint64_t Stream::push(Task&& task) {
  uint64_t head = head_.load(std::memory_order_relaxed);
  if (head - tail_.load(std::memory_order_acquire) >= kCapacity) wait(head - kCapacity + 1);
  ring_[head % kCapacity] = std::move(task);
  head_.store(head + 1, std::memory_order_seq_cst);
  wake();
  return head + 1;
}

// After something was published with seq_cst: the stream either sees it before it sleeps, or is seen to sleep.
void Stream::wake() {
  if (!asleep_.load(std::memory_order_seq_cst)) return;
  std::lock_guard lock(mutex_);
  wake_.notify_one();
}

void Stream::wait(uint64_t seq) {
  for (int i = 0; i < kIdleSpins; i++) {
    if (reached(seq)) return;
    cpu_relax();
  }
  std::unique_lock lock(mutex_);
  waited_for_.store(seq, std::memory_order_seq_cst);
  done_.wait(lock, [&] { return tail_.load(std::memory_order_seq_cst) >= seq || stopping_.load(); });
  waited_for_.store(0, std::memory_order_seq_cst);
}

// False when the stream is to stop.
bool Stream::await_work(uint64_t next) {
  auto found = [&] {
    return head_.load(std::memory_order_seq_cst) != next || garbage_.load(std::memory_order_seq_cst) != nullptr;
  };
  for (int i = 0; i < kIdleSpins; i++) {
    if (stopping_.load(std::memory_order_relaxed)) return false;
    if (found()) return true;
    cpu_relax();
  }
  if (!memory_.empty()) memory_.sweep(next + 1);
  std::unique_lock lock(mutex_);
  asleep_.store(true, std::memory_order_seq_cst);
  wake_.wait(lock, [&] { return stopping_.load() || found(); });
  asleep_.store(false, std::memory_order_seq_cst);
  return !stopping_.load();
}

void Stream::loop() {
  at::init_num_threads();
  for (;;) {
    uint64_t c = tail_.load(std::memory_order_relaxed);
    if (!await_work(c)) break;
    if (garbage_.load(std::memory_order_relaxed) != nullptr) sweep();
    if (c == head_.load(std::memory_order_acquire)) continue;
    Task& task = ring_[c % kCapacity];
    execute(task, c + 1);
    finish(task);
    if (freed_ > memory_.size() + 64) tidy(c + 2);
    tail_.store(c + 1, std::memory_order_seq_cst);
    uint64_t target = waited_for_.load(std::memory_order_seq_cst);
    if (target != 0 && c + 1 >= target) {
      std::lock_guard lock(mutex_);
      done_.notify_all();
    }
  }
  std::lock_guard lock(mutex_);
  ended_ = true;
  done_.notify_all();
}

void Stream::set_modes(const Modes& modes) {
  if (modes.grad != current_.grad) at::GradMode::set_enabled(modes.grad);
  if (modes.autocast != current_.autocast || modes.autocast_dtype != current_.autocast_dtype) {
    at::autocast::set_autocast_enabled(at::kCPU, modes.autocast);
    at::autocast::set_autocast_dtype(at::kCPU, modes.autocast_dtype);
    if (at::hasCUDA()) {
      at::autocast::set_autocast_enabled(at::kCUDA, modes.autocast);
      at::autocast::set_autocast_dtype(at::kCUDA, modes.autocast_dtype);
    }
  }
  // Casts of weights are kept for one block, as torch.autocast does. Those made without gradients have none.
  if (current_.autocast &&
      (!modes.autocast || modes.autocast_block != current_.autocast_block || modes.grad != current_.grad)) {
    at::autocast::clear_cache();
  }
  current_ = modes;
}

void Stream::execute(Task& task, uint64_t number) {
  ErrorPtr error = task.always ? nullptr : poisoned(task, number);
  const bool own = !error;
  if (own) {
    try {
      if (task.modes) set_modes(*task.modes);
      if (task.op != nullptr) {
        run_operator(task, stack_);
      } else {
        task.run(task);
      }
      for (Slot* slot : task.outs) holdings_.count(slot->holding, slot->value);
      for (Slot* slot : task.in_place) holdings_.count(slot->holding, slot->value);  // it may have grown
    } catch (...) {
      error = failures_->adopt(caught(task));
      if (keep_failed_) {
        failed_ = error;
        failed_number_ = number;
      }
    }
    stack_.clear();
  }
  if (error) poison(task, number, std::move(error), own);
}

ErrorPtr Stream::error_of(const Slot& slot, uint64_t task) {
  if (const ErrorPtr* error = slot.live_error(task)) return *error;
  return memory_.find(slot.value, task);
}

// The error of the poisoned inputs, if any. A result depends on all of them: they are told together.
ErrorPtr Stream::poisoned(const Task& task, uint64_t number) {
  ErrorPtr first;
  const bool clean = memory_.empty();
  const bool values = task.op == nullptr || !task.op->ignores_values;
  auto add = [&](ErrorPtr error) {
    if (error) first = first ? failures_->join(first, error) : std::move(error);
  };
  auto add_gradient = [&](const at::Tensor& tensor) {
    if (tensor.defined() && tensor.is_leaf() && tensor.requires_grad()) add(memory_.find(tensor.grad(), number));
  };
  each_tensor(task, [&](const Slot& slot) {
    if (clean && !slot.error) return;
    if (values) {
      add(error_of(slot, number));
    } else if (!slot.value.defined()) {
      add(slot.error);
    }
    if (!clean && values && task.op != nullptr && task.op->reads_gradients) add_gradient(slot.value);
  });
  if (!clean && task.op != nullptr && task.op->is_backward && task.args[0].kind == Arg::Kind::kTensor) {
    for (const at::Tensor& leaf : leaves_of(task.args[0].slot->value)) add_gradient(leaf);
  }
  return first;
}

// Results are poisoned for good; what should have been changed in place, until its run has been told. `own`: the
// operator itself has failed, and not what it was to work with.
void Stream::poison(Task& task, uint64_t number, ErrorPtr error, bool own) {
  c10::SmallVector<std::pair<Slot*, at::Tensor>, 4> targets;  // a slot, or memory alone
  for (Slot* slot : task.in_place) targets.emplace_back(slot, slot->value);
  const bool is_backward = task.op != nullptr && task.op->is_backward;
  if (task.op != nullptr && task.op->return_alias.empty() && task.in_place.empty() && !task.args.empty() &&
      task.args[0].kind == Arg::Kind::kTensor) {
    // no results and no targets: it was to change the tensor that it is called on, and a backward also the leaves
    Slot* self = task.args[0].slot;
    targets.emplace_back(self, self->value);
    if (is_backward) {
      // a tensor without a value has no history, but its error knows
      for (at::Tensor& leaf : self->value.defined() ? leaves_of(self->value) : failures_->reached(error)) {
        if (leaf.grad().defined()) targets.emplace_back(nullptr, leaf.grad());
        targets.emplace_back(nullptr, std::move(leaf));
      }
    }
  }
  bool fresh = own;  // whether `error` is one that the run will hear of
  if (own && !targets.empty()) failures_->in_place(error);
  for (auto& [slot, tensor] : targets) {
    if (slot != nullptr && slot->error && !slot->passing) {  // it never had a value, and now depends on all this, too
      if (!own) slot->error = error;
      continue;
    }
    const ErrorPtr known = slot != nullptr ? error_of(*slot, number) : memory_.find(tensor, number);
    if (known && failures_->covers(known, task.origin, number)) continue;
    if (!std::exchange(fresh, true)) error = failures_->in_place(error, task.origin);
    const ErrorPtr both = known ? failures_->join(known, error) : error;
    if (slot != nullptr) {
      slot->error = both;
      slot->passing = true;
    }
    memory_.add(tensor, both);
  }
  if (!fresh && is_backward) error = failures_->in_place(error, task.origin);
  if (!task.outs.empty() && task.modes && task.modes->grad) {
    std::vector<at::Tensor> leaves;
    each_tensor(task, [&](const Slot& slot) {
      if (!slot.value.defined() || !slot.value.requires_grad()) return;
      for (at::Tensor& leaf : leaves_of(slot.value)) leaves.push_back(std::move(leaf));
    });
    if (!leaves.empty()) failures_->reach(error, leaves);
  }
  for (Slot* slot : task.outs) {
    slot->value.reset();
    slot->error = error;
  }
}

void Stream::tidy(uint64_t number) {
  if (garbage_.load(std::memory_order_acquire) != nullptr) sweep();
  if (!memory_.empty()) memory_.sweep(number);
  freed_ = 0;
}

void Stream::finish(Task& task) {
  auto release = [this](Slot* slot) {
    if (slot != nullptr && slot->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(slot);
  };
  for (Arg& arg : task.args) {
    switch (arg.kind) {
      case Arg::Kind::kTensor:
        release(arg.slot);
        break;
      case Arg::Kind::kTensorList:
        for (Slot* slot : *arg.list) release(slot);
        delete arg.list;
        break;
      case Arg::Kind::kIntList:
        delete arg.integers;
        break;
      case Arg::Kind::kValue:
        delete arg.value;
        break;
      default:
        break;
    }
  }
  for (Slot* slot : task.outs) release(slot);
  task.args.clear();
  task.outs.clear();
  task.in_place.clear();
  task.run = nullptr;
  task.results.clear();
  task.op = nullptr;
  task.always = false;
  task.origin = 0;
}

void Stream::destroy(Slot* slot) {
  constexpr size_t kBatch = 32;
  constexpr size_t kKept = 4 * kCapacity;  // more are made again when they are needed
  holdings_.forget(slot->holding);
  slot->value.reset();
  slot->error.reset();
  if (!memory_.empty()) freed_++;
  if (dead_ == nullptr) last_dead_ = slot;
  slot->next = dead_;
  dead_ = slot;
  if (++dead_count_ < kBatch) return;
  if (recycled_count_.fetch_add(dead_count_, std::memory_order_relaxed) >= kKept) {
    recycled_count_.fetch_sub(dead_count_, std::memory_order_relaxed);
    slots_.fetch_sub(static_cast<int64_t>(dead_count_), std::memory_order_relaxed);
    while (dead_ != nullptr) delete std::exchange(dead_, dead_->next);
    dead_count_ = 0;
    return;
  }
  Slot* top = recycled_.load(std::memory_order_relaxed);
  do {
    last_dead_->next = top;
  } while (!recycled_.compare_exchange_weak(top, dead_, std::memory_order_release, std::memory_order_relaxed));
  dead_ = nullptr;
  dead_count_ = 0;
}

Slot* Stream::make_slot() {
  if (spare_ == nullptr) {
    recycled_count_.store(0, std::memory_order_relaxed);
    spare_ = recycled_.exchange(nullptr, std::memory_order_acquire);
  }
  if (spare_ == nullptr) {
    slots_.fetch_add(1, std::memory_order_relaxed);
    return new Slot;
  }
  Slot* slot = std::exchange(spare_, spare_->next);
  slot->refs.store(1, std::memory_order_relaxed);
  slot->seq = 0;
  slot->passing = false;
  slot->next = nullptr;
  return slot;
}

Slot* Stream::make_slot(at::Tensor value) {
  Slot* slot = make_slot();
  slot->value = std::move(value);
  holdings_.count(slot->holding, slot->value);
  return slot;
}

void Stream::drop(Slot* slot) {
  if (slot->refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  Slot* top = garbage_.load(std::memory_order_relaxed);
  do {
    slot->next = top;
  } while (!garbage_.compare_exchange_weak(top, slot, std::memory_order_seq_cst, std::memory_order_relaxed));
  wake();
}

void Stream::sweep() {
  Slot* list = garbage_.exchange(nullptr, std::memory_order_acquire);
  while (list != nullptr) destroy(std::exchange(list, list->next));
}

}  // namespace torch_learner
