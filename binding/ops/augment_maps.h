// The geometry of torch_learner::augment_affine: a sample's draws as one projective map.
#pragma once

#include <array>
#include <cstdint>

namespace torch_learner {

// From output to input coordinates, both from -1 to 1: [u, v, w] = map * [x, y, 1], read at u / w, v / w.
using Map = std::array<double, 9>;

// What was drawn for one sample; the values given here change nothing.
struct AffineDraws {
  double mirror = 0;  // 1: left and right change places
  int dihedral = 0;   // 0 to 7: one of the symmetries of the square
  double degrees = 0;
  double zoom = 1;  // above 1: nearer
  double zoom_x = 0.5, zoom_y = 0.5;
  double warp_x = 0, warp_y = 0;
};

// mirror, then dihedral, rotation and zoom, in pictures `height` x `width`: a rotation keeps right angles right.
Map affine_map(const AffineDraws& draws, double height, double width);

// The perspective that tilts the picture by these magnitudes.
Map warp_map(double warp_x, double warp_y);

Map compose(const Map& outer, const Map& inner);

}  // namespace torch_learner
