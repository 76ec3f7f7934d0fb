// loadPth(path, key) -> Promise<[name, handle][]>: a state dict of PyTorch, read on libuv's thread pool.
#include "convert.h"
#include "pth.h"

namespace torch_learner {
namespace {

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
      tensors_ = read_pth(path_, key_);
    } catch (const FileFormatError& error) {
      refuse(error.what());
    } catch (const c10::OutOfMemoryError& error) {
      refuse(error.what_without_backtrace(), "ERR_OUT_OF_MEMORY");
    } catch (const c10::Error& error) {
      // what the unpickler asserts about its input reads as a bug of its own
      const std::string what = error.what_without_backtrace();
      refuse(what.find("INTERNAL ASSERT") == std::string::npos ? what : "its pickle doesn't describe tensors");
    } catch (const std::bad_alloc&) {
      refuse("there isn't enough memory for it", "ERR_OUT_OF_MEMORY");
    } catch (const std::exception& error) {
      refuse(error.what());
    }
  }

  void OnOK() override {
    Napi::Env env = Env();
    if (!code_.empty()) {
      deferred_.Reject(Environment::of(env).make_error(env, code_, message_, ""));
      return;
    }
    Napi::Array result = Napi::Array::New(env, tensors_.size());
    for (uint32_t i = 0; i < tensors_.size(); ++i) {
      auto slot = std::make_unique<Slot>();
      slot->value = std::move(tensors_[i].second);
      Napi::Array pair = Napi::Array::New(env, 2);
      pair.Set(0u, Napi::String::New(env, tensors_[i].first));
      pair.Set(1u, Napi::Number::New(env, Environment::of(env).put(slot.release())));
      result.Set(i, pair);
    }
    deferred_.Resolve(result);
  }

 private:
  void refuse(const std::string& what, const char* code = "ERR_FILE_FORMAT") {
    code_ = code;
    message_ = "Expected a state dict saved by PyTorch but received " + path_ + ": " + what;
  }

  Napi::Promise::Deferred deferred_;
  std::string path_, key_, code_, message_;
  NamedTensors tensors_;
};

napi_value load_pth(Environment&, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  auto* worker = new LoadPth(env, read_string(env, args[0]), read_string(env, args[1]));
  napi_value promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace

void init_serialize(napi_env env, napi_value exports) { define<load_pth>(env, exports, "loadPth"); }

}  // namespace torch_learner
