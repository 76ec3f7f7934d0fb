// Which overload a call from JavaScript means, and its arguments in the schema's types.
#include "overload.h"

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

}  // namespace

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

std::unique_ptr<Integers> to_integers(const ArgSpec& spec, const JsValue& value) {
  auto list = std::make_unique<Integers>();
  if (value.kind == Kind::kNumber) {
    list->assign(spec.fixed_size, value.integer);
  } else if (value.numbers.size() == 1 && spec.fixed_size > 1) {
    list->assign(spec.fixed_size, static_cast<int64_t>(value.numbers[0]));
  } else {
    for (double number : value.numbers) list->push_back(static_cast<int64_t>(number));
  }
  return list;
}

bool match(const OpOverload& op, const Call& call, Chosen& chosen) {
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

void refuse(const OpFamily& family, const Call& call) {
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

}  // namespace torch_learner
