// Threads, devices and versions.
#include <torch/version.h>

#include "convert.h"

namespace torch_learner {

namespace {

// The number of threads belongs to the thread that runs operators, so it is set there.
napi_value set_threads(Environment& environment, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  int64_t n = read_integer(env, args[0], "threads");
  if (n < 1 || n > 4096)
    throw Misuse("ERR_INVALID_ARG",
                 "Expected an integer from 1 to 4096 for threads but received " + std::to_string(n) + ".");
  environment.threads = static_cast<int>(n);
  Task task;
  task.run = [n](Task&) { at::set_num_threads(static_cast<int>(n)); };
  environment.push(std::move(task));
  return nullptr;
}

napi_value get_threads(Environment& environment, napi_env env, napi_callback_info) {
  return to_js(env, static_cast<double>(environment.threads > 0 ? environment.threads : at::get_num_threads()));
}

napi_value cuda_available(Environment&, napi_env env, napi_callback_info) { return to_js(env, at::hasCUDA()); }

napi_value cuda_count(Environment&, napi_env env, napi_callback_info) {
  return to_js(env, at::hasCUDA() ? static_cast<double>(at::detail::getCUDAHooks().deviceCount()) : 0.0);
}

napi_value version(Environment&, napi_env env, napi_callback_info) {
  napi_value result;
  check(napi_create_object(env, &result));
  check(napi_set_named_property(env, result, "torch", to_js(env, std::string(TORCH_VERSION))));
  check(napi_set_named_property(env, result, "parallel", to_js(env, at::get_parallel_info())));
  check(napi_set_named_property(env, result, "cpu", to_js(env, at::get_cpu_capability())));
  return result;
}

}  // namespace

void init_device(napi_env env, napi_value exports) {
  define<set_threads>(env, exports, "setThreads");
  define<get_threads>(env, exports, "getThreads");
  define<cuda_available>(env, exports, "cudaAvailable");
  define<cuda_count>(env, exports, "cudaDeviceCount");
  define<version>(env, exports, "version");
}

}  // namespace torch_learner
