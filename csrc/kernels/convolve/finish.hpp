// SPDX-License-Identifier: Apache-2.0
// Blocks of 16 maps (CHW16) from sums in registers: what is done to the sums, and how they are stored.
#ifndef DOVETAIL_KERNELS_CONVOLVE_FINISH_HPP
#define DOVETAIL_KERNELS_CONVOLVE_FINISH_HPP

#include "dovetail/epilogue_tile.hpp"
#include "kernels/convolve/args.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

constexpr int kBlock = 16;
constexpr int kVectors = kBlock / kLanes;  // of one block

inline int64_t blocks_of(int64_t n) { return (n + kBlock - 1) / kBlock; }

// Vector i of the biases of `maps` maps; zeros where there is no map.
inline VecF bias_lanes(const float* bias, int i, int64_t maps) {
  if (!bias) return VecF{};
  const int64_t rest = maps - i * kLanes;
  const int n = static_cast<int>(rest <= 0 ? 0 : rest < kLanes ? rest : kLanes);
  return load_lanes(reinterpret_cast<uintptr_t>(bias) + static_cast<uintptr_t>(i) * kLanes * 4, 0, n, VecF{});
}

// The most common epilogues, in registers: at most one addition of a tensor as large as y, then limits (Relu, Clip). A
// Finish that is not all of the program leaves all of it to finish_block.
struct Finish {
  const float* y = nullptr;         // the output
  const float* residual = nullptr;  // what is added, or null
  int64_t y_block = 0;              // distance of two blocks of maps
  float low = 0, high = 0;
  bool is_clamped = false, is_all = true;

  explicit Finish(const ConvolveArgs& args)
      : y(static_cast<const float*>(args.y)), y_block(args.axis[1].out * args.axis[2].out * kBlock) {
    if (!args.epilogue) return;
    low = -__builtin_inff();
    high = __builtin_inff();
    int8_t value = 0;  // the register that holds what the steps have made so far
    for (int s = 0; s < args.epilogue->n_steps; ++s) {
      is_all = is_all && take(*args.epilogue, args.epilogue->steps[s], value);
      value = args.epilogue->steps[s].to;
    }
    if (is_all) return;
    residual = nullptr;
    is_clamped = false;
  }

  // Sums of blocks of maps at y + out[p].
  template <int outputs, int v>
  inline __attribute__((always_inline)) void apply(VecF (&sum)[outputs][v], const float* at, const int64_t* out) const {
    if (residual) {
      const float* from = residual + (at - y);
#pragma GCC unroll 16
      for (int p = 0; p < outputs; ++p) {
#pragma GCC unroll 4
        for (int i = 0; i < v; ++i) sum[p][i] += load(from + out[p] + i / kVectors * y_block + i % kVectors * kLanes);
      }
    }
    if (!is_clamped) return;
    const VecF most = splat(high), least = splat(low);
#pragma GCC unroll 16
    for (int p = 0; p < outputs; ++p) {
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) sum[p][i] = at_least(at_most(sum[p][i], most), least);
    }
  }

 private:
  bool take(const EpilogueProgram& program, const EpilogueStep& step, int8_t value) {
    if (step.n_operands != 2) return false;
    const int other = step.kind[0] == kEpilogueRegister ? 1 : 0;
    if (step.kind[1 - other] != kEpilogueRegister || step.index[1 - other] != value) return false;
    if (step.operation == DT_STEP_ADD && step.kind[other] == kEpilogueTensor) {
      const EpilogueOperand& tensor = program.tensors[step.index[other]];
      if (tensor.form != kEpilogueWhole || tensor.type != DT_TYPE_FLOAT || residual || is_clamped) return false;
      residual = static_cast<const float*>(tensor.data);
      return true;
    }
    const float limit = step.constant[other];
    if (step.kind[other] != kEpilogueConstant || limit != limit) return false;
    if (step.operation == DT_STEP_MIN) {
      low = limit < low ? limit : low;
      high = limit < high ? limit : high;
    } else if (step.operation == DT_STEP_MAX) {
      low = limit > low ? limit : low;
      high = limit > high ? limit : high;
    } else {
      return false;
    }
    return is_clamped = true;
  }
};

// Writes one output; lanes without a map become zero.
template <int v>
inline __attribute__((always_inline)) void write_maps(const VecF (&sum)[v], float* y, int64_t y_block, int64_t maps) {
#pragma GCC unroll 4
  for (int i = 0; i < v; ++i) store(y + i / kVectors * y_block + i % kVectors * kLanes, sum[i]);
  if (maps >= v * kLanes) return;
  for (int i = 0; i < v; ++i) {
    float* to = y + i / kVectors * y_block + i % kVectors * kLanes;
    const int64_t rest = maps - i * kLanes;
    for (int64_t k = rest > 0 ? rest : 0; k < kLanes; ++k) to[k] = 0.0f;
  }
}

// Computes the epilogue on n outputs of one block of maps, which lie side by side from y on and are still in L1. Lanes
// without a map stay zero.
inline void finish_block(const ConvolveArgs& args, float* y, int64_t n, int64_t image, int64_t map, int64_t maps) {
  if (!args.epilogue || maps <= 0) return;
  EpilogueTile tile = {y, kBlock, static_cast<int>(n), static_cast<int>(maps < kBlock ? maps : kBlock)};
  tile.offset = y - static_cast<const float*>(args.y);
  tile.row_step = kBlock;
  tile.image = image;
  tile.channel = map;
  tile.column_channel = 1;
  apply_epilogue(*args.epilogue, tile);
}

// Neighbouring outputs of some blocks of maps that are stored and wait for their epilogue, which is faster on many.
struct Unfinished {
  float* y = nullptr;
  int64_t n = 0, n_blocks = 0, image = 0, map = 0, maps = 0;

  void finish(const ConvolveArgs& args) {
    const int64_t y_block = args.axis[1].out * args.axis[2].out * kBlock;
    for (int64_t i = 0; n > 0 && i < n_blocks; ++i)
      finish_block(args, y + i * y_block, n, image, map + i * kBlock, maps - i * kBlock);
    n = 0;
  }
  void add(const ConvolveArgs& args, const Unfinished& next) {
    constexpr int64_t kMost = 64;  // outputs: 4 KiB of each block, which stay in L1
    if (n > 0 && n < kMost && next.y == y + n * kBlock && next.map == map) {
      n += next.n;
      return;
    }
    finish(args);
    *this = next;
  }
};

}  // namespace
}  // namespace DT_ISA

#endif
