// Gradients: reading and setting .grad, and torch.autograd.grad. backward() itself is an operator (aten::_backward).
#include <torch/csrc/autograd/autograd.h>

#include "convert.h"

namespace torch_learner {

namespace {

// grad(handle, origin) -> handle or -1. Blocks until everything recorded so far has run, as a backward may be among it.
napi_value get_grad(Environment& environment, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  Slot* slot = environment.get(read_number(env, args[0], "handle"));
  const Origin origin = read_origin(env, args[1]);
  environment.stream.wait(environment.stream.last());
  environment.await_slot(slot, origin);
  ErrorPtr error = environment.stream.error_of(*slot, environment.stream.last() + 1);
  if (error) environment.report(error, origin);
  const at::Tensor& grad = slot->value.grad();
  if (!grad.defined()) return to_js(env, -1.0);
  return to_js(env, environment.put(grad));
}

// setGrad(handle, handle or -1, origin)
napi_value set_grad(Environment& environment, napi_env env, napi_callback_info info) {
  Args<3> args(env, info);
  double id = read_number(env, args[1], "gradient");
  Slot* slots[] = {environment.get(read_number(env, args[0], "handle")), id < 0 ? nullptr : environment.get(id)};
  Task task;
  task.origin = read_origin(env, args[2]);
  task.in_place.push_back(slots[0]);
  for (Slot* slot : slots) {
    if (slot == nullptr) continue;
    slot->refs.fetch_add(1, std::memory_order_relaxed);
    Arg& arg = task.args.emplace_back();
    arg.kind = Arg::Kind::kTensor;
    arg.slot = slot;
  }
  task.run = [](Task& t) {
    t.args[0].slot->value.mutable_grad() = t.args.size() > 1 ? t.args[1].slot->value : at::Tensor();
  };
  environment.push(std::move(task));
  environment.settle_if_synchronous();
  return nullptr;
}

// gradients(outputs, inputs, gradOutputs or [], options, modes, origin) -> handles; options: 1 retainGraph,
// 2 createGraph, 4 allowUnused; modes: see Modes::of
napi_value gradients(Environment& environment, napi_env env, napi_callback_info info) {
  Args<6> args(env, info);
  Task task;
  task.modes = Modes::of(static_cast<uint32_t>(read_integer(env, args[4], "modes")));
  task.origin = read_origin(env, args[5]);
  size_t counts[3];
  std::vector<Slot*> slots;
  for (size_t k = 0; k < 3; k++) {
    auto ids = read_handles(env, args[k]);
    counts[k] = ids.size();
    for (double id : ids) slots.push_back(environment.get(id));
  }
  auto flags = static_cast<int>(read_integer(env, args[3], "options"));
  for (Slot* slot : slots) {
    slot->refs.fetch_add(1, std::memory_order_relaxed);
    Arg& arg = task.args.emplace_back();
    arg.kind = Arg::Kind::kTensor;
    arg.slot = slot;
  }
  napi_value result;
  check(napi_create_array_with_length(env, counts[1], &result));
  for (size_t i = 0; i < counts[1]; i++) {
    check(napi_set_element(env, result, i, to_js(env, environment.put(environment.fresh(task)))));
  }
  task.run = [n = counts[0], m = counts[1], g = counts[2], flags](Task& t) {
    torch::autograd::variable_list lists[3];
    size_t bounds[] = {n, n + m, n + m + g};
    for (size_t i = 0; i < t.args.size(); i++) {
      lists[i < bounds[0] ? 0 : i < bounds[1] ? 1 : 2].push_back(t.args[i].slot->value);
    }
    auto found =
        torch::autograd::grad(lists[0], lists[1], lists[2], (flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0);
    for (size_t i = 0; i < found.size(); i++) t.outs[i]->value = found[i];
  };
  environment.push(std::move(task));
  environment.settle_if_synchronous();
  return result;
}

}  // namespace

void init_autograd(napi_env env, napi_value exports) {
  define<get_grad>(env, exports, "grad");
  define<set_grad>(env, exports, "setGrad");
  define<gradients>(env, exports, "gradients");
}

}  // namespace torch_learner
