// SPDX-License-Identifier: Apache-2.0
// What the rows of MatrixMultiply have in common on all devices.
#ifndef DOVETAIL_PLUGINS_MATRIX_MULTIPLY_ROWS_HPP
#define DOVETAIL_PLUGINS_MATRIX_MULTIPLY_ROWS_HPP

#include "dovetail/gemm_axes.hpp"
#include "matrix_multiply.hpp"

constexpr char kFloatTypes[] = "f32|f16|bf16 f32|f16|bf16 -> f32|f16|bf16";
constexpr char kFloat32Types[] = "f32 f32 -> f32";
constexpr char kHalvesTypes[] = "f16|bf16 f16|bf16 -> f16|bf16";
constexpr char kIntegerTypes[] = "i32|i64|i8 i32|i64|i8 -> i32|i64|f32";

// The axes of the product, or why there is none.
inline const char* matrix_axes(const MatrixMultiplyParams& params, const dovetail::GemmDims& a,
                               const dovetail::GemmDims& b, const dovetail::GemmDims& y, dovetail::GemmAxes* axes) {
  if (params.op0 < 0 || params.op0 > kMatrixVector || params.op1 < 0 || params.op1 > kMatrixVector) {
    return "op0 or op1 is none that is known";
  }
  const bool has_m = params.op0 != kMatrixVector, has_n = params.op1 != kMatrixVector;
  const int batch = a.rank - 1 - has_m;
  if (batch < 0 || b.rank != batch + 1 + has_n || y.rank != batch + has_m + has_n) return "the ranks do not agree";
  const int a_k = params.op0 == kMatrixTranspose ? batch : batch + has_m, a_m = 2 * batch + 1 - a_k;
  const int b_k = params.op1 == kMatrixTranspose ? batch + 1 : batch, b_n = 2 * batch + 1 - b_k;
  const dovetail::Strides in_a(a.v, a.rank), in_b(b.v, b.rank), in_y(y.v, y.rank);
  for (int i = 0; i < batch; ++i) {
    const bool is_dynamic = a.is_dynamic(i) || b.is_dynamic(i) || y.is_dynamic(i);
    if (!is_dynamic && a.v[i] != b.v[i] && a.v[i] != 1 && b.v[i] != 1) return "dims of the batch do not agree";
    if (!is_dynamic && y.v[i] != (a.v[i] == 1 ? b.v[i] : a.v[i])) return "y has another batch";
    dovetail::GemmAxis* axis = axes->add(y.v[i], is_dynamic);
    axis->lies(kGemmY, in_y.v[i]);
    if (a.v[i] != 1) axis->lies(kGemmA, in_a.v[i]);
    if (b.v[i] != 1) axis->lies(kGemmB, in_b.v[i]);
    if (a.v[i] == 1 && b.v[i] == 1) axis->lies(kGemmA, in_a.v[i]);
  }
  if (has_m) {
    if (!may_be_equal(a, a_m, y, batch)) return "y has another number of rows than a";
    dovetail::GemmAxis* axis = axes->add(y.v[batch], a.is_dynamic(a_m));
    axis->lies(kGemmA, in_a.v[a_m]);
    axis->lies(kGemmY, in_y.v[batch]);
  }
  if (has_n) {
    const int at = batch + has_m;
    if (!may_be_equal(b, b_n, y, at)) return "y has another number of columns than b";
    dovetail::GemmAxis* axis = axes->add(y.v[at], b.is_dynamic(b_n));
    axis->lies(kGemmB, in_b.v[b_n]);
    axis->lies(kGemmY, in_y.v[at]);
  }
  if (!may_be_equal(a, a_k, b, b_k)) return "a has another number of summed elements than b";
  dovetail::GemmAxis* axis = axes->add(a.v[a_k], a.is_dynamic(a_k) || b.is_dynamic(b_k));
  axis->lies(kGemmA, in_a.v[a_k]);
  axis->lies(kGemmB, in_b.v[b_k]);
  return nullptr;
}

struct MatrixRule {
  static constexpr int kBias = -1;  // no input is a bias
  static const char* axes(const MatrixMultiplyParams& params, const dovetail::Descs& inputs,
                          const dovetail::Descs& outputs, dovetail::GemmAxes* axes) {
    return matrix_axes(params, inputs[0], inputs[1], outputs[0], axes);
  }
  static const char* axes(const MatrixMultiplyParams& params, const dovetail::Run& run, dovetail::GemmAxes* axes) {
    return matrix_axes(params, run.input(0), run.input(1), run.output(0), axes);
  }
};

#endif
