// The one way from JavaScript to an operator: choose the overload, record the call, hand back handles.
#include "convert.h"
#include "dispatch.h"

namespace torch_learner {

namespace {

using Kind = JsValue::Kind;

// int[2] takes two numbers, or one for both, or none where its default is none. Many kernels rely on it without
// looking. int[1] stands for "one or several" in reductions, which do look.
bool has_length(const ArgSpec& spec, size_t length) {
  if (spec.fixed_size < 2 || length == 1 || length == static_cast<size_t>(spec.fixed_size)) return true;
  return length == 0 && !spec.required &&
         (spec.fallback.isNone() || (spec.fallback.isList() && spec.fallback.toListRef().empty()));
}

bool fits(const ArgSpec& spec, const JsValue& value) {
  if (value.kind == Kind::kDefault) return !spec.required;
  if (value.kind == Kind::kNull) return spec.optional;
  switch (spec.type) {
    case ArgType::kTensor:
      return value.kind == Kind::kTensor;
    case ArgType::kTensorList:
      if (value.kind == Kind::kEmptyList) return true;
      if (value.kind != Kind::kTensors) return false;
      for (double id : value.numbers) {
        if (id < 0) return false;
      }
      return true;
    case ArgType::kOptionalTensorList:
      return value.kind == Kind::kTensors || value.kind == Kind::kEmptyList;
    case ArgType::kScalar:
      return value.kind == Kind::kNumber || value.kind == Kind::kBool || value.kind == Kind::kBigInt;
    case ArgType::kInt:
      return (value.kind == Kind::kNumber && value.integral) || value.kind == Kind::kBigInt;
    case ArgType::kFloat:
      return value.kind == Kind::kNumber;
    case ArgType::kBool:
      return value.kind == Kind::kBool;
    case ArgType::kString:
      return value.kind == Kind::kString;
    case ArgType::kIntList:
      return (value.kind == Kind::kNumbers && value.integral && has_length(spec, value.numbers.size())) ||
             (value.kind == Kind::kEmptyList && has_length(spec, 0)) ||
             (spec.fixed_size > 0 && value.kind == Kind::kNumber && value.integral);
    case ArgType::kFloatList:
      return value.kind == Kind::kNumbers || value.kind == Kind::kEmptyList ||
             (spec.fixed_size > 0 && value.kind == Kind::kNumber);
    case ArgType::kScalarList:
      return value.kind == Kind::kNumbers || value.kind == Kind::kEmptyList;
    case ArgType::kBoolList:
      return value.kind == Kind::kBools || value.kind == Kind::kEmptyList ||
             (spec.fixed_size > 0 && value.kind == Kind::kBool);
    case ArgType::kScalarType:
      return value.kind == Kind::kString && parse_dtype(value.string).has_value();
    case ArgType::kDevice:
      return value.kind == Kind::kString && parse_device(value.string).has_value();
    case ArgType::kLayout:
      return value.kind == Kind::kString && value.string == "strided";
    case ArgType::kMemoryFormat:
      return value.kind == Kind::kString && parse_memory_format(value.string).has_value();
    case ArgType::kGenerator:
      return value.kind == Kind::kGenerator;
    case ArgType::kUnsupported:
      return false;
  }
  return false;
}

c10::IValue to_ivalue(const ArgSpec& spec, const JsValue& value) {
  if (value.kind == Kind::kNull) return {};
  switch (spec.type) {
    case ArgType::kScalar:
      return value.kind == Kind::kBool ? c10::IValue(at::Scalar(value.integer != 0))
                                       : c10::IValue(at::Scalar(value.integer));
    case ArgType::kInt:
      return value.integer;
    case ArgType::kBool:
      return value.integer != 0;
    case ArgType::kString:
      return value.string;
    case ArgType::kFloatList:
      if (value.kind == Kind::kNumber) return std::vector<double>(spec.fixed_size, value.number);
      return std::vector<double>(value.numbers.begin(), value.numbers.end());
    case ArgType::kBoolList: {
      c10::List<bool> list;
      if (value.kind == Kind::kBool) {
        for (int i = 0; i < spec.fixed_size; i++) list.push_back(value.integer != 0);
      }
      for (double b : value.numbers) list.push_back(b != 0);
      return list;
    }
    case ArgType::kScalarList: {
      c10::impl::GenericList list(c10::NumberType::get());
      for (double number : value.numbers) {
        list.push_back(value.integral ? at::Scalar(static_cast<int64_t>(number)) : at::Scalar(number));
      }
      return list;
    }
    case ArgType::kScalarType:
      return static_cast<int64_t>(*parse_dtype(value.string));
    case ArgType::kDevice:
      return *parse_device(value.string);
    case ArgType::kLayout:
      return static_cast<int64_t>(at::kStrided);
    case ArgType::kMemoryFormat:
      return static_cast<int64_t>(*parse_memory_format(value.string));
    case ArgType::kGenerator:
      return value.generator;
    default:
      throw Misuse("ERR_UNSUPPORTED", "Argument " + spec.name + " has a type without a JavaScript form.");
  }
}

Integers* to_integers(const ArgSpec& spec, const JsValue& value) {
  auto list = std::make_unique<Integers>();
  if (value.kind == Kind::kNumber) {
    list->assign(spec.fixed_size, value.integer);
  } else if (value.numbers.size() == 1 && spec.fixed_size > 1) {
    list->assign(spec.fixed_size, static_cast<int64_t>(value.numbers[0]));
  } else {
    for (double number : value.numbers) list->push_back(static_cast<int64_t>(number));
  }
  return list.release();
}

struct Call {
  c10::SmallVector<JsValue, 6> positional;
  c10::SmallVector<std::pair<uint32_t, JsValue>, 2> named;
};

// For each schema argument the value meant for it, or false if this overload can't take the call.
bool match(const OpOverload& op, const Call& call, c10::SmallVector<const JsValue*, 16>& chosen) {
  if (call.positional.size() > op.args.size()) return false;
  static const JsValue kAbsent;
  chosen.assign(op.args.size(), &kAbsent);
  for (size_t i = 0; i < call.positional.size(); i++) {
    if (op.args[i].kwarg_only && call.positional[i].kind != Kind::kDefault) return false;
    chosen[i] = &call.positional[i];
  }
  for (const auto& [name, value] : call.named) {
    size_t i = 0;
    while (i < op.args.size() && op.args[i].name_id != name) i++;
    if (i == op.args.size()) return false;
    if (chosen[i]->kind != Kind::kDefault) return false;
    chosen[i] = &value;
  }
  for (size_t i = 0; i < op.args.size(); i++) {
    if (!fits(op.args[i], *chosen[i])) return false;
  }
  return true;
}

[[noreturn]] void refuse(const OpFamily& family, const Call& call) {
  std::string got;
  for (const auto& value : call.positional) got += (got.empty() ? "" : ", ") + value.describe();
  for (const auto& [name, value] : call.named) {
    got += (got.empty() ? "" : ", ") + interned_name(name) + "=" + value.describe();
  }
  std::string expected, hint;
  int shown = 0;
  size_t numbers = 0;
  for (const auto& value : call.positional) numbers += value.kind == Kind::kNumber;
  for (const auto& op : family.overloads) {
    if (op.has_out || op.schema.find("Dimname") != std::string::npos) continue;
    for (const auto& arg : op.args) {
      if (arg.type == ArgType::kIntList && numbers > 1) hint = " Several integers go into one array: [2, 3].";
    }
    if (shown++ == 6) {
      expected += " | ...";
      break;
    }
    expected += (expected.empty() ? "" : " | ") + op.schema;
  }
  throw Misuse("ERR_INVALID_ARG",
               "Expected arguments of " + expected + " for " + family.name + " but received (" + got + ")." + hint);
}

void record(Environment& environment, const OpOverload& op, c10::SmallVector<const JsValue*, 16>& chosen, Task& task) {
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
      arg.integers = to_integers(spec, value);
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
  if (lists) {
    auto results = std::make_shared<std::vector<c10::IValue>>();
    auto* holder = environment.fresh(task);  // carries the error, if there is one
    task.run = [results](Task& done) { *results = done.results; };
    uint64_t seq = environment.push(std::move(task));
    environment.stream.wait(seq);
    ErrorPtr error = holder->live_error() ? *holder->live_error() : nullptr;
    environment.stream.drop(holder);
    if (error) environment.report(error);
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
  deliver(environment, holder, raw);
  return promise;
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

// call(op, flags, hints0, hints1, ...positional, ...[name, value]); flags: bit 0 grad mode, bit 1 autocast,
// bits 2-7 autocast dtype, bits 8-15 number of named arguments, bits 16-30 autocast block. Hints: two bits a value,
// positional first. Names are those of argumentName().
napi_value call(Environment& environment, napi_env env, napi_callback_info info) {
  constexpr size_t kFew = 4 + 8, kMany = 4 + 64;
  napi_value few[kFew], many[kMany];
  napi_value* args = few;
  size_t count = kFew;
  check(napi_get_cb_info(env, info, &count, few, nullptr, nullptr));
  if (count > kFew) {
    args = many;
    size_t room = kMany;
    check(napi_get_cb_info(env, info, &room, many, nullptr, nullptr));
  }
  if (count < 4 || count > kMany) throw Misuse("ERR_INVALID_ARG", "Too many arguments for an operator.");
  uint32_t index, flags, hints[2];
  check(napi_get_value_uint32(env, args[0], &index));
  check(napi_get_value_uint32(env, args[1], &flags));
  check(napi_get_value_uint32(env, args[2], &hints[0]));
  check(napi_get_value_uint32(env, args[3], &hints[1]));
  const OpFamily& family = environment.family(index);
  environment.modes.grad = flags & 1;
  environment.modes.autocast = flags & 2;
  if (flags & 2) environment.modes.autocast_dtype = static_cast<at::ScalarType>((flags >> 2) & 63);
  environment.modes.autocast_block = static_cast<uint16_t>((flags >> 16) & 0x7fff);
  size_t named = (flags >> 8) & 255, values = count - 4;
  if (named * 2 > values) throw Misuse("ERR_INVALID_ARG", "Malformed operator call.");
  size_t positional = values - named * 2;
  if (positional + named > 32) throw Misuse("ERR_INVALID_ARG", "Too many arguments for an operator.");
  auto hint = [&](size_t k) { return static_cast<Hint>((hints[k / 16] >> (2 * (k % 16))) & 3); };

  Call call;
  call.positional.resize(positional);
  for (size_t i = 0; i < positional; i++) read_value(env, hint(i), args[4 + i], call.positional[i]);
  call.named.resize(named);
  for (size_t i = 0; i < named; i++) {
    check(napi_get_value_uint32(env, args[4 + positional + 2 * i], &call.named[i].first));
    read_value(env, hint(positional + i), args[5 + positional + 2 * i], call.named[i].second);
  }
  c10::SmallVector<const JsValue*, 16> chosen;
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
  record(environment, *op, chosen, task);
  if (!op->tensors_only) return call_for_values(environment, env, *op, std::move(task));

  c10::SmallVector<double, 4> handles;
  for (int32_t alias : op->return_alias) {
    handles.push_back(alias >= 0 ? chosen[alias]->number : environment.put(environment.fresh(task)));
  }
  uint64_t seq = environment.push(std::move(task));
  if (op->draws_random) environment.random_seq = seq;
  if (environment.synchronous) settle(environment, *op, handles);
  if (handles.size() == 1) return to_js(env, handles[0]);
  if (handles.empty()) return nullptr;
  napi_value result;
  check(napi_create_array_with_length(env, handles.size(), &result));
  for (size_t i = 0; i < handles.size(); i++) check(napi_set_element(env, result, i, to_js(env, handles[i])));
  return result;
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
  auto names = op_names();
  napi_value result;
  check(napi_create_array_with_length(env, names.size(), &result));
  for (size_t i = 0; i < names.size(); i++) check(napi_set_element(env, result, i, to_js(env, names[i])));
  return result;
}

napi_value schemas(Environment&, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  int64_t index = find_op(read_string(env, args[0]));
  napi_value result;
  check(napi_create_array(env, &result));
  if (index < 0) return result;
  const auto& family = op_family(static_cast<size_t>(index));
  for (size_t i = 0; i < family.overloads.size(); i++) {
    check(napi_set_element(env, result, i, to_js(env, family.overloads[i].schema)));
  }
  return result;
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
