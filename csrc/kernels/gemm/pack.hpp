// SPDX-License-Identifier: Apache-2.0
// Copies of a and b as the products want them: floats, or pairs of bfloat16 in the room of one (kTerms). Compiled once
// per instruction set.
#ifndef DOVETAIL_KERNELS_GEMM_PACK_HPP
#define DOVETAIL_KERNELS_GEMM_PACK_HPP

#include "kernels/gemm/args.hpp"
#include "kernels/simd/convert.hpp"
#include "kernels/simd/multiply.hpp"
#include "kernels/simd/transpose.hpp"

namespace DT_ISA {
namespace {

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Floats that this many k take in a packed row.
inline int64_t slots_of(int64_t k) { return (k + kTerms - 1) / kTerms; }

// Iterates over the values of an index and keeps its offset in one tensor.
struct Walk {
  const GemmGroup& g;
  const int64_t* stride;
  int64_t at[kGemmRank], offset;

  Walk(const GemmGroup& group, int t, int64_t i) : g(group), stride(group.stride[t]), offset(0) {
    for (int axis = g.rank - 1; axis >= 0; --axis) {
      at[axis] = i % g.extent[axis];
      i /= g.extent[axis];
      offset += at[axis] * stride[axis];
    }
  }
  void next() {
    for (int axis = g.rank - 1; axis >= 0; --axis) {
      offset += stride[axis];
      if (++at[axis] < g.extent[axis]) return;
      offset -= at[axis] * stride[axis];
      at[axis] = 0;
    }
  }
};

// One operand of a product, a matrix of `index` and k.
struct Operand {
  const void* data;
  int32_t type;
  int t;         // GemmTensor
  int64_t from;  // where the batch begins
  const GemmGroup &index, &k;

  // Elements as a slot has them: a float, or a pair of k and k + 1, the latter 0 at the end.
  float slot(int64_t low, int64_t high, bool has_high) const {
    if constexpr (kTerms == 1) return read_float(data, type, from + low);
    const uint16_t* const v = static_cast<const uint16_t*>(data) + from;
    return float_of(v[low] | (has_high ? static_cast<uint32_t>(v[high]) << 16 : 0u));
  }
};

// Slots of k0 and on, of neighbours in k of one index; `n` is the number of k.
inline void copy_run(const Operand& x, int64_t at, int64_t n, float* to) {
  if constexpr (kTerms == 1) {
    load_floats(x.data, x.type, x.from + at, to, n);
  } else {
    const uint16_t* const v = static_cast<const uint16_t*>(x.data) + x.from + at;
    memcpy(to, v, static_cast<size_t>(n) * 2);
    if (n % 2 == 1) to[n / 2] = float_of(v[n - 1]);
  }
}

// to[i - i0][slot of k - k0], rows `step` apart
inline void copy_rows(const Operand& x, int64_t i0, int64_t n, int64_t k0, int64_t k1, float* to, int64_t step) {
  Walk row(x.index, x.t, i0);
  const bool is_unit = gemm_is_unit(x.k, x.t);
  for (int64_t i = 0; i < n; ++i, row.next(), to += step) {
    if (is_unit) {
      copy_run(x, row.offset + k0, k1 - k0, to);
      continue;
    }
    Walk k(x.k, x.t, k0);
    for (int64_t at = k0; at < k1; at += kTerms) {
      const int64_t low = row.offset + k.offset;
      k.next();
      const int64_t high = row.offset + k.offset;
      if (kTerms == 2) k.next();
      to[(at - k0) / kTerms] = x.slot(low, high, at + 1 < k1);
    }
  }
}

// The same of neighbours in i: squares of them are transposed.
inline void copy_rows_across(const Operand& x, int64_t i0, int64_t n, int64_t k0, int64_t k1, float* to, int64_t step) {
  const int64_t whole_n = kTerms == 1 ? n / kLanes * kLanes : 0, whole_k = k0 + (k1 - k0) / kLanes * kLanes;
  float square[kLanes * kLanes];
  Walk k(x.k, x.t, k0);
  for (int64_t at = k0; at < whole_k && whole_n > 0; at += kLanes) {
    int64_t offsets[kLanes];
    for (int r = 0; r < kLanes; ++r, k.next()) offsets[r] = x.from + i0 + k.offset;
    for (int64_t i = 0; i < whole_n; i += kLanes) {
      for (int r = 0; r < kLanes; ++r) load_floats(x.data, x.type, offsets[r] + i, square + r * kLanes, kLanes);
      transpose_square(square, kLanes, to + i * step + at - k0, step);
    }
  }
  if (whole_n > 0 && whole_k < k1) copy_rows(x, i0, whole_n, whole_k, k1, to + whole_k - k0, step);
  if (whole_n < n) copy_rows(x, i0 + whole_n, n - whole_n, k0, k1, to + whole_n * step, step);
}

// to[slot of k - k0][i - i0] for `used` values of the index, zeros up to kTile: rows of neighbours in i.
inline void pack_along(const Operand& x, int64_t i0, int64_t used, int64_t k0, int64_t k1, float* to) {
  Walk k(x.k, x.t, k0);
  const float* const floats = x.type == kF32 && kTerms == 1 ? static_cast<const float*>(x.data) + x.from + i0 : nullptr;
  for (int64_t at = k0; at < k1; at += kTerms, to += kTile) {
    const int64_t low = k.offset;
    k.next();
    if (floats && used == kTile) {
      store(to, load(floats + low));
      store(to + kLanes, load(floats + low + kLanes));
      continue;
    }
    if (kTerms == 1) {
      load_floats(x.data, x.type, x.from + i0 + low, to, used);
    } else {
      const bool has_high = at + 1 < k1;
      const int64_t high = k.offset;
      for (int64_t i = 0; i < used; ++i) to[i] = x.slot(i0 + i + low, i0 + i + high, has_high);
      k.next();
    }
    for (int64_t i = used; i < kTile; ++i) to[i] = 0;
  }
}

// The same of any index: squares are transposed where k has neighbours.
inline void pack_across(const Operand& x, int64_t i0, int64_t used, int64_t k0, int64_t k1, float* to) {
  constexpr int64_t kDepth = kLanes * kTerms;  // of a square
  const int64_t whole = gemm_is_unit(x.k, x.t) ? k0 + (k1 - k0) / kDepth * kDepth : k0;
  int64_t offsets[kTile];
  Walk walk(x.index, x.t, i0);
  for (int64_t i = 0; i < used; ++i, walk.next()) offsets[i] = walk.offset;
  float square[kLanes * kLanes];
  const bool lies_even = kTerms == 1 && x.type == kF32 && x.index.rank <= 1;  // squares are read where they lie
  const int64_t row = gemm_step(x.index, x.t);
  for (int64_t at = k0; at < whole; at += kDepth, to += kLanes * kTile) {
    for (int64_t i = 0; i < kTile; i += kLanes) {
      if (lies_even && i + kLanes <= used) {
        transpose_square(static_cast<const float*>(x.data) + x.from + offsets[i] + at, row, to + i, kTile);
        continue;
      }
      for (int r = 0; r < kLanes; ++r) {
        if (i + r < used) {
          copy_run(x, offsets[i + r] + at, kDepth, square + r * kLanes);
        } else {
          store(square + r * kLanes, VecF{});
        }
      }
      transpose_square(square, kLanes, to + i, kTile);
    }
  }
  Walk k(x.k, x.t, whole);
  for (int64_t at = whole; at < k1; at += kTerms, to += kTile) {
    const int64_t low = k.offset;
    k.next();
    const int64_t high = k.offset;
    if (kTerms == 2) k.next();
    for (int64_t i = 0; i < used; ++i) to[i] = x.slot(offsets[i] + low, offsets[i] + high, at + 1 < k1);
    for (int64_t i = used; i < kTile; ++i) to[i] = 0;
  }
}

inline void pack_panel(const Operand& x, int64_t i0, int64_t used, int64_t k0, int64_t k1, float* to) {
  if (gemm_is_unit(x.index, x.t)) return pack_along(x, i0, used, k0, k1, to);
  pack_across(x, i0, used, k0, k1, to);
}

}  // namespace
}  // namespace DT_ISA

#endif
