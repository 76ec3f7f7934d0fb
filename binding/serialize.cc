// State dicts of PyTorch: loadPth(path, key) -> Promise<[name, handle][]>, read on libuv's thread pool, and
// loadPthSync.
#include "convert.h"
#include "pth.h"

namespace torch_learner {
namespace {

Misuse refusal(const std::string& path, const std::string& what, const char* code = "ERR_FILE_FORMAT") {
  return Misuse(code, "Expected a state dict saved by PyTorch but received " + path + ": " + what);
}

// Every exception is the file's fault or the memory's, and says whose.
NamedTensors read_file(const std::string& path, const std::string& key) {
  try {
    return read_pth(path, key);
  } catch (const c10::OutOfMemoryError& error) {
    throw refusal(path, error.what_without_backtrace(), "ERR_OUT_OF_MEMORY");
  } catch (const c10::Error& error) {
    // what the unpickler asserts about its input reads as a bug of its own
    const std::string what = error.what_without_backtrace();
    throw refusal(path,
                  what.find("INTERNAL ASSERT") == std::string::npos ? what : "its pickle doesn't describe tensors");
  } catch (const std::bad_alloc&) {
    throw refusal(path, "there isn't enough memory for it", "ERR_OUT_OF_MEMORY");
  } catch (const std::exception& error) {
    throw refusal(path, error.what());
  }
}

Napi::Array to_handles(Napi::Env env, NamedTensors& tensors) {
  Napi::Array result = Napi::Array::New(env, tensors.size());
  for (uint32_t i = 0; i < tensors.size(); ++i) {
    Napi::Array pair = Napi::Array::New(env, 2);
    pair.Set(0u, Napi::String::New(env, tensors[i].first));
    pair.Set(1u, Napi::Number::New(env, Environment::of(env).put(std::move(tensors[i].second))));
    result.Set(i, pair);
  }
  return result;
}

class LoadPth : public Napi::AsyncWorker {
 public:
  LoadPth(Napi::Env env, std::string path, std::string key)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        path_(std::move(path)),
        key_(std::move(key)) {}
  napi_value promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      tensors_ = read_file(path_, key_);
    } catch (const Misuse& refusal) {
      refusal_ = refusal;
    }
  }

  void OnOK() override {
    Napi::Env env = Env();
    if (refusal_) {
      deferred_.Reject(Environment::of(env).make_error(env, refusal_->code, refusal_->message, ""));
    } else {
      deferred_.Resolve(to_handles(env, tensors_));
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::string path_, key_;
  std::optional<Misuse> refusal_;
  NamedTensors tensors_;
};

napi_value load_pth(Environment&, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  auto* worker = new LoadPth(env, read_string(env, args[0]), read_string(env, args[1]));
  napi_value promise = worker->promise();
  worker->Queue();
  return promise;
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
