#include "holdings.h"

namespace torch_learner {

namespace {

// Null for what has no memory of its own: undefined, sparse and meta tensors.
const c10::StorageImpl* storage_of(const at::Tensor& value) {
  if (!value.defined() || !value.has_storage() || value.is_meta()) return nullptr;
  return value.storage().unsafeGetStorageImpl();
}

}  // namespace

void Holdings::count(Holding& holding, const at::Tensor& value) {
  const c10::StorageImpl* storage = storage_of(value);
  const int64_t bytes = storage == nullptr ? 0 : static_cast<int64_t>(storage->nbytes());
  if (holding.storage == storage && holding.bytes == bytes) return;
  std::lock_guard lock(mutex_);
  if (holding.storage != storage) {
    if (holding.storage != nullptr) leave(holding.storage);
    if (storage != nullptr) storages_[storage].handles++;
  }
  holding = {storage, bytes};
  if (storage == nullptr) return;
  // A handle whose tensor another one has moved to other memory may still stand here for a storage that is gone. The
  // numbers come right when that handle goes.
  Entry& entry = storages_[storage];
  bytes_.fetch_add(bytes - std::exchange(entry.bytes, bytes), std::memory_order_relaxed);
}

void Holdings::forget(Holding& holding) {
  if (holding.storage == nullptr) return;
  std::lock_guard lock(mutex_);
  leave(holding.storage);
  holding = {};
}

void Holdings::leave(const c10::StorageImpl* storage) {
  auto found = storages_.find(storage);
  if (--found->second.handles > 0) return;
  bytes_.fetch_sub(found->second.bytes, std::memory_order_relaxed);
  storages_.erase(found);
}

}  // namespace torch_learner
