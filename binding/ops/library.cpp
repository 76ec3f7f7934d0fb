// The schemas of our own operators. Their kernels register themselves beside this file, one file an operator and
// device; other files of binding/ops add schemas of their own with TORCH_LIBRARY_FRAGMENT.
#include <torch/library.h>

TORCH_LIBRARY(torch_learner, m) {
  // out[i] = lam[i] * x[i] + (1 - lam[i]) * x[perm[i]]                                      (mix.cpp, mix_cpu.cpp)
  m.def("mixup(Tensor x, Tensor perm, Tensor lam) -> Tensor");
  m.def("mixup.out(Tensor x, Tensor perm, Tensor lam, *, Tensor(a!) out) -> Tensor(a!)");

  // out[i] = x[i], but x[perm[i]] inside the box: x1, y1, x2, y2, once or for each sample  (cutmix.cpp, cutmix_cpu.cpp)
  m.def("cutmix(Tensor x, Tensor perm, int[] boxes) -> Tensor");
  m.def("cutmix.out(Tensor x, Tensor perm, int[] boxes, *, Tensor(a!) out) -> Tensor(a!)");
  m.def("cutmix_(Tensor(a!) x, Tensor perm, int[] boxes) -> Tensor(a!)");

  // lam * CE(input, target) + (1 - lam) * CE(input, target1), then the plain mean or sum    (mixed_cross_entropy.cpp)
  m.def(
      "mixed_cross_entropy(Tensor input, Tensor target, Tensor target1, Tensor lam, Tensor? weight=None, "
      "int ignore_index=-100, float label_smoothing=0.0, bool plain_smoothing=False, int? flat_axis=None, str "
      "reduction=\"mean\") -> "
      "Tensor");

  // lam * losses + (1 - lam) * losses1, sample by sample                                           (mix_losses.cpp)
  m.def("mix_losses(Tensor losses, Tensor losses1, Tensor lam) -> Tensor");
}
