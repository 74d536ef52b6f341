// SPDX-License-Identifier: Apache-2.0
// Reductions over any set of axes, simplified for the kernels: neighbouring axes of one kind are joined and extents of
// 1 dropped, so that most tensors become [outer, reduced, inner].
#ifndef DOVETAIL_KERNELS_REDUCE_REDUCTION_HPP
#define DOVETAIL_KERNELS_REDUCE_REDUCTION_HPP

#include "kernels/simd/vec.hpp"

constexpr int kReductionRank = 9;  // 8, and one more where channels are split into groups

// `step` is in elements of the tensor, `other` in elements of one that is broadcast over it.
struct ReductionAxis {
  int64_t n, step, other;
};

// Outermost first. A result is made of all elements of `reduced`; there is one for each element of `kept`.
struct Reduction {
  int n_kept, n_reduced;
  ReductionAxis kept[kReductionRank], reduced[kReductionRank];
  int64_t results, count;  // products of the extents
  bool inner_is_reduced;   // is the innermost axis, whose step is 1, the last of `reduced`, or else of `kept`?
};

namespace DT_ISA {

static inline int64_t product_of(const ReductionAxis* axes, int n) {
  int64_t product = 1;
  for (int i = 0; i < n; ++i) product *= axes[i].n;
  return product;
}

// Axis i is reduced where bit i of `mask` is set. `other` are steps of the tensor that is broadcast, or null.
static inline Reduction reduction_of(const int64_t* dims, int rank, uint64_t mask, const int64_t* other) {
  Reduction r = {};
  ReductionAxis inner_first[2][kReductionRank];
  int n[2] = {0, 0}, last = -1;  // kind of the axis before
  int64_t step = 1;
  for (int i = rank - 1; i >= 0; --i) {
    const int kind = static_cast<int>(mask >> i & 1);
    const ReductionAxis axis = {dims[i], step, other ? other[i] : 0};
    step *= dims[i];
    if (axis.n == 1) continue;
    ReductionAxis* before = last == kind ? &inner_first[kind][n[kind] - 1] : nullptr;
    if (before && axis.other == before->other * before->n) {
      before->n *= axis.n;
    } else {
      inner_first[kind][n[kind]++] = axis;
    }
    if (last < 0) r.inner_is_reduced = kind == 1;
    last = kind;
  }
  for (int i = 0; i < n[0]; ++i) r.kept[i] = inner_first[0][n[0] - 1 - i];
  for (int i = 0; i < n[1]; ++i) r.reduced[i] = inner_first[1][n[1] - 1 - i];
  r.n_kept = n[0];
  r.n_reduced = n[1];
  r.results = product_of(r.kept, r.n_kept);
  r.count = product_of(r.reduced, r.n_reduced);
  return r;
}

// The offset of element `index` of some axes.
static inline int64_t offset_of(const ReductionAxis* axes, int n, int64_t index, int64_t* other) {
  int64_t at = 0, at_other = 0;
  for (int i = n - 1; i > 0; --i) {
    const int64_t rest = index % axes[i].n;
    index /= axes[i].n;
    at += rest * axes[i].step;
    at_other += rest * axes[i].other;
  }
  if (n > 0) {
    at += index * axes[0].step;
    at_other += index * axes[0].other;
  }
  *other = at_other;
  return at;
}

// The work as a CPU takes it. Where the innermost axis is reduced, `runs` contiguous pieces of `inner.n` elements make
// one result. Else `runs` pieces make inner.n results beside one another. There are `items` such rows or strips.
struct Strips {
  int n_kept, n_reduced;  // without the innermost axis
  ReductionAxis inner;
  int64_t items, runs;
};

static inline Strips strips_of(const Reduction& r) {
  Strips s = {r.n_kept, r.n_reduced, {1, 1, 0}, 1, 1};
  if (r.inner_is_reduced) {
    s.inner = r.reduced[--s.n_reduced];
  } else if (r.n_kept > 0) {
    s.inner = r.kept[--s.n_kept];
  }
  s.items = product_of(r.kept, s.n_kept);
  s.runs = product_of(r.reduced, s.n_reduced);
  return s;
}

}  // namespace DT_ISA

#endif
