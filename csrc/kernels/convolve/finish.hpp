// SPDX-License-Identifier: Apache-2.0
// Blocks of 16 maps (CHW16) from sums in registers: their epilogue, and how they are stored.
#ifndef DOVETAIL_KERNELS_CONVOLVE_FINISH_HPP
#define DOVETAIL_KERNELS_CONVOLVE_FINISH_HPP

#include "dovetail/epilogue_tile.hpp"
#include "kernels/convolve/args.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {

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

// x * sigmoid(x) of n vectors; a call, since this code in each kernel would be most of it.
inline __attribute__((noinline)) void silu_of(VecF* x, int n) {
  for (int i = 0; i < n; ++i) x[i] *= sigmoid_f(x[i]);
}

// The most common epilogues, in registers: at most one addition of a tensor as large as y, then SiLU, then limits (Relu,
// Clip). A Finish that is not all of the program leaves all of it to Unfinished.
struct Finish {
  const float* y = nullptr;        // the output
  const void* residual = nullptr;  // the addend, of the output's type, or null
  int64_t y_block = 0;             // distance of two blocks of maps
  float low = 0, high = 0;
  bool has_silu = false, is_clamped = false, is_all = true;

  explicit Finish(const ConvolveArgs& args, int32_t type = DT_TYPE_FLOAT)
      : y(static_cast<const float*>(args.y)), y_block(args.axis[1].out * args.axis[2].out * kBlock) {
    if (!args.epilogue) return;
    low = -__builtin_inff();
    high = __builtin_inff();
    int8_t value = 0;  // the register that holds what the steps have made so far
    for (int s = 0; s < args.epilogue->n_steps; ++s) {
      const bool is_next = !has_silu && !is_clamped && is_silu(*args.epilogue, s);
      if (is_next && args.epilogue->steps[s].index[0] == value) {
        has_silu = true;
        value = args.epilogue->steps[++s].to;
        continue;
      }
      is_all = is_all && take(*args.epilogue, args.epilogue->steps[s], value, type);
      value = args.epilogue->steps[s].to;
    }
    if (is_all) return;
    residual = nullptr;
    has_silu = is_clamped = false;
  }

  // The cache line at `at` of y is written soon, and the addend is read.
  void prefetch(const float* at) const {
    __builtin_prefetch(at, 1);
    if (residual) __builtin_prefetch(static_cast<const float*>(residual) + (at - y));
  }

  // Sums of blocks of maps at y + out[p].
  template <int outputs, int v>
  inline __attribute__((always_inline)) void apply(VecF (&sum)[outputs][v], const float* at, const int64_t* out) const {
    if (residual) {
      const float* from = static_cast<const float*>(residual) + (at - y);
#pragma GCC unroll 32
      for (int p = 0; p < outputs; ++p) {
#pragma GCC unroll 4
        for (int i = 0; i < v; ++i) sum[p][i] += load(from + out[p] + i / kVectors * y_block + i % kVectors * kLanes);
      }
    }
    if (has_silu) {
      VecF room[outputs * v];
#pragma GCC unroll 32
      for (int p = 0; p < outputs; ++p) {
#pragma GCC unroll 4
        for (int i = 0; i < v; ++i) room[p * v + i] = sum[p][i];
      }
      silu_of(room, outputs * v);
#pragma GCC unroll 32
      for (int p = 0; p < outputs; ++p) {
#pragma GCC unroll 4
        for (int i = 0; i < v; ++i) sum[p][i] = room[p * v + i];
      }
    }
    if (!is_clamped) return;
    const VecF most = splat(high), least = splat(low);
#pragma GCC unroll 32
    for (int p = 0; p < outputs; ++p) {
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) sum[p][i] = at_least(at_most(sum[p][i], most), least);
    }
  }

 private:
  bool take(const EpilogueProgram& program, const EpilogueStep& step, int8_t value, int32_t type) {
    if (step.n_operands != 2) return false;
    const int other = step.kind[0] == kEpilogueRegister ? 1 : 0;
    if (step.kind[1 - other] != kEpilogueRegister || step.index[1 - other] != value) return false;
    if (step.operation == DT_STEP_ADD && step.kind[other] == kEpilogueTensor) {
      const EpilogueOperand& tensor = program.tensors[step.index[other]];
      if (tensor.form != kEpilogueWhole || tensor.type != type || residual || has_silu || is_clamped) return false;
      residual = tensor.data;
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

// Where outputs of some blocks of maps wait for an epilogue that is not done in registers. They wait in L1, whatever
// the caches have of y, and in some number, since the epilogue is faster on many. Those of a transposed convolution's
// phase are spread: they do not lie side by side.
template <int blocks, int most>
class Unfinished {
 public:
  explicit Unfinished(bool is_spread) : is_spread_(is_spread) {}

  // Room for n outputs at y + out[p] of the blocks from `map` on, of which `maps` are left: side by side.
  float* room(const ConvolveArgs& args, float* y, const int64_t* out, int64_t n, int64_t n_blocks, int64_t image,
              int64_t map, int64_t maps) {
    const bool is_next = is_spread_ || y == y_ + n_ * kBlock;
    if (n_ >= kEnough || !is_next || map != map_ || image != image_) finish(args);
    if (n_ == 0) {
      y_ = y;
      n_blocks_ = n_blocks;
      image_ = image;
      map_ = map;
      maps_ = maps;
    }
    float* const to = values_ + n_ * kBlock;
    for (int64_t p = 0; p < n; ++p) offsets_[n_ + p] = is_spread_ ? y - y_ + out[p] : (n_ + p) * kBlock;
    n_ += n;
    return to;
  }

  void finish(const ConvolveArgs& args) {
    const int64_t y_block = args.axis[1].out * args.axis[2].out * kBlock;
    for (int64_t i = 0; n_ > 0 && i < n_blocks_; ++i) {
      float *const from = values_ + i * kPitch, *const to = y_ + i * y_block;
      const int64_t maps = maps_ - i * kBlock;
      EpilogueTile tile = {from, kBlock, static_cast<int>(n_), static_cast<int>(maps < kBlock ? maps : kBlock)};
      tile.offset = to - static_cast<const float*>(args.y);
      tile.row_step = kBlock;
      tile.row_offsets = is_spread_ ? offsets_ : nullptr;
      tile.image = image_;
      tile.channel = map_ + i * kBlock;
      tile.column_channel = 1;
      apply_epilogue(*args.epilogue, tile);  // lanes without a map stay zero
      for (int64_t k = 0; k < n_ * kBlock; k += kLanes) store(to + offsets_[k / kBlock] + k % kBlock, load(from + k));
    }
    n_ = 0;
  }

  static constexpr int64_t kEnough = 56, kPitch = (kEnough + most) * kBlock;  // outputs; floats of a block

 private:
  alignas(64) float values_[blocks * kPitch];
  int64_t offsets_[kEnough + most];  // from y_
  const bool is_spread_;
  float* y_ = nullptr;
  int64_t n_ = 0, n_blocks_ = 0, image_ = 0, map_ = 0, maps_ = 0;
};

}  // namespace DT_ISA

#endif
