// A caching allocator for host tensors.
//
// glibc gives every large block back to the kernel when it is freed, so a training step that makes the same tensors
// over and over pays page faults for each of them. This allocator keeps large blocks in free lists by size and hands
// them out again warm. Small blocks go straight to malloc, whose own bins keep them warm.
//
// It also refuses what the system doesn't have: Linux promises more memory than there is, and kills who believes it,
// where an error could be caught.
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstdlib>
#include <list>
#include <unordered_map>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "convert.h"
#include "memory_room.h"

namespace torch_learner {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHeader = kAlignment;      // before the data: the block's size, or 0 for a small one
constexpr size_t kLarge = 64 * 1024;        // below this malloc's own bins are warm anyway
constexpr size_t kAsked = size_t{1} << 27;  // for so much the system is asked whether it has it
constexpr size_t kStep = size_t{1} << 26;
constexpr size_t kSpare = size_t{1} << 28;  // left to everything else
constexpr size_t kDefaultCache = size_t{1} << 30;

std::string readable(size_t bytes) {
  char text[32];
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  std::snprintf(text, sizeof text, mebibytes < 1024 ? "%.0f MiB" : "%.1f GiB",
                mebibytes < 1024 ? mebibytes : mebibytes / 1024);
  return text;
}

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &CachingAllocator::give_back, c10::Device(c10::kCPU)};
    size_t size = bytes < kLarge ? 0 : round_up(bytes);
    void* data = size == 0 ? nullptr : take(size);
    if (data == nullptr && size != 0) promise(size, bytes);
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

  // An eighth of a power of two, or kStep: at most 12.5 % is wasted, and sizes that differ a little share blocks.
  static size_t round_up(size_t bytes) {
    size_t power = size_t{1} << (63 - __builtin_clzll(bytes));
    size_t step = std::min(power / 8, kStep);
    return (bytes + step - 1) / step * step;
  }

  static size_t& size_of(void* data) { return *reinterpret_cast<size_t*>(static_cast<char*>(data) - kHeader); }

  static void release(void* data) { std::free(static_cast<char*>(data) - kHeader); }

  // Counts a block that is going to be asked of the system, and refuses it when the system hasn't that much. Nothing is
  // read for less than kAsked more than was promised when it was last asked.
  void promise(size_t size, size_t bytes) {
    std::lock_guard lock(mutex_);
    if (promised_ + size >= ask_at_) {
      std::optional<size_t> room = this->room();
      if (room && *room < size && cached_ > 0) {
        trim(0);
#if defined(__GLIBC__)
        malloc_trim(0);  // what was freed may still be with malloc
#endif
        room = this->room();
      }
      TORCH_CHECK_WITH(OutOfMemoryError, !room || *room >= size, "Not enough memory for a tensor of ", readable(bytes),
                       ": ", readable(*room), " are free");
      ask_at_ = promised_ + size + kAsked;
    }
    promised_ += size;
  }

  // What can still be promised: what is free now, without what has been promised and isn't used yet.
  std::optional<size_t> room() const {
    const auto available = free_memory();
    if (!available) return std::nullopt;
    const size_t unused = promised_ - std::min(promised_, resident_memory());
    return *available - std::min(*available, unused + kSpare);
  }

  // A block goes back to the system; under the lock.
  void withdraw(size_t size) {
    promised_ -= size;
    ask_at_ = std::min(ask_at_, promised_ + kAsked);
  }

  // `size` is what the header says: the size to cache the block under, 0 for never.
  void* fresh(size_t bytes, size_t size) {
    void* block = nullptr;
    if (!obtain(bytes, block)) {
      clear();
      if (!obtain(bytes, block)) {
        std::lock_guard lock(mutex_);
        withdraw(size);
        TORCH_CHECK_WITH(OutOfMemoryError, false, "Not enough memory for a tensor of ", readable(bytes));
      }
    }
    void* data = static_cast<char*>(block) + kHeader;
    size_of(data) = size;
    return data;
  }

  static bool obtain(size_t bytes, void*& block) {
    return bytes <= SIZE_MAX - kHeader && posix_memalign(&block, kAlignment, bytes + kHeader) == 0;
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
      withdraw(size);
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
      withdraw(oldest->size);
      release(oldest->memory);
      by_age_.erase(oldest);
    }
  }

  std::mutex mutex_;
  Blocks by_age_;
  std::unordered_map<size_t, std::vector<Blocks::iterator>> by_size_;
  size_t cached_ = 0;
  size_t limit_ = kDefaultCache;
  size_t promised_ = 0;     // bytes of all large blocks, in use or cached
  size_t ask_at_ = kAsked;  // the system is asked before more than this is promised
};

napi_value cached_bytes(Environment&, napi_env env, napi_callback_info) {
  return to_js(env, static_cast<double>(CachingAllocator::instance().cached()));
}

napi_value empty_cache(Environment&, napi_env, napi_callback_info) {
  CachingAllocator::instance().clear();
  return nullptr;
}

// freeMemory(root) -> bytes, or undefined where it isn't known
napi_value free_memory_at(Environment&, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  const auto bytes = free_memory(read_string(env, args[0]));
  return bytes ? to_js(env, static_cast<double>(*bytes)) : nullptr;
}

}  // namespace

void init_allocator(napi_env env, napi_value exports) {
  static std::once_flag once;
  std::call_once(once, [] {
    const char* megabytes = std::getenv("TORCH_LEARNER_CACHE_MB");
    size_t limit = megabytes == nullptr ? kDefaultCache : std::strtoull(megabytes, nullptr, 10) << 20;
    CachingAllocator::instance().set_limit(limit);
    c10::SetCPUAllocator(&CachingAllocator::instance(), 1);
  });
  define<cached_bytes>(env, exports, "cachedBytes");
  define<empty_cache>(env, exports, "emptyCache");
  define<free_memory_at>(env, exports, "freeMemory");
}

}  // namespace torch_learner
