// Adam's step on the CPU: one pass over the memory, and the roundings of the operators that the reference calls one by
// one. They matter: in a deep network a difference in the last bit grows a thousandfold within a few steps, and then
// nobody can say whether two trainings are the same. So a product and sum is one fused operation where libtorch's
// kernels have it so, and square roots are taken by libtorch itself (by a vector library that doesn't round as the
// processor).

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "optim.h"

namespace torch_learner {
namespace {

// Floats that are worked on together: few enough for the cache, enough to make the call for the roots cheap.
constexpr int64_t kBlock = 16384;
constexpr int64_t kGrain = 2 * kBlock;

struct Constants {
  float keep, coupled_decay, momentum, fresh, square_momentum, square_fresh, square_debias, epsilon, rate;
};

#if defined(__x86_64__)
#define TARGET_FMA __attribute__((target("avx2,fma")))
#else
#define TARGET_FMA
#endif

// Weight decay and averages; leaves what the roots are to be taken of.
TARGET_FMA void average(float* __restrict p, const float* __restrict g, float* __restrict a, float* __restrict s,
                        float* __restrict root, int64_t n, const Constants c) {
  for (int64_t i = 0; i < n; ++i) {
    const float gradient = __builtin_fmaf(p[i], c.coupled_decay, g[i]);
    p[i] *= c.keep;
    a[i] = __builtin_fmaf(gradient, c.fresh, a[i] * c.momentum);
    s[i] = __builtin_fmaf(gradient * c.square_fresh, gradient, s[i] * c.square_momentum);
    root[i] = s[i] / c.square_debias;
  }
}

TARGET_FMA void move(float* __restrict p, const float* __restrict a, const float* __restrict root, int64_t n,
                     const Constants c) {
  for (int64_t i = 0; i < n; ++i) p[i] += c.rate * a[i] / (root[i] + c.epsilon);
}

}  // namespace

bool adam_cpu_fits(const at::Tensor& parameter) {
#if defined(__x86_64__)
  static const bool fused = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  static const bool fused = false;
#endif
  return fused && parameter.is_cpu() && parameter.scalar_type() == at::kFloat;
}

void adam_cpu(at::Tensor parameter, const at::Tensor& gradient, at::Tensor averages, at::Tensor square_averages,
              double step, bool decays, const AdamOptions& o) {
  const double decay = decays ? o.weight_decay : 0;
  const Constants constants{
      .keep = static_cast<float>(o.decoupled ? 1 - o.lr * decay : 1),
      .coupled_decay = static_cast<float>(o.decoupled ? 0 : decay),
      .momentum = static_cast<float>(o.momentum),
      .fresh = static_cast<float>(1 - o.momentum),
      .square_momentum = static_cast<float>(o.square_momentum),
      .square_fresh = static_cast<float>(1 - o.square_momentum),
      .square_debias = static_cast<float>(1 - std::pow(o.square_momentum, step)),
      .epsilon = static_cast<float>(o.epsilon),
      .rate = static_cast<float>(-o.lr / (1 - std::pow(o.momentum, step))),
  };
  auto* p = parameter.data_ptr<float>();
  const auto* g = gradient.const_data_ptr<float>();
  auto* a = averages.data_ptr<float>();
  auto* s = square_averages.data_ptr<float>();
  at::parallel_for(0, parameter.numel(), kGrain, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;  // of this thread
    at::Tensor roots = at::empty({std::min(kBlock, end - begin)}, at::kFloat);
    for (int64_t i = begin; i < end; i += kBlock) {
      const int64_t n = std::min(kBlock, end - i);
      auto* root = roots.data_ptr<float>();
      average(p + i, g + i, a + i, s + i, root, n, constants);
      if (n < roots.numel()) roots = roots.narrow(0, 0, n);
      roots.sqrt_();
      move(p + i, a + i, root, n, constants);
    }
  });
}

}  // namespace torch_learner
