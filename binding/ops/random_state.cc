// The state of the generator that operators on a device draw from, by PyTorch's own generators: a run that is undone
// gives the random numbers back too, on the GPU as on the CPU.

#include <ATen/Context.h>
#include <torch/library.h>

#include "core/common.h"

namespace torch_learner {
namespace {

at::Tensor rng_state(at::Device device) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

void set_rng_state(at::Device device, const at::Tensor& state) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  generator.set_state(state);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  // numbers that the host draws are drawn before or after, in program order
  const std::vector<at::Tag> random{at::Tag::nondeterministic_seeded};
  m.def("rng_state(Device device) -> Tensor", &rng_state, random);
  m.def("set_rng_state(Device device, Tensor state) -> ()", &set_rng_state, random);
}

}  // namespace torch_learner
