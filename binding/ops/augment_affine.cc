// torch_learner::augment_affine and augment_crop: geometric augmentation of a batch with one sampling.

#include <torch/library.h>

#include <cmath>
#include <optional>
#include <tuple>
#include <vector>

#include "augment_maps.h"
#include "core/common.h"

namespace torch_learner {
namespace {

using at::Tensor;
using OptionalTensor = std::optional<Tensor>;

// How values between and beyond the pixels come about, in grid_sampler's numbers.
struct Sampling {
  int64_t mode;
  int64_t padding;
  bool align_corners;
};

Sampling read_sampling(c10::string_view mode, c10::string_view padding, bool align_corners) {
  const auto place = [](c10::string_view value, std::initializer_list<c10::string_view> names) {
    const auto found = std::find(names.begin(), names.end(), value);
    TORCH_CHECK(found != names.end(), "Expected one of ", std::vector<c10::string_view>(names), " but received ",
                value);
    return static_cast<int64_t>(found - names.begin());
  };
  return {place(mode, {"bilinear", "nearest", "bicubic"}), place(padding, {"zeros", "border", "reflection"}),
          align_corners};
}

void check_pictures(const char* op, const Tensor& x) {
  TORCH_CHECK_TYPE(at::isFloatingType(x.scalar_type()), op, ": Expected x of a floating dtype but received ",
                   x.scalar_type(), "; convert it to float32 first");
  TORCH_CHECK(x.dim() == 4 && x.numel() > 0, op, ": Expected pictures (N, C, H, W) but received shape ", x.sizes());
}

std::pair<int64_t, int64_t> read_size(const char* op, at::OptionalIntArrayRef size, const Tensor& x) {
  if (!size) return {x.size(2), x.size(3)};
  TORCH_CHECK(size->size() == 2 && (*size)[0] > 0 && (*size)[1] > 0, op,
              ": Expected size [height, width], both above 0, but received ", *size);
  return {(*size)[0], (*size)[1]};
}

// One draw a sample, on the host; one value may stand for all.
Tensor on_host(const char* name, const Tensor& draws, int64_t n) {
  TORCH_CHECK(draws.numel() == n || draws.numel() == 1, "augment_affine: Expected ", n, " draws, one a sample, for ",
              name, " but received ", draws.numel());
  return draws.detach().to(at::kCPU, at::kDouble).reshape({-1}).expand({n}).contiguous();
}

struct Maps {
  std::vector<Map> affine;
  std::vector<Map> warp;  // empty: none
};

// Positions -1 to 1, as affine_grid spaces them.
Tensor positions(int64_t n, bool align_corners, const at::TensorOptions& options) {
  if (n == 1) return at::zeros({1}, options);
  const Tensor line = at::linspace(-1, 1, n, options);
  return align_corners ? line : line * (static_cast<double>(n - 1) / static_cast<double>(n));
}

// (1, H, W, 2) of one map.
Tensor grid_of(const Map& m, const Tensor& x, const Tensor& y) {
  const Tensor rows = y.unsqueeze(1);
  const auto line = [&](int row) { return (x * m[3 * row]).add(rows, m[3 * row + 1]).add_(m[3 * row + 2]); };
  const bool affine = m[6] == 0 && m[7] == 0 && m[8] == 1;
  Tensor across = line(0), down = line(1);
  if (!affine) {
    const Tensor denominator = line(2);
    across.div_(denominator);
    down.div_(denominator);
  }
  return at::stack({across, down}, -1).unsqueeze(0);
}

class Sampler {
 public:
  Sampler(Maps maps, int64_t height, int64_t width, Sampling sampling, const at::TensorOptions& options)
      : maps_(std::move(maps)),
        sampling_(sampling),
        x_(positions(width, sampling.align_corners, options)),
        y_(positions(height, sampling.align_corners, options)) {
    drop_singular_warps();
  }

  // All in one, differentiable, on any device.
  Tensor sample(const Tensor& x) const {
    std::vector<Tensor> grids;
    for (size_t i = 0; i < maps_.affine.size(); ++i) grids.push_back(grid(i));
    return at::grid_sampler(x, at::cat(grids), sampling_.mode, sampling_.padding, sampling_.align_corners);
  }

  // Sample by sample, each on one thread: the grid and the pixels stay in that core's cache.
  void sample_into(Tensor& out, const Tensor& x) const {
    at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
      const at::NoGradGuard no_grad;
      for (int64_t i = begin; i < end; ++i) {
        const Tensor sampled = at::grid_sampler(x.narrow(0, i, 1), grid(static_cast<size_t>(i)), sampling_.mode,
                                                sampling_.padding, sampling_.align_corners);
        out.narrow(0, i, 1).copy_(sampled);
      }
    });
  }

  // Of the whole batch's coordinates: largest less smallest.
  double span() const {
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < maps_.affine.size(); ++i) {
      const Tensor coordinates = grid(i);
      low = std::min(low, coordinates.min().item<double>());
      high = std::max(high, coordinates.max().item<double>());
    }
    return high - low;
  }

 private:
  Map map(size_t i) const { return maps_.warp.empty() ? maps_.affine[i] : compose(maps_.warp[i], maps_.affine[i]); }

  Tensor grid(size_t i) const { return grid_of(map(i), x_, y_); }

  // Where a coordinate would be divided by 0, nothing is warped at all. A denominator is linear in x and y: it can only
  // be 0 where its values at the corners aren't all of one sign.
  void drop_singular_warps() {
    for (size_t i = 0; i < maps_.warp.size(); ++i) {
      const Map m = map(i);
      if (std::abs(m[6]) + std::abs(m[7]) < m[8]) continue;
      const Tensor denominator = (x_ * m[6]).add(y_.unsqueeze(1), m[7]).add(m[8]);
      if (!denominator.eq(0).any().item<bool>()) continue;
      maps_.warp.clear();
      return;
    }
  }

  Maps maps_;
  Sampling sampling_;
  Tensor x_, y_;
};

// Pictures that become much smaller are averaged first: bilinear sampling would skip pixels. d counts the input pixels
// of half an output pixel.
Tensor shrunk(const Tensor& x, const Sampler& sampler, int64_t height, int64_t width, const Sampling& sampling) {
  const double d = std::min(static_cast<double>(x.size(2)) / static_cast<double>(height),
                            static_cast<double>(x.size(3)) / static_cast<double>(width)) /
                   2;
  if (sampling.mode != 0 || d <= 1 || d <= 2 / sampler.span()) return x;
  const auto side = [d](int64_t n) { return static_cast<int64_t>(std::floor(static_cast<double>(n) * (1 / d))); };
  return at::adaptive_avg_pool2d(x, {side(x.size(2)), side(x.size(3))});
}

Tensor sampled(const Tensor& input, Maps maps, int64_t height, int64_t width, const Sampling& sampling) {
  // half precision can't tell neighbouring pixels of a large picture apart
  const bool half = input.scalar_type() == at::kHalf || input.scalar_type() == at::kBFloat16;
  const Tensor x = half ? input.to(at::kFloat) : input;
  const Sampler sampler(std::move(maps), height, width, sampling, x.options().requires_grad(false));
  const Tensor source = shrunk(x, sampler, height, width, sampling);
  Tensor out;
  if (!x.is_cpu() || (x.requires_grad() && at::GradMode::is_enabled())) {
    out = sampler.sample(source);
  } else {
    const at::NoGradGuard no_grad;
    out = at::empty({x.size(0), x.size(1), height, width}, x.options(), x.suggest_memory_format());
    sampler.sample_into(out, source);
  }
  return half ? out.to(input.scalar_type()) : out;
}

// Draws are one a sample; those left out change nothing.
Tensor augment_affine(const Tensor& x, const OptionalTensor& mirror, const OptionalTensor& dihedral,
                      const OptionalTensor& degrees, const OptionalTensor& zoom, const OptionalTensor& zoom_x,
                      const OptionalTensor& zoom_y, const OptionalTensor& warp_x, const OptionalTensor& warp_y,
                      at::OptionalIntArrayRef size, c10::string_view mode, c10::string_view padding_mode,
                      bool align_corners) {
  check_pictures("augment_affine", x);
  const Sampling sampling = read_sampling(mode, padding_mode, align_corners);
  const auto [height, width] = read_size("augment_affine", size, x);
  const int64_t n = x.size(0);
  const bool moves = mirror || dihedral || degrees || zoom || warp_x || warp_y;
  if (!moves && height == x.size(2) && width == x.size(3)) return x;

  std::vector<AffineDraws> draws(static_cast<size_t>(n));
  const auto fill = [&](const char* name, const OptionalTensor& values, auto set) {
    if (!values) return;
    const Tensor host = on_host(name, *values, n);
    for (int64_t i = 0; i < n; ++i) set(draws[static_cast<size_t>(i)], host.const_data_ptr<double>()[i]);
  };
  fill("mirror", mirror, [](AffineDraws& d, double value) { d.mirror = value; });
  fill("dihedral", dihedral, [](AffineDraws& d, double value) {
    TORCH_CHECK(value >= 0 && value < 8, "augment_affine: Expected 0 to 7 for dihedral but received ", value);
    d.dihedral = static_cast<int>(value);
  });
  fill("degrees", degrees, [](AffineDraws& d, double value) { d.degrees = value; });
  fill("zoom", zoom, [](AffineDraws& d, double value) {
    TORCH_CHECK(value > 0, "augment_affine: Expected zoom factors above 0 but received ", value);
    d.zoom = value;
  });
  fill("zoom_x", zoom_x, [](AffineDraws& d, double value) { d.zoom_x = value; });
  fill("zoom_y", zoom_y, [](AffineDraws& d, double value) { d.zoom_y = value; });
  fill("warp_x", warp_x, [](AffineDraws& d, double value) { d.warp_x = value; });
  fill("warp_y", warp_y, [](AffineDraws& d, double value) { d.warp_y = value; });

  Maps maps;
  for (const AffineDraws& d : draws) {
    maps.affine.push_back(affine_map(d, static_cast<double>(x.size(2)), static_cast<double>(x.size(3))));
    if (warp_x || warp_y) maps.warp.push_back(warp_map(d.warp_x, d.warp_y));
  }
  return sampled(x, std::move(maps), height, width, sampling);
}

struct CropBox {
  int64_t top, left, height, width;
};

// `tries`: rows of uniform numbers for area, ratio, top and left; the first box that fits is taken. Without: the
// middle.
CropBox crop_box(const OptionalTensor& tries, int64_t h, int64_t w, at::ArrayRef<double> scale,
                 at::ArrayRef<double> ratio, double valid_scale) {
  if (tries) {
    TORCH_CHECK(tries->dim() == 2 && tries->size(1) == 4, "augment_crop: Expected tries of shape [n, 4] but received ",
                tries->sizes());
    const Tensor host = tries->to(at::kCPU, at::kDouble).contiguous();
    for (int64_t i = 0; i < host.size(0); ++i) {
      const double* u = host.const_data_ptr<double>() + 4 * i;
      const double area = (scale[0] + u[0] * (scale[1] - scale[0])) * static_cast<double>(w * h);
      const double shape = std::exp(std::log(ratio[0]) + u[1] * (std::log(ratio[1]) - std::log(ratio[0])));
      const auto width = static_cast<int64_t>(std::nearbyint(std::sqrt(area * shape)));
      const auto height = static_cast<int64_t>(std::nearbyint(std::sqrt(area / shape)));
      if (width < 1 || height < 1 || width > w || height > h) continue;
      const auto place = [](double pct, int64_t room) {
        return std::min(room, static_cast<int64_t>(pct * static_cast<double>(room + 1)));
      };
      return {place(u[2], h - height), place(u[3], w - width), height, width};
    }
  }
  const double own = static_cast<double>(w) / static_cast<double>(h);
  int64_t height = h, width = w;
  if (own < ratio[0]) height = static_cast<int64_t>(static_cast<double>(w) / ratio[0]);
  if (own > ratio[1]) width = static_cast<int64_t>(static_cast<double>(h) * ratio[1]);
  if (!tries) {
    height = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(height) * valid_scale));
    width = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(width) * valid_scale));
  }
  return {(h - height) / 2, (w - width) / 2, height, width};
}

// One box for the whole batch, brought to `size`.
Tensor augment_crop(const Tensor& x, at::IntArrayRef size, const OptionalTensor& tries, at::ArrayRef<double> scale,
                    at::ArrayRef<double> ratio, double valid_scale, c10::string_view mode) {
  check_pictures("augment_crop", x);
  TORCH_CHECK(scale.size() == 2 && ratio.size() == 2 && ratio[0] > 0 && ratio[0] <= ratio[1],
              "augment_crop: Expected two numbers each for scale and ratio, the smaller first");
  const auto [height, width] = read_size("augment_crop", size, x);
  const CropBox box = crop_box(tries, x.size(2), x.size(3), scale, ratio, valid_scale);
  const Tensor part = x.narrow(2, box.top, box.height).narrow(3, box.left, box.width);
  const AffineDraws none;
  Maps maps;
  maps.affine.assign(static_cast<size_t>(x.size(0)), affine_map(none, 1, 1));
  return sampled(part, std::move(maps), height, width, read_sampling(mode, "reflection", true));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  m.def(
      "augment_affine(Tensor x, *, Tensor? mirror=None, Tensor? dihedral=None, Tensor? degrees=None, Tensor? "
      "zoom=None, "
      "Tensor? zoom_x=None, Tensor? zoom_y=None, Tensor? warp_x=None, Tensor? warp_y=None, int[]? size=None, "
      "str mode=\"bilinear\", str padding_mode=\"reflection\", bool align_corners=True) -> Tensor",
      &augment_affine);
  m.def(
      "augment_crop(Tensor x, int[] size, *, Tensor? tries=None, float[] scale, float[] ratio, float valid_scale=1, "
      "str mode=\"bilinear\") -> Tensor",
      &augment_crop);
}

}  // namespace torch_learner
