// SPDX-License-Identifier: Apache-2.0
// Arguments of the kernels of matrix products:
//
//   y[batch, m, n] = bias[n] + sum over k of a[batch, m, k] * b[batch, k, n]
//
// Each of the four indices runs over a group of axes, with a stride in each tensor; 0 where a tensor does not have the
// axis. Transposed matrices, broadcasts, several summed axes and permuted results are only strides; nothing
// is copied first.
#ifndef DOVETAIL_KERNELS_GEMM_ARGS_HPP
#define DOVETAIL_KERNELS_GEMM_ARGS_HPP

#include <stdint.h>

#include "dovetail/detail/host_device.hpp"
#include "dovetail/detail/isa.hpp"
#include "dovetail/epilogue_program.h"
#include "kernels/simd/vec.hpp"

constexpr int kGemmRank = 16;  // axes of a group: two inputs of eight dims
enum GemmTensor : int32_t { kGemmA = 0, kGemmB = 1, kGemmY = 2 };

// Axes that one index runs over, outermost first; those without a gap between them are joined.
struct GemmGroup {
  int32_t rank;
  int64_t n;  // product of the extents
  int64_t extent[kGemmRank];
  int64_t stride[3][kGemmRank];  // by GemmTensor
};

struct GemmArgs {
  const void *a, *b;
  void* y;
  const void* bias;  // element n * bias_step is added, or null
  int32_t type;      // of y, or of a and b where these are integers
  int32_t a_type, b_type, bias_type;
  int64_t bias_step;
  float scale;                      // of the products (INT8)
  const EpilogueProgram* epilogue;  // computed on sums and bias, or null; columns of y are channels then
  bool epilogue_by_row;             // it has operands for each row: rows of y are images
  GemmGroup batch, m, n, k;
};

// How a product is cut. b is packed as float32, [n panel of the batch][k][kGemmTile], or as pairs of bfloat16 in the
// room of one (avx512bf16, amx): those in memory are [first_panel, last_panel) of batches [first_batch, last_batch).
struct GemmPacked {
  float* panels;  // null: b is read in place
  int64_t first_batch, last_batch, first_panel, last_panel;
  int64_t block, splits;  // rows of y that are an item, and parts of the n panels that are items of their own
  // Of a very long k, `group` pieces are added up in the scratch, at `sums_at`, before y takes them; 0: y takes each.
  int64_t group, sums_at;
};

namespace DT_ISA {

// Offset in tensor `t` of the index's value i.
DOVETAIL_HOST_DEVICE inline int64_t gemm_offset(const GemmGroup& g, int t, int64_t i) {
  int64_t offset = 0;
  DOVETAIL_ROLLED
  for (int axis = g.rank - 1; axis > 0; --axis) {
    const int64_t rest = i / g.extent[axis];
    offset += (i - rest * g.extent[axis]) * g.stride[t][axis];
    i = rest;
  }
  return g.rank > 0 ? offset + i * g.stride[t][0] : 0;
}

// Neighbours in this index lie gemm_step apart in tensor `t`, where the group is one axis at most.
DOVETAIL_HOST_DEVICE inline int64_t gemm_step(const GemmGroup& g, int t) { return g.rank == 1 ? g.stride[t][0] : 1; }
DOVETAIL_HOST_DEVICE inline bool gemm_is_unit(const GemmGroup& g, int t) { return g.rank <= 1 && gemm_step(g, t) == 1; }

// Floats from one copied row of a to the next: neighbouring rows are not in the same sets of a cache.
constexpr int64_t gemm_row_floats(int64_t slots) {
  const int64_t lines = (slots + 15) / 16;
  return (lines + (lines % 2 == 0 ? 1 : 2)) * 16;
}

}  // namespace DT_ISA

// Kernels, defined in cpu_generic.hpp. Ranges are of items:
//   gemm_pack    panels of b, batch by batch
//   gemm_tiles   (batch, block of rows, part of the n panels); scratch holds the block of a where it has to be copied
//   gemm_few     (batch, kGemmFewPanels of n) of at most kGemmFewRows rows, b being packed: each weight is read once
//   gemm_vector  (batch, kGemmColumns of n); m is 1, and b has neighbours in n or in k
//   gemm_exact   (batch, m, kGemmColumns of n) of integers
constexpr int64_t kGemmColumns = 128;
constexpr int64_t kGemmDepth = 256;  // k that are summed before y is written, so that panels stay in the caches
constexpr int64_t kGemmPieces = 64;  // that y takes one by one; of more, groups are added up first
constexpr int64_t kGemmFewRows = 4, kGemmFewPanels = 4;
constexpr int64_t kGemmBlockFloats = 96 << 10;  // of a, copied by one thread: they stay in its cache

DOVETAIL_KERNELS(void gemm_pack(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last);
                 void gemm_tiles(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last,
                                 float* scratch);
                 void gemm_few(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last,
                               float* scratch);
                 void gemm_vector(const GemmArgs& args, int64_t first, int64_t last);
                 void gemm_exact(const GemmArgs& args, int64_t first, int64_t last);)

constexpr int64_t kGemmTilesPanel = 32;  // rows of a panel where sums are in tiles (amx)

// Sums that stay in registers: rows of a panel times columns of a tile. With 32 registers 14 x 2 sums, two vectors of b
// and one element of a.
#define DT_GEMM_TILE(isa, needs, lanes, of, ...)                              \
  namespace isa {                                                             \
  constexpr int64_t kGemmPanel = lanes == 16 ? 14 : 6, kGemmTile = 2 * lanes; \
  }
DOVETAIL_ISAS(DT_GEMM_TILE, )
#undef DT_GEMM_TILE

#endif
