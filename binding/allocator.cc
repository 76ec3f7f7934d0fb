// A caching allocator for host tensors.
//
// glibc gives every large block back to the kernel when it is freed, so a training step that makes the same tensors
// over and over pays page faults for each of them. This allocator keeps large blocks in free lists by size and hands
// them out again warm. Small blocks go straight to the allocator that libtorch came with.
#include <unordered_map>

#include "convert.h"

#include <c10/core/CPUAllocator.h>

#include <cstdlib>
#include <list>

namespace torch_learner {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHeader = kAlignment;       // holds the block's size; keeps the data aligned
constexpr size_t kLarge = 64 * 1024;         // below this malloc's own bins are warm anyway
constexpr size_t kDefaultCache = size_t{1} << 30;

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes < kLarge) return small_->allocate(bytes);
    size_t size = round_up(bytes);
    void* block = take(size);
    if (block == nullptr) block = fresh(size);
    void* data = static_cast<char*>(block) + kHeader;
    return {data, block, &CachingAllocator::give_back, c10::Device(c10::kCPU)};
  }

  void copy_data(void* destination, const void* source, size_t count) const override {
    default_copy_data(destination, source, count);
  }

  void set_limit(size_t bytes) {
    std::lock_guard lock(mutex_);
    limit_ = bytes;
    trim(limit_);
  }

  size_t cached() {
    std::lock_guard lock(mutex_);
    return cached_;
  }

  void clear() {
    std::lock_guard lock(mutex_);
    trim(0);
  }

  static CachingAllocator& instance() {
    static auto* allocator = new CachingAllocator;  // tensors may outlive every environment
    return *allocator;
  }

 private:
  struct Block {
    size_t size;
    void* memory;
  };
  using Blocks = std::list<Block>;

  // An eighth of a power of two: at most 12.5 % is wasted, and sizes that differ a little share blocks.
  static size_t round_up(size_t bytes) {
    size_t power = size_t{1} << (63 - __builtin_clzll(bytes));
    size_t step = power / 8;
    return (bytes + step - 1) / step * step;
  }

  static void* fresh(size_t size) {
    void* block = nullptr;
    if (posix_memalign(&block, kAlignment, size + kHeader) != 0) {
      instance().clear();
      TORCH_CHECK_WITH(OutOfMemoryError, posix_memalign(&block, kAlignment, size + kHeader) == 0,
                       "Not enough memory for a tensor of ", size, " bytes");
    }
    *static_cast<size_t*>(block) = size;
    return block;
  }

  static void give_back(void* block) { instance().put(block); }

  void* take(size_t size) {
    std::lock_guard lock(mutex_);
    auto found = by_size_.find(size);
    if (found == by_size_.end() || found->second.empty()) return nullptr;
    auto position = found->second.back();  // the one freed last is the warmest
    found->second.pop_back();
    void* memory = position->memory;
    cached_ -= position->size;
    by_age_.erase(position);
    return memory;
  }

  void put(void* memory) {
    size_t size = *static_cast<size_t*>(memory);
    std::lock_guard lock(mutex_);
    if (size > limit_) {
      std::free(memory);
      return;
    }
    by_age_.push_back({size, memory});
    by_size_[size].push_back(std::prev(by_age_.end()));
    cached_ += size;
    trim(limit_);
  }

  // Frees the blocks unused for longest until at most `target` bytes are cached.
  void trim(size_t target) {
    while (cached_ > target && !by_age_.empty()) {
      auto oldest = by_age_.begin();
      auto& same = by_size_[oldest->size];
      same.erase(std::find(same.begin(), same.end(), oldest));
      if (same.empty()) by_size_.erase(oldest->size);
      cached_ -= oldest->size;
      std::free(oldest->memory);
      by_age_.erase(oldest);
    }
  }

  std::mutex mutex_;
  Blocks by_age_;
  std::unordered_map<size_t, std::vector<Blocks::iterator>> by_size_;
  size_t cached_ = 0;
  size_t limit_ = kDefaultCache;
  c10::Allocator* small_ = c10::GetDefaultCPUAllocator();
};

napi_value set_cache_limit(Environment&, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  int64_t bytes = read_integer(env, args[0], "bytes");
  if (bytes < 0) throw Misuse("ERR_INVALID_ARG", "Expected a non-negative number of bytes for the cache limit.");
  CachingAllocator::instance().set_limit(static_cast<size_t>(bytes));
  return nullptr;
}

napi_value cached_bytes(Environment&, napi_env env, napi_callback_info) {
  return to_js(env, static_cast<double>(CachingAllocator::instance().cached()));
}

napi_value empty_cache(Environment&, napi_env, napi_callback_info) {
  CachingAllocator::instance().clear();
  return nullptr;
}

}  // namespace

void init_allocator(napi_env env, napi_value exports) {
  static std::once_flag once;
  std::call_once(once, [] {
    const char* megabytes = std::getenv("TORCH_LEARNER_CACHE_MB");
    size_t limit = megabytes == nullptr ? kDefaultCache : std::strtoull(megabytes, nullptr, 10) << 20;
    if (limit == 0) return;  // libtorch's own allocator stays
    CachingAllocator::instance().set_limit(limit);
    c10::SetCPUAllocator(&CachingAllocator::instance(), 1);
  });
  define<set_cache_limit>(env, exports, "setCacheLimit");
  define<cached_bytes>(env, exports, "cachedBytes");
  define<empty_cache>(env, exports, "emptyCache");
}

}  // namespace torch_learner
