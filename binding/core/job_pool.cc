#include "job_pool.h"

#include <algorithm>
#include <system_error>

namespace torch_learner {

namespace {

// A thread without work for this long ends, and what it keeps for its work ends with it.
constexpr std::chrono::seconds kIdle{2};

}  // namespace

void JobPool::reap() {
  for (std::thread& thread : gone_) thread.join();  // they have let go of the lock for good
  gone_.clear();
}

void JobPool::add(std::shared_ptr<Work> work) {
  std::lock_guard lock(mutex_);
  reap();
  const size_t limit = static_cast<size_t>(work->threads_);
  queue_.push_back(std::move(work));
  size_t wanted = 0;  // threads that would find something to begin
  for (const auto& waiting : queue_) {
    if (wanted >= idle_ + limit) break;
    wanted += std::min(static_cast<size_t>(waiting->threads_ - waiting->running_), waiting->items_ - waiting->next_);
  }
  for (size_t i = idle_; i < wanted && threads_.size() < limit; i++) {
    const auto self = threads_.emplace(threads_.end());
    try {
      *self = std::thread([this, self] { loop(self); });
    } catch (const std::system_error&) {
      threads_.erase(self);
      if (!threads_.empty()) break;  // fewer threads do it as well
      queue_.pop_back();
      throw;
    }
  }
  wake_.notify_all();
}

JobPool::Queue::iterator JobPool::runnable() {
  auto at = queue_.begin();
  while (at != queue_.end() && ((*at)->next_ == (*at)->items_ || (*at)->running_ >= (*at)->threads_)) ++at;
  return at;
}

// Calls done() without the lock, since it leads to JavaScript's mailbox.
void JobPool::finish(std::unique_lock<std::mutex>& lock, Queue::iterator position) {
  const std::shared_ptr<Work> work = std::move(*position);
  queue_.erase(position);
  lock.unlock();
  work->done();
  lock.lock();
}

void JobPool::loop(Threads::iterator self) {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    auto position = runnable();
    if (position == queue_.end()) {
      idle_++;
      const bool timely = wake_.wait_for(lock, kIdle, [&] { return stopping_ || runnable() != queue_.end(); });
      idle_--;
      if (!timely) break;
      continue;
    }
    const std::shared_ptr<Work> work = *position;
    const size_t item = work->next_++;
    work->running_++;
    lock.unlock();
    work->run(item);
    lock.lock();
    work->running_--;
    if (work->next_ == work->items_ && work->running_ == 0) {
      finish(lock, position);
    } else if (work->next_ < work->items_ && work->running_ + 1 == work->threads_) {
      wake_.notify_one();  // it could take no further thread until now
    }
  }
  gone_.splice(gone_.end(), threads_, self);
  ended_.notify_all();
}

void JobPool::drop(double ticket) {
  std::unique_lock lock(mutex_);
  for (auto at = queue_.begin(); at != queue_.end();) {
    if ((*at)->ticket_ != ticket || (*at)->next_ == (*at)->items_) {
      ++at;
      continue;
    }
    (*at)->next_ = (*at)->items_;
    if ((*at)->running_ > 0) {
      ++at;
      continue;
    }
    finish(lock, at);
    at = queue_.begin();  // the list may have changed meanwhile
  }
}

bool JobPool::stop(std::optional<std::chrono::milliseconds> patience) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
  const auto ended = [&] { return threads_.empty(); };
  if (!patience) {
    ended_.wait(lock, ended);
  } else if (!ended_.wait_for(lock, *patience, ended)) {
    return false;
  }
  reap();
  while (!queue_.empty()) finish(lock, queue_.begin());
  stopping_ = false;
  return true;
}

size_t JobPool::threads() const {
  std::lock_guard lock(mutex_);
  return threads_.size();
}

size_t JobPool::waiting() const {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& work : queue_) count += work->items_ - work->next_ + static_cast<size_t>(work->running_);
  return count;
}

}  // namespace torch_learner
