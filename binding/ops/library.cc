// The namespace torch_learner, and the schemas of the operators that have several implementations: those register
// themselves with TORCH_LIBRARY_IMPL, one file an operator and device. An operator with one implementation for all
// devices has its schema beside it, in a TORCH_LIBRARY_FRAGMENT: attention, augment_affine, augment_lighting,
// interpolate, losses, module, optim, optim_rules, random_state and training (.cc). All schemas together, as they are
// registered, stand in src/tensor/generated/own.ts.
#include <torch/library.h>

TORCH_LIBRARY(torch_learner, m) {
  // out[i] = lam[i] * x[i] + (1 - lam[i]) * x[perm[i]]                                      (mix.cc, mix_cpu.cc)
  m.def("mixup(Tensor x, Tensor perm, Tensor lam) -> Tensor");
  m.def("mixup.out(Tensor x, Tensor perm, Tensor lam, *, Tensor(a!) out) -> Tensor(a!)");

  // out[i] = x[i], but x[perm[i]] inside the box: x1, y1, x2, y2, once or for each sample  (cutmix.cc, cutmix_cpu.cc)
  m.def("cutmix(Tensor x, Tensor perm, int[] boxes) -> Tensor");
  m.def("cutmix.out(Tensor x, Tensor perm, int[] boxes, *, Tensor(a!) out) -> Tensor(a!)");
  m.def("cutmix_(Tensor(a!) x, Tensor perm, int[] boxes) -> Tensor(a!)");

  // lam * CE(input, target) + (1 - lam) * CE(input, target1), then the plain mean or sum    (mixed_cross_entropy.cc)
  m.def(
      "mixed_cross_entropy(Tensor input, Tensor target, Tensor target1, Tensor lam, Tensor? weight=None, "
      "int ignore_index=-100, float label_smoothing=0.0, bool plain_smoothing=False, int? flat_axis=None, str "
      "reduction=\"mean\") -> "
      "Tensor");

  // (x / divisor - mean) / std by channel: numbers of pictures (N, C, H, W) as float32  (preprocess.cc, *_cpu.cc)
  m.def(
      "normalize(Tensor x, float[] mean, float[] std, *, float? divisor=None, MemoryFormat? memory_format=None) -> "
      "Tensor");
  // mixup(normalize(x, ...), perm, lam)                                                 (preprocess.cc, *_cpu.cc)
  m.def(
      "normalize_mixup(Tensor x, float[] mean, float[] std, Tensor perm, Tensor lam, *, float? divisor=None, "
      "MemoryFormat? memory_format=None) -> Tensor");

  // lam * losses + (1 - lam) * losses1, sample by sample                                           (mix_losses.cc)
  m.def("mix_losses(Tensor losses, Tensor losses1, Tensor lam) -> Tensor");
}
