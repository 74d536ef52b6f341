// SPDX-License-Identifier: Apache-2.0
// What the rows of MatrixMultiply have in common on all devices.
#ifndef DOVETAIL_PLUGINS_MATRIX_MULTIPLY_ROWS_HPP
#define DOVETAIL_PLUGINS_MATRIX_MULTIPLY_ROWS_HPP

#include "kernels/gemm/axes.hpp"
#include "matrix_multiply.hpp"

constexpr char kFloatTypes[] = "f32|f16|bf16 f32|f16|bf16 -> f32|f16|bf16";
constexpr char kFloat32Types[] = "f32 f32 -> f32";
constexpr char kHalvesTypes[] = "f16|bf16 f16|bf16 -> f16|bf16";
constexpr char kBf16Types[] = "bf16 bf16 -> bf16";
constexpr char kIntegerTypes[] = "i32|i64|i8 i32|i64|i8 -> i32|i64|f32";

// The axes of the product.
inline void add_matrix_axes(const MatrixMultiplyParams& params, const dovetail::GemmDims& a,
                            const dovetail::GemmDims& b, const dovetail::GemmDims& y, dovetail::GemmAxes* axes) {
  const int batch = a.rank - 1 - params.has_m();
  const int a_k = params.k_of_a(batch), a_m = params.m_of_a(batch);
  const int b_k = params.k_of_b(batch), b_n = params.n_of_b(batch);
  const dovetail::Strides in_a(a.v, a.rank), in_b(b.v, b.rank), in_y(y.v, y.rank);
  for (int i = 0; i < batch; ++i) {
    const bool is_dynamic = a.is_dynamic(i) || b.is_dynamic(i) || y.is_dynamic(i);
    dovetail::GemmAxis* axis = axes->add(y.v[i], is_dynamic);
    axis->lies(kGemmY, in_y.v[i]);
    if (a.v[i] != 1) axis->lies(kGemmA, in_a.v[i]);
    if (b.v[i] != 1) axis->lies(kGemmB, in_b.v[i]);
    if (a.v[i] == 1 && b.v[i] == 1) axis->lies(kGemmA, in_a.v[i]);
  }
  if (params.has_m()) {
    dovetail::GemmAxis* axis = axes->add(y.v[batch], a.is_dynamic(a_m));
    axis->lies(kGemmA, in_a.v[a_m]);
    axis->lies(kGemmY, in_y.v[batch]);
  }
  if (params.has_n()) {
    const int at = batch + params.has_m();
    dovetail::GemmAxis* axis = axes->add(y.v[at], b.is_dynamic(b_n));
    axis->lies(kGemmB, in_b.v[b_n]);
    axis->lies(kGemmY, in_y.v[at]);
  }
  dovetail::GemmAxis* axis = axes->add(a.v[a_k], a.is_dynamic(a_k) || b.is_dynamic(b_k));
  axis->lies(kGemmA, in_a.v[a_k]);
  axis->lies(kGemmB, in_b.v[b_k]);
}

struct MatrixRule {
  static constexpr int kBias = -1;  // no input is a bias
  // The axis along which operands of an epilogue have one value for each column.
  static int channel_axis(const MatrixMultiplyParams&, const dovetail::Desc& y) { return y.rank() - 1; }
  static const char* axes(const MatrixMultiplyParams& params, const dovetail::Descs& inputs,
                          const dovetail::Descs& outputs, dovetail::GemmAxes* axes) {
    add_matrix_axes(params, inputs[0], inputs[1], outputs[0], axes);
    return nullptr;
  }
  static const char* axes(const MatrixMultiplyParams& params, const dovetail::Run& run, dovetail::GemmAxes* axes) {
    add_matrix_axes(params, run.input(0), run.input(1), run.output(0), axes);
    return nullptr;
  }
};

#endif
