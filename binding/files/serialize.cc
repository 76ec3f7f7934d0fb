// State dicts of PyTorch: loadPth(path, key) -> Promise<[name, handle][]>, read by a job (job.h), and loadPthSync.
#include <array>

#include "core/convert.h"
#include "core/job.h"
#include "pth.h"

namespace torch_learner {
namespace {

// Every exception is the file's fault or the memory's, and says whose.
NamedTensors read_file(const std::string& path, const std::string& key) {
  try {
    return read_pth(path, key);
  } catch (...) {
    ErrorText what = described("ERR_FILE_FORMAT");
    throw Misuse(what.code, "Expected a state dict saved by PyTorch but received " + path + ": " + what.message);
  }
}

napi_value to_handles(napi_env env, NamedTensors& tensors) {
  return to_list(env, tensors, [env](auto& named) {
    const std::array pair{to_js(env, named.first), to_js(env, Environment::of(env).put(std::move(named.second)))};
    return to_list(env, pair, [](napi_value part) { return part; });
  });
}

class LoadPth : public Job {
 public:
  LoadPth(std::string path, std::string key)
      : Job(1, single_threads(), 0), path_(std::move(path)), key_(std::move(key)) {}

 protected:
  void run(size_t) noexcept override {
    try {
      tensors_ = read_file(path_, key_);
    } catch (const Misuse& refusal) {
      refusal_ = refusal;
    }
  }

  napi_value result(napi_env env) override {
    if (refusal_) throw *refusal_;
    return to_handles(env, tensors_);
  }

 private:
  const std::string path_, key_;
  std::optional<Misuse> refusal_;
  NamedTensors tensors_;
};

napi_value load_pth(Environment& environment, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  auto job = std::make_shared<LoadPth>(read_string(env, args[0]), read_string(env, args[1]));
  return Job::start(environment, env, job, 1);
}

napi_value load_pth_sync(Environment&, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  NamedTensors tensors = read_file(read_string(env, args[0]), read_string(env, args[1]));
  return to_handles(env, tensors);
}

}  // namespace

void init_serialize(napi_env env, napi_value exports) {
  define<load_pth>(env, exports, "loadPth");
  define<load_pth_sync>(env, exports, "loadPthSync");
}

}  // namespace torch_learner
