// How much memory the tensors of an environment hold: each storage counts once, however many handles and views share
// it.
#pragma once

#include <c10/util/flat_hash_map.h>

#include "common.h"

namespace torch_learner {

// What a handle is counted for. Belongs to the thread that writes the handle's value.
struct Holding {
  const c10::StorageImpl* storage = nullptr;
  int64_t bytes = 0;  // its size when it was last looked at
};

class Holdings {
 public:
  // Counts the storage that `value` is on now, instead of the one before.
  void count(Holding& holding, const at::Tensor& value);
  void forget(Holding& holding);
  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    int64_t handles = 0;
    int64_t bytes = 0;
  };

  void leave(const c10::StorageImpl* storage);

  std::mutex mutex_;
  ska::flat_hash_map<const c10::StorageImpl*, Entry> storages_;
  std::atomic<int64_t> bytes_{0};
};

}  // namespace torch_learner
