#include "checks.h"

namespace torch_learner {

Check find_check(const std::string& name) {
  for (const CheckTable* table : {&norm_checks(), &index_checks(), &size_checks()}) {
    const auto found = table->find(name);
    if (found != table->end()) return found->second;
  }
  return nullptr;
}

}  // namespace torch_learner
