// Module entry: one Environment per Node environment, made here and closed before the environment goes.
#include "environment.h"

#if defined(__GLIBC__)
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#endif

namespace torch_learner {

namespace {

// onError((code, message, operator) => Error): how errors become JavaScript objects.
napi_value on_error(Environment& environment, napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value factory;
  check(napi_get_cb_info(env, info, &count, &factory, nullptr, nullptr));
  if (environment.error_factory != nullptr) check(napi_delete_reference(env, environment.error_factory));
  check(napi_create_reference(env, factory, 1, &environment.error_factory));
  return nullptr;
}

// How long the end of the process waits for the operator that is running.
constexpr std::chrono::milliseconds kPatience{300};

// What JavaScript can't be told any more.
void print_unread(Environment& environment) {
  constexpr size_t kShown = 8;
  const auto unread = environment.failures->take_everything();
  for (size_t i = 0; i < unread.size() && i < kShown; i++) {
    if (unread[i].message.empty()) continue;
    std::fprintf(stderr, "torch-learner: an operator failed and its result was never awaited: %s\n",
                 unread[i].message.c_str());
  }
  if (unread.size() > kShown) std::fprintf(stderr, "torch-learner: ... and %zu others\n", unread.size() - kShown);
}

#if defined(__GLIBC__)
bool on_main_thread() { return syscall(SYS_gettid) == getpid(); }

std::atomic<Environment*> main_environment{nullptr};

// Runs in exit(). If an operator, a picture or a file is still under way, leaves before the libraries it uses are torn
// down under it.
void leave(int status, void*) {
  Environment* environment = main_environment.load();
  if (environment == nullptr) return;
  if (!environment->abandoned && environment->jobs.stop(kPatience) && environment->stream.stop(kPatience)) {
    print_unread(*environment);
    return;
  }
  std::fflush(nullptr);
  _exit(status);
}

// atExit(): called on the process's 'exit' event, since process.exit() runs no clean-up hooks and what is registered
// last runs first.
napi_value at_exit(Environment&, napi_env, napi_callback_info) {
  if (on_main_thread()) on_exit(leave, nullptr);
  return nullptr;
}
#else
bool on_main_thread() { return false; }
napi_value at_exit(Environment&, napi_env, napi_callback_info) { return nullptr; }
#endif

// Runs while JavaScript can no longer: what is left in the queues is dropped, and errors that nobody has read are
// printed. A worker waits for the operator and the jobs under way, since the process goes on; the process itself does
// not.
void close(void* data) {
  auto* environment = static_cast<Environment*>(data);
  if (on_main_thread()) {
    const bool done = environment->jobs.stop(kPatience);
    environment->abandoned = !environment->stream.stop(kPatience) || !done;
  } else {
    environment->jobs.stop();
    environment->stream.stop();
  }
  environment->mailbox->close();
  print_unread(*environment);
}

void destroy(napi_env, void* data, void*) {
  auto* environment = static_cast<Environment*>(data);
  if (environment->abandoned) return;  // leave() ends the process
#if defined(__GLIBC__)
  Environment* self = environment;
  main_environment.compare_exchange_strong(self, nullptr);
#endif
  delete environment;
}

napi_value init(napi_env env, napi_value exports) {
  auto* environment = new Environment(env);
  napi_set_instance_data(env, environment, destroy, nullptr);
#if defined(__GLIBC__)
  if (on_main_thread()) {
    main_environment = environment;
    on_exit(leave, nullptr);
  }
#endif
  // Else sparse tensors are made of any indices, and the operators on them read and write where these say
  at::globalContext().setCheckSparseTensorInvariants(true);
  try {
    environment->mailbox->open(env);
    napi_add_env_cleanup_hook(env, close, environment);
    define<on_error>(env, exports, "onError");
    define<at_exit>(env, exports, "atExit");
    init_dispatch(env, exports);
    init_tensor(env, exports);
    init_synchronise(env, exports);
    init_autograd(env, exports);
    init_random(env, exports);
    init_device(env, exports);
    init_allocator(env, exports);
    init_serialize(env, exports);
    init_image(env, exports);
  } catch (const PendingJsException&) {
  } catch (...) {
    const ErrorText what = described("ERR_ADDON_LOAD");
    napi_throw_error(env, what.code.c_str(), what.message.c_str());
  }
  return exports;
}

}  // namespace

}  // namespace torch_learner

NAPI_MODULE_INIT() { return torch_learner::init(env, exports); }
