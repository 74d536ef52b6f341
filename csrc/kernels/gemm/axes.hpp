// SPDX-License-Identifier: Apache-2.0
// Computes the four indices of a matrix product from its axes, for rows files of every device.
#ifndef DOVETAIL_KERNELS_GEMM_AXES_HPP
#define DOVETAIL_KERNELS_GEMM_AXES_HPP

#include "kernels/gemm/args.hpp"
#include "kernels/layout/format.hpp"

DOVETAIL_OPEN_NAMESPACE

// One axis and how far its neighbours lie apart in each tensor.
struct GemmAxis {
  int64_t n;
  int64_t stride[3];
  bool is_of[3];    // whether the tensor has the axis; a broadcast extent of 1 does not count
  bool is_dynamic;  // not known before the run

  void lies(GemmTensor t, int64_t step) {
    stride[t] = step;
    is_of[t] = true;
  }
};

// A tensor's extents, for rules that hold while planning and at run time: with the largest ones where `known` has -1.
struct GemmDims {
  const int64_t *v, *known;
  int rank;
  GemmDims(const Desc& desc) : v(desc.max()), known(desc.dims()), rank(desc.rank()) {}
  GemmDims(const Tensor& tensor) : v(tensor.dims()), known(tensor.dims()), rank(tensor.rank()) {}
  bool is_dynamic(int i) const { return known[i] < 0; }
};

// All axes of a product: those of y in its order, then those that are summed.
struct GemmAxes {
  int n = 0;
  GemmAxis axis[2 * kGemmRank];

  GemmAxis* add(int64_t extent, bool is_dynamic) {
    if (n == 2 * kGemmRank) fail(DT_UNSUPPORTED, "a product of more than %d axes", 2 * kGemmRank);
    axis[n] = {};
    axis[n].n = extent;
    axis[n].is_dynamic = is_dynamic;
    return &axis[n++];
  }
};

// Elements between neighbours of each axis of a linear tensor.
struct Strides {
  int64_t v[DT_MAX_RANK];
  Strides(const int64_t* dims, int rank) {
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; --i) {
      v[i] = step;
      step *= dims[i];
    }
  }
};

inline void add_axis(GemmGroup* g, const GemmAxis& axis) {
  g->n *= axis.n;
  if (axis.n == 1) return;
  if (g->rank > 0) {
    const int last = g->rank - 1;
    bool joins = true;
    for (int t = 0; t < 3; ++t) joins = joins && g->stride[t][last] == axis.stride[t] * axis.n;
    if (joins) {
      g->extent[last] *= axis.n;
      for (int t = 0; t < 3; ++t) g->stride[t][last] = axis.stride[t];
      return;
    }
  }
  if (g->rank == kGemmRank) fail(DT_UNSUPPORTED, "more than %d axes of one kind", kGemmRank);
  g->extent[g->rank] = axis.n;
  for (int t = 0; t < 3; ++t) g->stride[t][g->rank] = axis.stride[t];
  ++g->rank;
}

// Sets the indices. Axes of both inputs and y are the batch, those of a and y are m, of b and y n, the others k.
inline void set_groups(GemmArgs* args, const GemmAxes& axes) {
  GemmGroup* const groups[] = {&args->batch, &args->m, &args->n, &args->k};
  for (GemmGroup* g : groups) {
    *g = {};
    g->n = 1;
  }
  for (int i = 0; i < axes.n; ++i) {
    const GemmAxis& axis = axes.axis[i];
    if (!axis.is_of[kGemmY]) {
      add_axis(&args->k, axis);
    } else {
      add_axis(axis.is_of[kGemmA] ? axis.is_of[kGemmB] ? &args->batch : &args->m : &args->n, axis);
    }
  }
  for (GemmGroup* g : groups) {
    if (g->n == 0) g->rank = 0;  // nothing to iterate over
  }
}

// The same product with the inputs' roles exchanged.
inline void swap_inputs(GemmAxes* axes) {
  for (int i = 0; i < axes->n; ++i) {
    GemmAxis& axis = axes->axis[i];
    std::swap(axis.stride[kGemmA], axis.stride[kGemmB]);
    std::swap(axis.is_of[kGemmA], axis.is_of[kGemmB]);
  }
}

// True if the innermost axis of y is one of a's: then y is written contiguously if the inputs exchange their roles.
inline bool is_turned(const GemmAxes& axes) {
  for (int i = axes.n - 1; i >= 0; --i) {
    const GemmAxis& axis = axes.axis[i];
    if (axis.is_of[kGemmY] && axis.n != 1) return axis.is_of[kGemmA] && !axis.is_of[kGemmB];
  }
  return false;
}

DOVETAIL_CLOSE_NAMESPACE

#endif
