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
void copy_tile(const ReformatArgs& args, int64_t image, int64_t c0, int64_t c1, int64_t s0, int64_t s1) {
  const T* x = static_cast<const T*>(args.x) + image * args.from.image;
  T* y = static_cast<T*>(args.y) + image * args.to.image;
  if (sizeof(T) == 4 && (in_fours(args.from, args.to) || in_fours(args.to, args.from))) {
    transpose_floats(reinterpret_cast<const float*>(x), reinterpret_cast<float*>(y), args, c0, c1, s0, s1);
  } else {
    copy_elements(x, y, args, c0, c1, s0, s1);
  }
}

}  // namespace

void reformat(const ReformatArgs& args, int64_t first_tile, int64_t last_tile) {
  const int64_t s_tiles = (args.inner + kReformatInner - 1) / kReformatInner;
  const int64_t c_tiles = (args.channels + kReformatChannels - 1) / kReformatChannels;
  for (int64_t tile = first_tile; tile < last_tile; ++tile) {
    const int64_t s0 = tile % s_tiles * kReformatInner;
    const int64_t c0 = tile / s_tiles % c_tiles * kReformatChannels;
    const int64_t image = tile / s_tiles / c_tiles;
    const int64_t s1 = s0 + kReformatInner < args.inner ? s0 + kReformatInner : args.inner;
    const int64_t c1 = c0 + kReformatChannels < args.channels ? c0 + kReformatChannels : args.channels;
    if (args.element_bytes == 1) {
      copy_tile<uint8_t>(args, image, c0, c1, s0, s1);
    } else if (args.element_bytes == 2) {
      copy_tile<uint16_t>(args, image, c0, c1, s0, s1);
    } else if (args.element_bytes == 4) {
      copy_tile<float>(args, image, c0, c1, s0, s1);
    } else {
      copy_tile<uint64_t>(args, image, c0, c1, s0, s1);
    }
  }
}

}  // namespace DT_ISA

#endif
