#include "augment_maps.h"

#include <cmath>
#include <utility>

namespace torch_learner {
namespace {

constexpr Map kIdentity{1, 0, 0, 0, 1, 0, 0, 0, 1};

// The symmetries of the square: none, left-right, up-down, ... half a turn, ... the diagonals.
constexpr double kDihedral[8][4] = {{1, 0, 0, 1},   {-1, 0, 0, 1}, {1, 0, 0, -1}, {0, -1, 1, 0},
                                    {-1, 0, 0, -1}, {0, 1, -1, 0}, {0, 1, 1, 0},  {0, -1, -1, 0}};

// Gauss-Jordan with pivoting: rows of 8 coefficients and the right-hand side.
void solve(double (&rows)[8][9]) {
  for (int column = 0; column < 8; ++column) {
    int pivot = column;
    for (int row = column + 1; row < 8; ++row) {
      if (std::abs(rows[row][column]) > std::abs(rows[pivot][column])) pivot = row;
    }
    for (int k = 0; k < 9; ++k) std::swap(rows[column][k], rows[pivot][k]);
    const double scale = 1 / rows[column][column];
    for (double& value : rows[column]) value *= scale;
    for (int row = 0; row < 8; ++row) {
      if (row == column) continue;
      const double factor = rows[row][column];
      for (int k = 0; k < 9; ++k) rows[row][k] -= factor * rows[column][k];
    }
  }
}

}  // namespace

Map compose(const Map& outer, const Map& inner) {
  Map result{};
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) {
      for (int k = 0; k < 3; ++k) result[3 * row + column] += outer[3 * row + k] * inner[3 * k + column];
    }
  }
  return result;
}

Map affine_map(const AffineDraws& draws, double height, double width) {
  Map map = kIdentity;
  if (draws.mirror != 0) map = compose(map, {1 - 2 * draws.mirror, 0, 0, 0, 1, 0, 0, 0, 1});
  if (draws.dihedral != 0) {
    const auto& m = kDihedral[draws.dihedral];
    map = compose(map, {m[0], m[1], 0, m[2], m[3], 0, 0, 0, 1});
  }
  if (draws.degrees != 0) {
    const double angle = draws.degrees * std::acos(-1.0) / 180;
    map = compose(map, {std::cos(angle), std::sin(angle), 0, -std::sin(angle), std::cos(angle), 0, 0, 0, 1});
  }
  if (draws.zoom != 1) {
    const double s = 1 / draws.zoom;
    map = compose(map, {s, 0, (1 - s) * (2 * draws.zoom_x - 1), 0, s, (1 - s) * (2 * draws.zoom_y - 1), 0, 0, 1});
  }
  map[1] *= height / width;
  map[3] *= width / height;
  return map;
}

// The map with denominator c6 * x + c7 * y + 1 that takes four points to the corners of the square.
Map warp_map(double warp_x, double warp_y) {
  if (warp_x == 0 && warp_y == 0) return kIdentity;
  const double corners[4][4] = {{-1, -1, -1 - warp_y, -1 - warp_x},
                                {-1, 1, -1 + warp_y, 1 + warp_x},
                                {1, -1, 1 + warp_y, -1 + warp_x},
                                {1, 1, 1 - warp_y, 1 - warp_x}};
  double rows[8][9];
  for (int i = 0; i < 4; ++i) {
    const auto [to_x, to_y, x, y] = corners[i];
    const double across[9] = {x, y, 1, 0, 0, 0, -to_x * x, -to_x * y, to_x};
    const double down[9] = {0, 0, 0, x, y, 1, -to_y * x, -to_y * y, to_y};
    for (int k = 0; k < 9; ++k) {
      rows[2 * i][k] = across[k];
      rows[2 * i + 1][k] = down[k];
    }
  }
  solve(rows);
  Map map{};
  for (int k = 0; k < 8; ++k) map[k] = rows[k][8];
  map[8] = 1;
  return map;
}

}  // namespace torch_learner
