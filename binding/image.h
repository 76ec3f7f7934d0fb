// Decoding of picture files on libuv's thread pool.
#pragma once

#include <napi.h>

namespace torch_learner {

void initImage(Napi::Env env, Napi::Object exports);

}  // namespace torch_learner
