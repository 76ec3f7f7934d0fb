#include "convert.h"

#include <cmath>

namespace torch_learner {

namespace {

struct DtypeName {
  const char* name;
  at::ScalarType type;
};
constexpr DtypeName kDtypes[] = {{"float32", at::kFloat},
                                 {"float64", at::kDouble},
                                 {"float16", at::kHalf},
                                 {"bfloat16", at::kBFloat16},
                                 {"int64", at::kLong},
                                 {"int32", at::kInt},
                                 {"int16", at::kShort},
                                 {"int8", at::kChar},
                                 {"uint8", at::kByte},
                                 {"bool", at::kBool},
                                 {"float", at::kFloat},
                                 {"double", at::kDouble},
                                 {"half", at::kHalf},
                                 {"long", at::kLong},
                                 {"int", at::kInt},
                                 {"complex64", at::kComplexFloat},
                                 {"complex128", at::kComplexDouble}};

bool is_whole(double number) { return std::trunc(number) == number && std::fabs(number) < 9.2e18; }

napi_valuetype type_of(napi_env env, napi_value value) {
  napi_valuetype type;
  check(napi_typeof(env, value, &type));
  return type;
}

void read_array(napi_env env, napi_value array, JsValue& out) {
  uint32_t length;
  check(napi_get_array_length(env, array, &length));
  if (length == 0) {
    out.kind = JsValue::Kind::kEmptyList;
    return;
  }
  out.kind = JsValue::Kind::kNumbers;
  out.integral = true;
  out.numbers.reserve(length);
  for (uint32_t i = 0; i < length; i++) {
    napi_value item;
    check(napi_get_element(env, array, i, &item));
    double number;
    bool b;
    if (out.kind == JsValue::Kind::kNumbers && napi_get_value_double(env, item, &number) == napi_ok) {
      out.integral = out.integral && is_whole(number);
      out.numbers.push_back(number);
    } else if ((i == 0 || out.kind == JsValue::Kind::kBools) && napi_get_value_bool(env, item, &b) == napi_ok) {
      out.kind = JsValue::Kind::kBools;
      out.numbers.push_back(b);
    } else {
      throw Misuse("ERR_INVALID_ARG", "Expected an array of numbers, of booleans or of tensors but item " +
                                          std::to_string(i) + " is of another type; give all items one type.");
    }
  }
}

}  // namespace

std::optional<at::ScalarType> parse_dtype(const std::string& name) {
  for (const auto& entry : kDtypes) {
    if (name == entry.name) return entry.type;
  }
  return std::nullopt;
}

at::ScalarType require_dtype(const std::string& name) {
  if (auto type = parse_dtype(name)) return *type;
  throw Misuse("ERR_INVALID_ARG",
               "Expected a dtype (float32, float64, float16, bfloat16, int64, int32, int16, int8, uint8, "
               "bool) but received '" +
                   name + "'.");
}

std::string dtype_name(at::ScalarType type) {
  for (const auto& entry : kDtypes) {
    if (type == entry.type) return entry.name;
  }
  return c10::toString(type);
}

std::optional<c10::Device> parse_device(const std::string& name) {
  auto base = name.substr(0, name.find(':'));
  if (base != "cpu" && base != "cuda" && base != "mps" && base != "meta") return std::nullopt;
  try {
    return c10::Device(name);
  } catch (const std::exception&) {
    return std::nullopt;  // "cuda:x": not a device, so the caller reports what came
  }
}

std::optional<at::MemoryFormat> parse_memory_format(const std::string& name) {
  if (name == "contiguous_format" || name == "contiguous") return at::MemoryFormat::Contiguous;
  if (name == "channels_last") return at::MemoryFormat::ChannelsLast;
  if (name == "channels_last_3d") return at::MemoryFormat::ChannelsLast3d;
  if (name == "preserve_format" || name == "preserve") return at::MemoryFormat::Preserve;
  return std::nullopt;
}

std::string JsValue::describe() const {
  switch (kind) {
    case Kind::kDefault:
      return "undefined";
    case Kind::kNull:
      return "null";
    case Kind::kTensor:
      return "Tensor";
    case Kind::kNumber: {
      std::string text = std::to_string(number);
      if (text.find('.') != std::string::npos) text.erase(text.find_last_not_of('0') + 1);
      if (text.back() == '.') text.pop_back();
      return "number " + text;
    }
    case Kind::kBool:
      return integer ? "true" : "false";
    case Kind::kString:
      return "string '" + string.substr(0, 40) + "'";
    case Kind::kBigInt:
      return "bigint";
    case Kind::kNumbers:
      return integral ? "integer[" + std::to_string(numbers.size()) + "]"
                      : "number[" + std::to_string(numbers.size()) + "]";
    case Kind::kBools:
      return "boolean[" + std::to_string(numbers.size()) + "]";
    case Kind::kTensors:
      return "Tensor[" + std::to_string(numbers.size()) + "]";
    case Kind::kEmptyList:
      return "[]";
    case Kind::kGenerator:
      return "Generator";
  }
  return "?";
}

void read_value(napi_env env, Hint hint, napi_value value, JsValue& out) {
  switch (hint) {
    case Hint::kDefault:
      return;
    case Hint::kTensor:
      out.kind = JsValue::Kind::kTensor;
      check(napi_get_value_double(env, value, &out.number));
      return;
    case Hint::kNumber:
      out.kind = JsValue::Kind::kNumber;
      check(napi_get_value_double(env, value, &out.number));
      out.integral = is_whole(out.number);
      if (out.integral) out.integer = static_cast<int64_t>(out.number);
      return;
    case Hint::kOther:
      break;
  }
  switch (type_of(env, value)) {
    case napi_null:
      out.kind = JsValue::Kind::kNull;
      return;
    case napi_undefined:
      return;
    case napi_boolean: {
      bool b;
      check(napi_get_value_bool(env, value, &b));
      out.kind = JsValue::Kind::kBool;
      out.integer = b;
      return;
    }
    case napi_string:
      out.kind = JsValue::Kind::kString;
      out.string = read_string(env, value);
      return;
    case napi_number:
      return read_value(env, Hint::kNumber, value, out);
    case napi_bigint: {
      bool lossless;
      check(napi_get_value_bigint_int64(env, value, &out.integer, &lossless));
      if (!lossless) throw Misuse("ERR_INVALID_ARG", "Expected a bigint within 64 bits but received a larger one.");
      out.kind = JsValue::Kind::kBigInt;
      return;
    }
    case napi_external: {
      out.kind = JsValue::Kind::kGenerator;
      out.generator = *static_cast<at::Generator*>(from_external(env, value, kGeneratorTag, "a Generator"));
      return;
    }
    case napi_object: {
      bool is;
      check(napi_is_array(env, value, &is));
      if (is) return read_array(env, value, out);
      check(napi_is_typedarray(env, value, &is));
      if (is) {
        out.kind = JsValue::Kind::kTensors;
        auto handles = read_handles(env, value);
        out.numbers.assign(handles.begin(), handles.end());
        return;
      }
      break;
    }
    default:
      break;
  }
  throw Misuse("ERR_INVALID_ARG",
               "Expected a tensor, number, boolean, string, array or null as an operator's argument but "
               "received a value of another type.");
}

napi_value to_external(napi_env env, void* value, const napi_type_tag& tag, napi_finalize destroy) {
  napi_value result;
  const napi_status made = napi_create_external(env, value, destroy, nullptr, &result);
  if (made != napi_ok) destroy(env, value, nullptr);
  check(made);
  check(napi_type_tag_object(env, result, &tag));
  return result;
}

void* from_external(napi_env env, napi_value value, const napi_type_tag& tag, const char* expected) {
  bool ours = false;
  check(napi_check_object_type_tag(env, value, &tag, &ours));
  if (!ours) {
    throw Misuse("ERR_INVALID_ARG",
                 std::string("Expected ") + expected + " but received a native object of another kind.");
  }
  void* data;
  check(napi_get_value_external(env, value, &data));
  return data;
}

std::string read_string(napi_env env, napi_value value) {
  size_t length;
  check(napi_get_value_string_utf8(env, value, nullptr, 0, &length));
  std::string text(length, '\0');
  check(napi_get_value_string_utf8(env, value, text.data(), length + 1, &length));
  return text;
}

double read_number(napi_env env, napi_value value, const char* name) {
  double number;
  if (value == nullptr || napi_get_value_double(env, value, &number) != napi_ok) {
    throw Misuse("ERR_INVALID_ARG", std::string("Expected a number for ") + name + " but received another type.");
  }
  return number;
}

int64_t read_integer(napi_env env, napi_value value, const char* name) {
  double number = read_number(env, value, name);
  if (!is_whole(number)) {
    throw Misuse("ERR_INVALID_ARG",
                 std::string("Expected an integer for ") + name + " but received " + std::to_string(number) + ".");
  }
  return static_cast<int64_t>(number);
}

bool read_bool(napi_env env, napi_value value, const char* name) {
  bool b;
  if (value == nullptr || napi_get_value_bool(env, value, &b) != napi_ok) {
    throw Misuse("ERR_INVALID_ARG", std::string("Expected a boolean for ") + name + " but received another type.");
  }
  return b;
}

Origin read_origin(napi_env env, napi_value value) {
  double number;
  check(napi_get_value_double(env, value, &number));
  return static_cast<Origin>(number);
}

std::vector<int64_t> read_shape(napi_env env, napi_value value) {
  uint32_t length;
  if (value == nullptr || napi_get_array_length(env, value, &length) != napi_ok) {
    throw Misuse("ERR_INVALID_ARG", "Expected an array of non-negative integers for shape but received another type.");
  }
  std::vector<int64_t> shape(length);
  for (uint32_t i = 0; i < length; i++) {
    napi_value item;
    check(napi_get_element(env, value, i, &item));
    shape[i] = read_integer(env, item, "shape");
    if (shape[i] < 0)
      throw Misuse("ERR_INVALID_ARG", "Expected non-negative integers for shape but received a negative one.");
  }
  return shape;
}

std::vector<double> read_handles(napi_env env, napi_value value) {
  napi_typedarray_type type;
  size_t length, offset;
  void* data;
  napi_value buffer;
  check(napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset));
  if (type != napi_float64_array)
    throw Misuse("ERR_INVALID_ARG", "Expected tensors but received a typed array; wrap it with tensor().");
  auto* numbers = static_cast<double*>(data);
  return std::vector<double>(numbers, numbers + length);
}

napi_value to_js(napi_env env, const std::string& value) {
  napi_value result;
  check(napi_create_string_utf8(env, value.c_str(), value.size(), &result));
  return result;
}

napi_value to_js(napi_env env, double value) {
  napi_value result;
  check(napi_create_double(env, value, &result));
  return result;
}

napi_value to_js(napi_env env, bool value) {
  napi_value result;
  check(napi_get_boolean(env, value, &result));
  return result;
}

napi_value to_js(napi_env env, at::IntArrayRef values) {
  return to_list(env, values, [env](int64_t value) { return to_js(env, static_cast<double>(value)); });
}

napi_value to_js(Environment& environment, const c10::IValue& value) {
  napi_env env = environment.env;
  napi_value result;
  if (value.isTensor()) {
    check(napi_create_object(env, &result));
    check(napi_set_named_property(env, result, "tensor", to_js(env, environment.put(value.toTensor()))));
    return result;
  }
  if (value.isNone()) {
    check(napi_get_null(env, &result));
    return result;
  }
  if (value.isBool()) return to_js(env, value.toBool());
  if (value.isInt()) return to_js(env, static_cast<double>(value.toInt()));
  if (value.isDouble()) return to_js(env, value.toDouble());
  if (value.isString()) return to_js(env, value.toStringRef());
  if (value.isDevice()) return to_js(env, value.toDevice().str());
  if (value.isList() || value.isTuple()) {
    std::vector<c10::IValue> items;
    if (value.isTuple()) {
      items = value.toTupleRef().elements().vec();
    } else {
      items = value.toListRef().vec();
    }
    return to_list(env, items, [&environment](const c10::IValue& item) { return to_js(environment, item); });
  }
  throw Misuse("ERR_UNSUPPORTED", "An operator returned a " + value.tagKind() + ", which has no JavaScript form.");
}

}  // namespace torch_learner
