// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernel of Reformat.
#ifndef DOVETAIL_PLUGINS_REFORMAT_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_REFORMAT_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "side.hpp"

struct ReformatArgs {
  const void* x;
  void* y;
  int32_t element_bytes;
  int64_t channels, inner;  // elements of an image; images follow each other
  ReformatSide from, to;
};

// Work is cut into tiles of kReformatChannels x kReformatInner, numbered image by image, inner positions fastest.
constexpr int64_t kReformatChannels = 16, kReformatInner = 256;

// Channels [c0, c1) at positions [s0, s1) of an image.
struct ReformatTile {
  int64_t image, c0, c1, s0, s1;
};

DOVETAIL_KERNELS(void reformat(const ReformatArgs& args, int64_t first_tile, int64_t last_tile);)

// One tile, into y as a tensor of its own in the layout of `args.to`. Which one it is.
DOVETAIL_KERNELS(ReformatTile gather_tile(const ReformatArgs& args, int64_t number);)

#endif
