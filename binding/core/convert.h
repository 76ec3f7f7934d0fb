// JavaScript values <-> C++ values. One place for names of dtypes, devices and memory formats, and for type errors.
#pragma once

#include "environment.h"

namespace torch_learner {

// A JavaScript argument, read once; what it may stand for is decided against each overload's schema.
struct JsValue {
  enum class Kind : uint8_t {
    kDefault,
    kNull,
    kTensor,
    kNumber,
    kBool,
    kString,
    kBigInt,
    kNumbers,
    kBools,
    kTensors,
    kEmptyList,
    kGenerator
  };
  Kind kind = Kind::kDefault;
  double number = 0;  // a tensor's handle, or the number
  int64_t integer = 0;
  bool integral = false;  // number or numbers are whole and fit int64
  std::string string;
  c10::SmallVector<double, 6> numbers;  // or handles; -1 for an absent tensor
  at::Generator generator;

  std::string describe() const;
};

// How JavaScript announced an argument (two bits each), so that tensors and numbers need no type checks here.
enum class Hint : uint32_t { kDefault = 0, kTensor = 1, kNumber = 2, kOther = 3 };

void read_value(napi_env env, Hint hint, napi_value value, JsValue& out);

std::string read_string(napi_env env, napi_value value);
double read_number(napi_env env, napi_value value, const char* name);
int64_t read_integer(napi_env env, napi_value value, const char* name);
bool read_bool(napi_env env, napi_value value, const char* name);
Origin read_origin(napi_env env, napi_value value);
std::vector<int64_t> read_shape(napi_env env, napi_value value);
std::vector<double> read_handles(napi_env env, napi_value value);

std::optional<at::ScalarType> parse_dtype(const std::string& name);
std::string dtype_name(at::ScalarType type);
at::ScalarType require_dtype(const std::string& name);
std::optional<c10::Device> parse_device(const std::string& name);
std::optional<at::MemoryFormat> parse_memory_format(const std::string& name);

// A C++ value that JavaScript holds and gives back: deleted with the object, and tagged, so that whatever else is
// passed in place (another addon's object too) is refused instead of being read as one. A kind has one tag, of random
// numbers.
napi_value to_external(napi_env env, void* value, const napi_type_tag& tag, napi_finalize destroy);
void* from_external(napi_env env, napi_value value, const napi_type_tag& tag, const char* expected);

inline constexpr napi_type_tag kGeneratorTag{0x7d1c6b2f0a9e4853, 0x9be3f5a1c4472d06};

napi_value to_js(napi_env env, const std::string& value);
napi_value to_js(napi_env env, double value);
napi_value to_js(napi_env env, bool value);
napi_value to_js(napi_env env, at::IntArrayRef values);
// An array of what `make` gives for each item.
template <typename Items, typename Make>
napi_value to_list(napi_env env, Items&& items, Make&& make) {
  napi_value list;
  check(napi_create_array_with_length(env, items.size(), &list));
  uint32_t i = 0;
  for (auto& item : items) check(napi_set_element(env, list, i++, make(item)));
  return list;
}

// Numbers, booleans, strings, lists of them; tensors become handles of fresh slots, marked as {tensor: handle}.
napi_value to_js(Environment& environment, const c10::IValue& value);

template <size_t N>
struct Args {
  napi_value values[N];
  size_t count = N;
  Args(napi_env env, napi_callback_info info) { check(napi_get_cb_info(env, info, &count, values, nullptr, nullptr)); }
  napi_value operator[](size_t i) const { return values[i]; }
};

}  // namespace torch_learner
