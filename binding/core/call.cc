// The one way from JavaScript to an operator: choose the overload, record the call, hand back handles.
#include "overload.h"

namespace torch_learner {

namespace {

using Kind = JsValue::Kind;

void record(Environment& environment, const OpOverload& op, Chosen& chosen, Task& task) {
  task.op = &op;
  size_t count = chosen.size();
  while (count > 0 && chosen[count - 1]->kind == Kind::kDefault) count--;
  // Everything that can fail comes before the first reference is taken.
  for (size_t i = 0; i < count; i++) {
    const JsValue& value = *chosen[i];
    if (value.kind == Kind::kTensor) environment.get(value.number);
    if (value.kind == Kind::kTensors) {
      for (double id : value.numbers) {
        if (id >= 0) environment.get(id);
      }
    }
  }
  task.args.resize(count);
  auto hold = [&](double id) {
    Slot* slot = environment.get(id);
    slot->refs.fetch_add(1, std::memory_order_relaxed);
    return slot;
  };
  for (size_t i = 0; i < count; i++) {
    const JsValue& value = *chosen[i];
    const ArgSpec& spec = op.args[i];
    Arg& arg = task.args[i];
    if (spec.type == ArgType::kIntList && value.kind != Kind::kDefault && value.kind != Kind::kNull) {
      arg.integers = to_integers(spec, value).release();
      arg.kind = Arg::Kind::kIntList;
      continue;
    }
    switch (value.kind) {
      case Kind::kDefault:
        break;
      case Kind::kTensor:
        arg.slot = hold(value.number);
        arg.kind = Arg::Kind::kTensor;
        break;
      case Kind::kNumber:
        if (spec.type == ArgType::kFloatList) {
          arg.value = new c10::IValue(to_ivalue(spec, value));
          arg.kind = Arg::Kind::kValue;
        } else if (value.integral && spec.type != ArgType::kFloat) {
          arg.integer = value.integer;
          arg.kind = Arg::Kind::kInt;
        } else {
          arg.number = value.number;
          arg.kind = Arg::Kind::kDouble;
        }
        break;
      case Kind::kTensors:
      case Kind::kEmptyList:
        if (spec.type == ArgType::kTensorList || spec.type == ArgType::kOptionalTensorList) {
          arg.list = new std::vector<Slot*>;
          for (double id : value.numbers) arg.list->push_back(id < 0 ? nullptr : hold(id));
          arg.kind = Arg::Kind::kTensorList;
          break;
        }
        [[fallthrough]];
      default:
        arg.value = new c10::IValue(to_ivalue(spec, value));
        arg.kind = Arg::Kind::kValue;
    }
  }
  for (size_t i = 0; i < op.args.size() && i < count; i++) {
    const auto* alias = op.handle.schema().arguments()[i].alias_info();
    if (alias == nullptr || !alias->isWrite()) continue;
    if (task.args[i].kind == Arg::Kind::kTensor) task.in_place.push_back(task.args[i].slot);
    if (task.args[i].kind == Arg::Kind::kTensorList) {
      for (Slot* slot : *task.args[i].list) {
        if (slot != nullptr) task.in_place.push_back(slot);
      }
    }
  }
}

// Results that aren't all tensors: a list of tensors is waited for (its length is a shape, so to speak), anything else
// comes by promise.
napi_value call_for_values(Environment& environment, napi_env env, const OpOverload& op, Task&& task) {
  const auto& returns = op.handle.schema().returns();
  bool lists = true;
  for (const auto& result : returns) {
    auto type = classify_type(result.real_type());
    lists &= type == ArgType::kTensor || type == ArgType::kTensorList;
  }
  const Origin origin = task.origin;
  if (lists) {
    auto results = std::make_shared<std::vector<c10::IValue>>();
    auto* holder = environment.fresh(task);  // carries the error, if there is one
    task.run = [results](Task& done) { *results = done.results; };
    uint64_t seq = environment.push(std::move(task));
    environment.stream.wait(seq);
    ErrorPtr error = holder->error;
    environment.stream.drop(holder);
    if (error) environment.report(error, origin);
    return results->size() == 1 ? to_js(environment, (*results)[0])
                                : to_js(environment, c10::ivalue::Tuple::create(*results));
  }
  auto completion = std::make_unique<Completion>();
  Completion* raw = completion.get();
  napi_value promise = environment.promise(raw);
  completion.release();
  auto results = std::make_shared<std::vector<c10::IValue>>();
  auto* holder = environment.fresh(task);
  task.run = [results](Task& done) { *results = done.results; };
  environment.push(std::move(task));
  if (environment.synchronous) environment.stream.wait(environment.stream.last());
  raw->build = [results](napi_env e) {
    auto& environment_now = Environment::of(e);
    return results->size() == 1 ? to_js(environment_now, (*results)[0])
                                : to_js(environment_now, c10::ivalue::Tuple::create(*results));
  };
  deliver(environment, holder, raw, origin);
  return promise;
}

// What later calls will have to wait for, of the task that is recorded next. A tensor may have several handles, so that
// it isn't known here which are concerned.
void note(Environment& environment, const OpOverload& op, uint32_t flags) {
  const uint64_t seq = environment.stream.last() + 1;
  if (op.draws_random) environment.random_seq = seq;
  if (op.reshapes) {
    environment.reshaped_seq = seq;
    ++*environment.reshaped;
  }
  if (op.writes && Modes::of(flags).grad) environment.history_seq = seq;
}

// Throws at the call what failed in it; nobody will hold the results then.
void settle(Environment& environment, const OpOverload& op, const c10::SmallVector<double, 4>& handles) {
  try {
    environment.settle_if_synchronous();
  } catch (const PendingJsException&) {
    for (size_t i = 0; i < handles.size(); i++) {
      if (op.return_alias[i] < 0) environment.release(handles[i]);
    }
    throw;
  }
}

// call(op, flags, origin, hints0, hints1, ...positional, ...[name, value]); flags: those of Modes::of, and in bits 8-15
// the number of named arguments. Hints: two bits a value, positional first. Names are those of argumentName().
napi_value call(Environment& environment, napi_env env, napi_callback_info info) {
  constexpr size_t kHead = 5, kFew = kHead + 8, kMany = kHead + 64;
  napi_value few[kFew], many[kMany];
  napi_value* args = few;
  size_t count = kFew;
  check(napi_get_cb_info(env, info, &count, few, nullptr, nullptr));
  if (count > kFew) {
    args = many;
    size_t room = kMany;
    check(napi_get_cb_info(env, info, &room, many, nullptr, nullptr));
  }
  if (count < kHead || count > kMany) throw Misuse("ERR_INVALID_ARG", "Too many arguments for an operator.");
  uint32_t index, flags, hints[2];
  check(napi_get_value_uint32(env, args[0], &index));
  check(napi_get_value_uint32(env, args[1], &flags));
  const Origin origin = read_origin(env, args[2]);
  check(napi_get_value_uint32(env, args[3], &hints[0]));
  check(napi_get_value_uint32(env, args[4], &hints[1]));
  const OpFamily& family = environment.family(index);
  size_t named = (flags >> 8) & 255, values = count - kHead;
  if (named * 2 > values) throw Misuse("ERR_INVALID_ARG", "Malformed operator call.");
  size_t positional = values - named * 2;
  if (positional + named > 32) throw Misuse("ERR_INVALID_ARG", "Too many arguments for an operator.");
  auto hint = [&](size_t k) { return static_cast<Hint>((hints[k / 16] >> (2 * (k % 16))) & 3); };

  Call call;
  call.positional.resize(positional);
  for (size_t i = 0; i < positional; i++) read_value(env, hint(i), args[kHead + i], call.positional[i]);
  call.named.resize(named);
  for (size_t i = 0; i < named; i++) {
    check(napi_get_value_uint32(env, args[kHead + positional + 2 * i], &call.named[i].first));
    read_value(env, hint(positional + i), args[kHead + 1 + positional + 2 * i], call.named[i].second);
  }
  Chosen chosen;
  const OpOverload* op = nullptr;
  for (const auto& candidate : family.overloads) {
    if (match(candidate, call, chosen)) {
      op = &candidate;
      break;
    }
  }
  if (op == nullptr) refuse(family, call);

  environment.account(env);
  Task task;
  task.modes = Modes::of(flags);
  task.origin = origin;
  record(environment, *op, chosen, task);
  note(environment, *op, flags);
  if (!op->tensors_only) return call_for_values(environment, env, *op, std::move(task));

  c10::SmallVector<double, 4> handles;
  for (int32_t alias : op->return_alias) {
    handles.push_back(alias >= 0 ? chosen[alias]->number : environment.put(environment.fresh(task)));
  }
  environment.push(std::move(task));
  if (environment.synchronous) settle(environment, *op, handles);
  if (handles.size() == 1) return to_js(env, handles[0]);
  if (handles.empty()) return nullptr;
  return to_list(env, handles, [env](double handle) { return to_js(env, handle); });
}

napi_value op(Environment&, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  return to_js(env, static_cast<double>(find_op(read_string(env, args[0]))));
}

napi_value argument_name(Environment&, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  return to_js(env, static_cast<double>(intern_name(read_string(env, args[0]))));
}

napi_value operators(Environment&, napi_env env, napi_callback_info) {
  return to_list(env, op_names(), [env](const std::string& name) { return to_js(env, name); });
}

napi_value schemas(Environment&, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  const int64_t index = find_op(read_string(env, args[0]));
  if (index < 0) return to_js(env, at::IntArrayRef());
  return to_list(env, op_family(static_cast<size_t>(index)).overloads,
                 [env](const auto& overload) { return to_js(env, overload.schema); });
}

}  // namespace

void init_dispatch(napi_env env, napi_value exports) {
  define<op>(env, exports, "op");
  define<argument_name>(env, exports, "argumentName");
  define<call>(env, exports, "call");
  define<operators>(env, exports, "operators");
  define<schemas>(env, exports, "schemas");
}

}  // namespace torch_learner
