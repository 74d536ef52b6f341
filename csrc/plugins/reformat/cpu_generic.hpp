// SPDX-License-Identifier: Apache-2.0
// The algorithm of Reformat: small transpositions. Built for the baseline alone; memory sets its pace.
// Instruction sets: scalar.
#ifndef DOVETAIL_PLUGINS_REFORMAT_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_REFORMAT_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

typedef float Quad __attribute__((vector_size(16)));
typedef float QuadUnaligned __attribute__((vector_size(16), aligned(1), may_alias));

int64_t offset(const ReformatSide& side, int64_t c) { return c / side.lanes * side.block + c % side.lanes; }

// y[j * y_pitch + i] = x[i * x_pitch + j] for i, j < 4
void transpose4(const float* x, int64_t x_pitch, float* y, int64_t y_pitch) {
  const Quad a = *reinterpret_cast<const QuadUnaligned*>(x);
  const Quad b = *reinterpret_cast<const QuadUnaligned*>(x + x_pitch);
  const Quad c = *reinterpret_cast<const QuadUnaligned*>(x + 2 * x_pitch);
  const Quad d = *reinterpret_cast<const QuadUnaligned*>(x + 3 * x_pitch);
  const Quad ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Quad cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *reinterpret_cast<QuadUnaligned*>(y) = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
  *reinterpret_cast<QuadUnaligned*>(y + y_pitch) = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
  *reinterpret_cast<QuadUnaligned*>(y + 2 * y_pitch) = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
  *reinterpret_cast<QuadUnaligned*>(y + 3 * y_pitch) = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
}

// Channels [c0, c1) at positions [s0, s1), element by element.
template <class T>
void copy_elements(const T* x, T* y, const ReformatArgs& args, int64_t c0, int64_t c1, int64_t s0, int64_t s1) {
  if (args.to.step == 1) {
    for (int64_t c = c0; c < c1; ++c) {
      const T* from = x + offset(args.from, c);
      T* to = y + offset(args.to, c);
      for (int64_t s = s0; s < s1; ++s) to[s] = from[s * args.from.step];
    }
    return;
  }
  int64_t from[kReformatChannels], to[kReformatChannels];
  for (int64_t c = c0; c < c1; ++c) {
    from[c - c0] = offset(args.from, c);
    to[c - c0] = offset(args.to, c);
  }
  for (int64_t s = s0; s < s1; ++s) {
    for (int64_t c = 0; c < c1 - c0; ++c) y[to[c] + s * args.to.step] = x[from[c] + s * args.from.step];
  }
}

// Between a side whose positions are neighbours and one whose channels are; both in fours.
void transpose_floats(const float* x, float* y, const ReformatArgs& args, int64_t c0, int64_t c1, int64_t s0,
                      int64_t s1) {
  const bool from_planes = args.from.step == 1;
  const int64_t c_end = c0 + (c1 - c0) / 4 * 4, s_end = s0 + (s1 - s0) / 4 * 4;
  for (int64_t s = s0; s < s_end; s += 4) {
    for (int64_t c = c0; c < c_end; c += 4) {
      const float* from = x + offset(args.from, c) + s * args.from.step;
      float* to = y + offset(args.to, c) + s * args.to.step;
      transpose4(from, from_planes ? args.from.block : args.from.step, to, from_planes ? args.to.step : args.to.block);
    }
  }
  copy_elements(x, y, args, c_end, c1, s0, s_end);
  copy_elements(x, y, args, c0, c1, s_end, s1);
}

bool in_fours(const ReformatSide& planes, const ReformatSide& channels) {
  return planes.lanes == 1 && planes.step == 1 && channels.lanes % 4 == 0;
}

template <class T>
void copy_tile(const ReformatArgs& args, const T* x, T* y, int64_t c0, int64_t c1, int64_t s0, int64_t s1) {
  if (sizeof(T) == 4 && (in_fours(args.from, args.to) || in_fours(args.to, args.from))) {
    transpose_floats(reinterpret_cast<const float*>(x), reinterpret_cast<float*>(y), args, c0, c1, s0, s1);
  } else {
    copy_elements(x, y, args, c0, c1, s0, s1);
  }
}

ReformatTile tile_of(const ReformatArgs& args, int64_t number) {
  const int64_t s_tiles = (args.inner + kReformatInner - 1) / kReformatInner;
  const int64_t c_tiles = (args.channels + kReformatChannels - 1) / kReformatChannels;
  const int64_t s0 = number % s_tiles * kReformatInner;
  const int64_t c0 = number / s_tiles % c_tiles * kReformatChannels;
  const int64_t s1 = s0 + kReformatInner < args.inner ? s0 + kReformatInner : args.inner;
  const int64_t c1 = c0 + kReformatChannels < args.channels ? c0 + kReformatChannels : args.channels;
  return {number / s_tiles / c_tiles, c0, c1, s0, s1};
}

template <class T>
void copy_in_place(const ReformatArgs& args, const ReformatTile& tile) {
  copy_tile<T>(args, static_cast<const T*>(args.x) + tile.image * args.from.image,
               static_cast<T*>(args.y) + tile.image * args.to.image, tile.c0, tile.c1, tile.s0, tile.s1);
}

// Tiles begin at whole vectors, or within one that they do not leave: their elements lie as those of the first tile do.
template <class T>
void copy_to_start(const ReformatArgs& args, const ReformatTile& tile) {
  const T* x = static_cast<const T*>(args.x) + tile.image * args.from.image + offset(args.from, tile.c0) +
               tile.s0 * args.from.step;
  copy_tile<T>(args, x, static_cast<T*>(args.y), 0, tile.c1 - tile.c0, 0, tile.s1 - tile.s0);
}

}  // namespace

void reformat(const ReformatArgs& args, int64_t first_tile, int64_t last_tile) {
  for (int64_t number = first_tile; number < last_tile; ++number) {
    const ReformatTile tile = tile_of(args, number);
    if (args.element_bytes == 1) {
      copy_in_place<uint8_t>(args, tile);
    } else if (args.element_bytes == 2) {
      copy_in_place<uint16_t>(args, tile);
    } else if (args.element_bytes == 4) {
      copy_in_place<float>(args, tile);
    } else {
      copy_in_place<uint64_t>(args, tile);
    }
  }
}

ReformatTile gather_tile(const ReformatArgs& args, int64_t number) {
  const ReformatTile tile = tile_of(args, number);
  if (args.element_bytes == 1) {
    copy_to_start<uint8_t>(args, tile);
  } else if (args.element_bytes == 2) {
    copy_to_start<uint16_t>(args, tile);
  } else if (args.element_bytes == 4) {
    copy_to_start<float>(args, tile);
  } else {
    copy_to_start<uint64_t>(args, tile);
  }
  return tile;
}

}  // namespace DT_ISA

#endif
