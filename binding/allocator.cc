// A caching allocator for host tensors.
//
// glibc gives every large block back to the kernel when it is freed, so a training step that makes the same tensors
// over and over pays page faults for each of them. This allocator keeps large blocks in free lists by size and hands
// them out again warm. Small blocks go straight to malloc, whose own bins keep them warm.
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <list>
#include <unordered_map>

#include "convert.h"

namespace torch_learner {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHeader = kAlignment;     // before the data: the block's size, or 0 for a small one
constexpr size_t kLarge = 64 * 1024;       // below this malloc's own bins are warm anyway
constexpr size_t kHuge = size_t{1} << 28;  // from here on the system is asked whether it has that much
constexpr size_t kDefaultCache = size_t{1} << 30;

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &CachingAllocator::give_back, c10::Device(c10::kCPU)};
    size_t size = bytes < kLarge ? 0 : round_up(bytes);
    void* data = size == 0 ? nullptr : take(size);
    if (data == nullptr) data = fresh(std::max(size, bytes), size);
    return {data, data, &CachingAllocator::give_back, c10::Device(c10::kCPU)};
  }

  // oneDNN takes its scratch memory this way.
  c10::DeleterFnPtr raw_deleter() const override { return &CachingAllocator::give_back; }

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

  static size_t& size_of(void* data) { return *reinterpret_cast<size_t*>(static_cast<char*>(data) - kHeader); }

  static void release(void* data) { std::free(static_cast<char*>(data) - kHeader); }

  // `size` is what the header says: the size to cache the block under, 0 for never.
  static void* fresh(size_t bytes, size_t size) {
    void* block = nullptr;
    if (bytes > SIZE_MAX - kHeader || posix_memalign(&block, kAlignment, bytes + kHeader) != 0) {
      instance().clear();
      TORCH_CHECK_WITH(OutOfMemoryError,
                       bytes <= SIZE_MAX - kHeader && posix_memalign(&block, kAlignment, bytes + kHeader) == 0,
                       "Not enough memory for a tensor of ", bytes, " bytes");
    }
    void* data = static_cast<char*>(block) + kHeader;
    size_of(data) = size;
    return data;
  }

  // Linux promises more memory than there is and kills who believes it. An error can be caught.
  static bool fits(size_t size) {
#if defined(__linux__)
    if (size < kHuge) return true;
    std::ifstream file("/proc/meminfo");
    std::string name, unit;
    size_t kilobytes = 0, available = 0;
    while (file >> name >> kilobytes && std::getline(file, unit)) {
      if (name == "MemAvailable:" || name == "SwapFree:") available += kilobytes;
    }
    return available == 0 || size / 1024 <= available;
#else
    return true;
#endif
  }

  static void give_back(void* data) {
    if (data == nullptr) return;
    if (size_of(data) == 0) {
      release(data);
    } else {
      instance().put(data);
    }
  }

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
    size_t size = size_of(memory);
    std::lock_guard lock(mutex_);
    if (size > limit_) {
      release(memory);
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
      release(oldest->memory);
      by_age_.erase(oldest);
    }
  }

  std::mutex mutex_;
  Blocks by_age_;
  std::unordered_map<size_t, std::vector<Blocks::iterator>> by_size_;
  size_t cached_ = 0;
  size_t limit_ = kDefaultCache;
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
