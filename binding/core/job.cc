#include "job.h"

namespace torch_learner {

int single_threads() {
  static const int threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 4u));
  return threads;
}

napi_value Job::start(Environment& environment, napi_env env, std::shared_ptr<Job> job, size_t items) {
  job->mailbox_ = environment.mailbox;
  job->completion_ = new Completion;
  job->completion_->cleanup = [references = job->references_](napi_env e) {
    for (napi_ref reference : references) napi_delete_reference(e, reference);
  };
  napi_value promise = environment.promise(job->completion_);
  if (items == 0) {
    job->done();
    return promise;
  }
  try {
    environment.jobs.add(job);
  } catch (const std::exception& e) {
    job->completion_->error = std::make_shared<OpError>();
    job->completion_->error->what = std::make_shared<ErrorText>(
        ErrorText{"ERR_OUT_OF_MEMORY", std::string("No thread can be started for it: ") + e.what(), "", 0});
    job->done();
  }
  return promise;
}

void Job::hold(napi_env env, napi_value object) {
  napi_ref reference;
  check(napi_create_reference(env, object, 1, &reference));
  references_.push_back(reference);
}

void Job::done() noexcept {
  completion_->build = [self = shared_from_this()](napi_env env) { return self->result(env); };
  mailbox_->post(completion_);
}

}  // namespace torch_learner
