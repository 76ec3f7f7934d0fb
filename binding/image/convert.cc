#include "convert.h"

#include <algorithm>

namespace torch_learner {

using image::Method;
using image::Padding;
using image::Problem;
using image::Request;
using image::Size;
using image::Step;

namespace {

const char* name_of(Problem problem) {
  switch (problem) {
    case Problem::missing:
      return "missing";
    case Problem::unreadable:
      return "unreadable";
    case Problem::empty:
      return "empty";
    case Problem::unsupported:
      return "unsupported";
    case Problem::damaged:
      return "damaged";
    case Problem::too_large:
      return "too-large";
    case Problem::wrong_size:
      return "wrong-size";
  }
  return "unreadable";
}

napi_value member(napi_env env, napi_value object, const char* name) {
  napi_value value;
  check(napi_get_named_property(env, object, name, &value));
  return value;
}

double number(napi_env env, napi_value object, const char* name) {
  return read_number(env, member(env, object, name), name);
}

}  // namespace

napi_value make_object(napi_env env, std::initializer_list<std::pair<const char*, napi_value>> members) {
  napi_value object;
  check(napi_create_object(env, &object));
  for (const auto& [name, value] : members) check(napi_set_named_property(env, object, name, value));
  return object;
}

napi_value make_failure(napi_env env, const Failure& failure) {
  return make_object(env, {{"index", to_js(env, static_cast<double>(failure.index))},
                           {"problem", to_js(env, std::string(name_of(failure.problem)))},
                           {"reason", to_js(env, failure.reason)}});
}

void require(bool condition, const char* what) {
  if (!condition) throw Misuse("ERR_INVALID_ARG", std::string("Expected ") + what + ".");
}

Size make_size(double width, double height) {
  const bool sane = width >= 1 && height >= 1 && width <= 1 << 30 && height <= 1 << 30;
  require(sane, "positive numbers for width and height");
  return {static_cast<int>(width), static_cast<int>(height)};
}

Step read_step(napi_env env, napi_value object) {
  Step step;
  step.to = make_size(number(env, object, "width"), number(env, object, "height"));
  const std::string method = read_string(env, member(env, object, "method"));
  const std::string padding = read_string(env, member(env, object, "padMode"));
  step.method = method == "crop"     ? Method::crop
                : method == "pad"    ? Method::pad
                : method == "squish" ? Method::squish
                : method == "cut"    ? Method::cut
                : method == "area"   ? Method::area
                                     : Method::exact;
  step.padding = padding == "zeros" ? Padding::zeros : padding == "border" ? Padding::border : Padding::reflection;
  step.random = read_bool(env, member(env, object, "random"), "random");
  if (step.method == Method::area) {
    step.min_area = number(env, object, "minScale");
    step.max_area = number(env, object, "maxScale");
    step.min_ratio = number(env, object, "minRatio");
    step.max_ratio = number(env, object, "maxRatio");
  }
  return step;
}

Request read_request(napi_env env, napi_value object) {
  Request request;
  request.max_pixels = number(env, object, "maxPixels");
  const napi_value upright = member(env, object, "upright");
  napi_valuetype type;
  check(napi_typeof(env, upright, &type));
  request.upright = type != napi_undefined && read_bool(env, upright, "upright");
  const napi_value steps = member(env, object, "steps");
  uint32_t count = 0;
  check(napi_get_array_length(env, steps, &count));
  require(count > 0, "at least one step");
  for (uint32_t i = 0; i < count; i++) {
    napi_value step;
    check(napi_get_element(env, steps, i, &step));
    request.steps.push_back(read_step(env, step));
  }
  return request;
}

std::vector<double> read_draws(napi_env env, napi_value value, size_t count) {
  std::vector<double> draws = read_handles(env, value);
  const bool inside = std::all_of(draws.begin(), draws.end(), [](double draw) { return draw >= 0 && draw <= 1; });
  require(draws.size() == count && inside, "a Float64Array with every draw of the steps, from 0 to 1");
  return draws;
}

}  // namespace torch_learner
