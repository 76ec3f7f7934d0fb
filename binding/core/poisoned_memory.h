// What failed in-place operators have left out of date.
#pragma once

#include <unordered_map>

#include "error.h"

namespace torch_learner {

// The memory that failed in-place operators were to change: it is poisoned for whoever uses it, under whatever name,
// until its own run has been told. For the stream's thread, but for `find`.
class PoisonedMemory {
 public:
  bool empty() const { return size_.load(std::memory_order_acquire) == 0; }
  void add(const at::Tensor& tensor, const ErrorPtr& error);
  // `task`: the number of whoever uses it
  ErrorPtr find(const at::Tensor& tensor, uint64_t task);
  // Forgets what tasks from this number on may use again, and memory that is gone.
  void sweep(uint64_t task);
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
