// JavaScript values <-> what is wanted of pictures and what went wrong with them.
#pragma once

#include <stdexcept>

#include "core/convert.h"
#include "decode.h"

namespace torch_learner {

struct Failure {
  size_t index;
  image::Problem problem;
  std::string reason;
};

// One file's trouble is that file's: the others of its batch are decoded all the same.
template <typename Body>
std::optional<Failure> attempt(size_t index, Body&& body) {
  try {
    body();
    return std::nullopt;
  } catch (const image::DecodeError& error) {
    return Failure{index, error.problem, error.reason};
  } catch (const std::length_error& error) {
    return Failure{index, image::Problem::too_large, error.what()};
  } catch (const std::bad_alloc&) {
    return Failure{index, image::Problem::too_large, "there isn't enough memory for it"};
  } catch (const std::exception& error) {
    return Failure{index, image::Problem::damaged, error.what()};
  }
}

napi_value make_object(napi_env env, std::initializer_list<std::pair<const char*, napi_value>> members);
napi_value make_failure(napi_env env, const Failure& failure);

// The callers are this package's own modules, which have checked the values: what is caught here is what would crash.
void require(bool condition, const char* what);
image::Size make_size(double width, double height);
image::Step read_step(napi_env env, napi_value object);
image::Request read_request(napi_env env, napi_value object);
// `count` numbers from 0 to 1: the decoder's arithmetic relies on it.
std::vector<double> read_draws(napi_env env, napi_value value, size_t count);

}  // namespace torch_learner
