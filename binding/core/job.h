// Work off the JavaScript thread, and its one way back: a promise, settled through the environment's mailbox.
#pragma once

#include "environment.h"
#include "job_pool.h"

namespace torch_learner {

// How many threads there may be for jobs of one item, of which there may be many.
int single_threads();

class Job : public Work, public std::enable_shared_from_this<Job> {
 public:
  using Work::Work;

  // The promise for the job's result.
  static napi_value start(Environment& environment, napi_env env, std::shared_ptr<Job> job, size_t items);

 protected:
  // Keeps a JavaScript object alive until the promise is settled.
  void hold(napi_env env, napi_value object);
  // On the JavaScript thread, when everything has run. What it throws rejects the promise.
  virtual napi_value result(napi_env env) = 0;

  void done() noexcept override;

 private:
  std::shared_ptr<Mailbox> mailbox_;
  Completion* completion_ = nullptr;
  std::vector<napi_ref> references_;
};

}  // namespace torch_learner
