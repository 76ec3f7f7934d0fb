// torch_learner::cutmix on the CPU: rows of bytes, so that one kernel serves every dtype.
//
// Into a new tensor it is one pass: each pixel is read once, from the sample or from its partner, and written once. In
// place only boxes move: of a few rows at a time the partners' pixels are put aside, and then pasted, since a sample
// may be a partner after it was pasted over. What is put aside stays in the second-level cache.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "cutmix.h"

namespace torch_learner {
namespace {

// Bytes below which a piece of work isn't worth a second thread.
constexpr int64_t kGrainBytes = int64_t{64} << 10;

// What is put aside at a time, unless a single row of all samples is more.
constexpr int64_t kTileBytes = int64_t{256} << 10;

// The layout in bytes.
struct Bytes {
  int64_t pixel, row, plane, sample;

  Bytes(const CutmixArgs& args)
      : pixel(args.layout.pixel * static_cast<int64_t>(args.x.element_size())),
        row(pixel * args.layout.width),
        plane(row * args.layout.height),
        sample(plane * args.layout.planes) {}
};

int64_t grain(int64_t bytes) { return std::max<int64_t>(1, kGrainBytes / std::max<int64_t>(1, bytes)); }

void copy_rows(char* to, const char* from, int64_t rows, int64_t bytes, int64_t to_stride, int64_t from_stride) {
  for (int64_t y = 0; y < rows; ++y) std::memcpy(to + y * to_stride, from + y * from_stride, bytes);
}

// One plane: the rows above and below the box in one piece each, and between them left, box and right.
void cut_plane(char* out, const char* own, const char* partner, const Box& box, const Bytes& bytes) {
  const int64_t top = box.y1 * bytes.row, bottom = box.y2 * bytes.row;
  const int64_t left = box.x1 * bytes.pixel, right = box.x2 * bytes.pixel;
  std::memcpy(out, own, top);
  for (int64_t y = top; y < bottom; y += bytes.row) {
    std::memcpy(out + y, own + y, left);
    std::memcpy(out + y + left, partner + y + left, right - left);
    std::memcpy(out + y + right, own + y + right, bytes.row - right);
  }
  std::memcpy(out + bottom, own + bottom, bytes.plane - bottom);
}

void cut(const at::Tensor& out, const CutmixArgs& args) {
  const Bytes bytes(args);
  const int64_t planes = args.layout.planes;
  const auto* x = static_cast<const char*>(args.x.const_data_ptr());
  const int64_t* perm = args.perm.const_data_ptr<int64_t>();
  auto* result = static_cast<char*>(out.mutable_data_ptr());
  at::parallel_for(0, args.x.size(0) * planes, grain(bytes.plane), [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int64_t i = at / planes;
      const int64_t plane = at % planes * bytes.plane;
      cut_plane(result + at * bytes.plane, x + at * bytes.plane, x + perm[i] * bytes.sample + plane, args.box(i),
                bytes);
    }
  });
}

// The rows from `top` to `bottom` of one plane, in all samples: they depend on nothing else.
void cut_tile(char* x, const int64_t* perm, const CutmixArgs& args, const Bytes& bytes, int64_t plane, int64_t top,
              int64_t bottom, char* aside) {
  const int64_t samples = args.x.size(0);
  const auto each = [&](auto&& move) {
    char* put = aside;
    for (int64_t i = 0; i < samples; ++i) {
      const Box box = args.box(i);
      const int64_t y = std::max(top, box.y1), rows = std::min(bottom, box.y2) - y;
      const int64_t width = (box.x2 - box.x1) * bytes.pixel;
      if (rows <= 0 || width == 0 || perm[i] == i) continue;
      move(i, put, plane * bytes.plane + y * bytes.row + box.x1 * bytes.pixel, rows, width);
      put += rows * width;
    }
  };
  each([&](int64_t i, char* put, int64_t corner, int64_t rows, int64_t width) {
    copy_rows(put, x + perm[i] * bytes.sample + corner, rows, width, width, bytes.row);
  });
  each([&](int64_t i, const char* put, int64_t corner, int64_t rows, int64_t width) {
    copy_rows(x + i * bytes.sample + corner, put, rows, width, bytes.row, width);
  });
}

void cut_in_place(const CutmixArgs& args) {
  const Bytes bytes(args);
  const int64_t samples = args.x.size(0), height = args.layout.height;
  auto* x = static_cast<char*>(args.x.mutable_data_ptr());
  const int64_t* perm = args.perm.const_data_ptr<int64_t>();
  const int64_t tile_rows = std::clamp<int64_t>(kTileBytes / (samples * bytes.row), 1, height);
  const int64_t tiles = (height + tile_rows - 1) / tile_rows;
  at::parallel_for(0, args.layout.planes * tiles, 1, [&](int64_t begin, int64_t end) {
    std::vector<char> aside(samples * tile_rows * bytes.row);
    for (int64_t at = begin; at < end; ++at) {
      const int64_t top = at % tiles * tile_rows;
      cut_tile(x, perm, args, bytes, at / tiles, top, std::min(height, top + tile_rows), aside.data());
    }
  });
}

constexpr CutmixKernels kKernels{cut, cut_in_place};

at::Tensor cutmix_cpu(const at::Tensor& x, const at::Tensor& perm, at::IntArrayRef boxes) {
  return cutmix_with(kKernels, x, perm, boxes);
}

at::Tensor& cutmix_out_cpu(const at::Tensor& x, const at::Tensor& perm, at::IntArrayRef boxes, at::Tensor& out) {
  return cutmix_out_with(kKernels, x, perm, boxes, out);
}

at::Tensor& cutmix_in_place_cpu(at::Tensor& x, const at::Tensor& perm, at::IntArrayRef boxes) {
  return cutmix_in_place_with(kKernels, x, perm, boxes);
}

}  // namespace
}  // namespace torch_learner

TORCH_LIBRARY_IMPL(torch_learner, CPU, m) {
  m.impl("cutmix", torch_learner::cutmix_cpu);
  m.impl("cutmix.out", torch_learner::cutmix_out_cpu);
  m.impl("cutmix_", torch_learner::cutmix_in_place_cpu);
}
