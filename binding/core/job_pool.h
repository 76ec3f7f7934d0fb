// The addon's own threads for pictures and files of tensors: a few for each Node environment, started when there is
// work, gone when there has been none for a while. libuv's threads stay free for other files and names.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace torch_learner {

// Some items that belong together, such as the pictures of a batch. They are begun in order, each by one thread.
class Work {
 public:
  Work(size_t items, int threads, double ticket) : items_(items), threads_(threads), ticket_(ticket) {}
  virtual ~Work() = default;

 protected:
  virtual void run(size_t item) noexcept = 0;
  // Nothing of it runs any more. Called once, by any thread, also when the rest was dropped.
  virtual void done() noexcept = 0;

 private:
  friend class JobPool;
  const size_t items_;
  const int threads_;    // at most so many at the same time; the pool doesn't grow beyond it for this work
  const double ticket_;  // by which it can be dropped
  size_t next_ = 0;
  int running_ = 0;
};

class JobPool {
 public:
  JobPool() = default;
  ~JobPool() { stop(); }
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  // Works that were added earlier are served first.
  void add(std::shared_ptr<Work> work);
  // Leaves out what hasn't begun of the works with this ticket.
  void drop(double ticket);
  // Drops everything and waits for the items under way; with `patience`, no longer than that: returns false when
  // one is still under way, and the pool must then live as long as the process.
  bool stop(std::optional<std::chrono::milliseconds> patience = std::nullopt);

  size_t threads() const;
  size_t waiting() const;

 private:
  using Queue = std::list<std::shared_ptr<Work>>;
  using Threads = std::list<std::thread>;

  void loop(Threads::iterator self);
  Queue::iterator runnable();
  void reap();
  void finish(std::unique_lock<std::mutex>& lock, Queue::iterator position);

  mutable std::mutex mutex_;
  std::condition_variable wake_, ended_;
  Queue queue_;  // works with items to begin or under way
  Threads threads_, gone_;
  size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace torch_learner
