#include "poisoned_memory.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>

#include <unordered_set>

namespace torch_learner {

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
