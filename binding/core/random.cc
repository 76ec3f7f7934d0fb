// Random numbers on the host, from libtorch's own CPU generator and in program order, so that a seed gives the numbers
// that PyTorch gives.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/_sample_dirichlet.h>

#include <cmath>

#include "convert.h"

namespace torch_learner {

namespace {

// Draws on the host come after every draw recorded before them. The Learner awaits randomReady() first, so this waits
// only in hand-written loops.
void settle(Environment& environment) { environment.stream.wait(environment.random_seq); }

napi_value typed_array(napi_env env, napi_typedarray_type type, const at::Tensor& values) {
  napi_value buffer, result;
  void* data;
  check(napi_create_arraybuffer(env, values.nbytes(), &data, &buffer));
  std::memcpy(data, values.data_ptr(), values.nbytes());
  check(napi_create_typedarray(env, type, values.numel(), buffer, 0, &result));
  return result;
}

// seed(number or bigint): torch.manual_seed
napi_value seed(Environment& environment, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  uint64_t value;
  bool lossless = true;
  if (napi_get_value_bigint_uint64(env, args[0], &value, &lossless) != napi_ok) {
    value = static_cast<uint64_t>(read_integer(env, args[0], "seed"));
  }
  Task task;
  task.run = [value](Task&) { at::manual_seed(value); };
  environment.random_seq = environment.push(std::move(task));
  return nullptr;
}

// beta(alpha, n): the first column of n rows of Dirichlet([alpha, alpha]), as torch.distributions.Beta draws it.
napi_value beta(Environment& environment, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  double alpha = read_number(env, args[0], "alpha");
  int64_t n = read_integer(env, args[1], "n");
  if (!(alpha > 0) || !std::isfinite(alpha)) {
    throw Misuse("ERR_INVALID_ARG", "Expected a number above 0 for alpha but received " + std::to_string(alpha) + ".");
  }
  if (n < 0 || n > (1 << 24)) throw Misuse("ERR_INVALID_ARG", "Expected a count from 0 to 2^24 for n.");
  settle(environment);
  at::NoGradGuard no_grad;
  auto sample = at::_sample_dirichlet(at::full({n, 2}, static_cast<float>(alpha), at::kFloat));
  return typed_array(env, napi_float32_array, sample.select(1, 0).contiguous());
}

napi_value permutation(Environment& environment, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  int64_t n = read_integer(env, args[0], "n");
  if (n < 0 || n > INT32_MAX) throw Misuse("ERR_INVALID_ARG", "Expected a count from 0 to 2^31-1 for n.");
  settle(environment);
  return typed_array(env, napi_int32_array, at::randperm(n, at::kLong).to(at::kInt));
}

napi_value integer(Environment& environment, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  int64_t limit = read_integer(env, args[0], "maxExclusive");
  if (limit < 1)
    throw Misuse("ERR_INVALID_ARG",
                 "Expected a positive integer for maxExclusive but received " + std::to_string(limit) + ".");
  settle(environment);
  return to_js(env, static_cast<double>(at::randint(0, limit, {1}, at::kLong).item<int64_t>()));
}

// randomReady() -> Promise<void> or undefined when no draw is pending.
napi_value random_ready(Environment& environment, napi_env, napi_callback_info) {
  if (environment.stream.reached(environment.random_seq)) return nullptr;
  auto* completion = new Completion;
  napi_value promise = environment.promise(completion);
  deliver(environment, nullptr, completion);
  return promise;
}

// generator(seed) -> External for an operator's generator argument
napi_value generator(Environment&, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  auto made = at::detail::createCPUGenerator(static_cast<uint64_t>(read_integer(env, args[0], "seed")));
  return to_external(env, new at::Generator(made), kGeneratorTag,
                     [](napi_env, void* data, void*) { delete static_cast<at::Generator*>(data); });
}

// randomState() -> handle of the default CPU generator's state; setRandomState(handle, origin)
napi_value random_state(Environment& environment, napi_env env, napi_callback_info) {
  settle(environment);
  at::Generator gen = at::detail::getDefaultCPUGenerator();
  at::Tensor state;
  {
    std::lock_guard lock(gen.mutex());
    state = gen.get_state();
  }
  return to_js(env, environment.put(state));
}

napi_value set_random_state(Environment& environment, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  Slot* slot = environment.get(read_number(env, args[0], "handle"));
  environment.await_slot(slot, read_origin(env, args[1]));
  environment.stream.wait(environment.stream.last());  // a tensor that is read here may still be written
  at::Generator gen = at::detail::getDefaultCPUGenerator();
  std::lock_guard lock(gen.mutex());
  gen.set_state(slot->value);
  return nullptr;
}

}  // namespace

void init_random(napi_env env, napi_value exports) {
  define<seed>(env, exports, "seed");
  define<beta>(env, exports, "beta");
  define<permutation>(env, exports, "permutation");
  define<integer>(env, exports, "integer");
  define<random_ready>(env, exports, "randomReady");
  define<generator>(env, exports, "generator");
  define<random_state>(env, exports, "randomState");
  define<set_random_state>(env, exports, "setRandomState");
}

}  // namespace torch_learner
