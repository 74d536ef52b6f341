// SPDX-License-Identifier: Apache-2.0
// What the rows of Einsum have in common on all devices.
#ifndef DOVETAIL_PLUGINS_EINSUM_ROWS_HPP
#define DOVETAIL_PLUGINS_EINSUM_ROWS_HPP

#include "einsum.hpp"
#include "kernels/gemm/axes.hpp"

// Where b is absent, its word is skipped.
constexpr char kFloatTypes[] = "f32|f16|bf16 f32|f16|bf16 -> f32|f16|bf16";
constexpr char kFloat32Types[] = "f32 f32 -> f32";
constexpr char kHalvesTypes[] = "f16|bf16 f16|bf16 -> f16|bf16";
constexpr char kBf16Types[] = "bf16 bf16 -> bf16";
constexpr char kIntegerTypes[] = "i32|i64 i32|i64 -> i32|i64";

// The axes of the product. b is null where there is one input.
inline void add_einsum_axes(const EinsumParams& params, const dovetail::GemmDims& a, const dovetail::GemmDims* b,
                            const dovetail::GemmDims& y, dovetail::GemmAxes* axes) {
  EinsumTerms terms;
  terms.read(params.equation.v);
  const dovetail::GemmDims* const dims[] = {&a, b, &y};
  const dovetail::Strides in_a(a.v, a.rank), in_b(b ? b->v : nullptr, b ? b->rank : 0), in_y(y.v, y.rank);
  const dovetail::Strides* const strides[] = {&in_a, &in_b, &in_y};
  const auto add = [&](char letter) {
    dovetail::GemmAxis* axis = nullptr;
    const int in_first = terms.find(kGemmA, letter), in_second = terms.find(kGemmB, letter);
    const bool is_shared = in_first >= 0 && in_second >= 0;
    const bool repeats_a = is_shared && a.v[in_first] == 1, repeats_b = is_shared && !repeats_a && b->v[in_second] == 1;
    for (const int t : {kGemmY, kGemmA, kGemmB}) {
      const int at = terms.find(t, letter);
      if (at < 0 || (t == kGemmA && repeats_a) || (t == kGemmB && repeats_b)) continue;
      if (!axis) axis = axes->add(dims[t]->v[at], false);
      axis->is_dynamic = axis->is_dynamic || dims[t]->is_dynamic(at);
      axis->lies(static_cast<GemmTensor>(t), strides[t]->v[at]);
    }
  };
  for (int i = 0; i < terms.length[kGemmY]; ++i) add(terms.text[kGemmY][i]);
  for (const int t : {kGemmA, kGemmB}) {
    for (int i = 0; i < terms.length[t]; ++i) {
      const char letter = terms.text[t][i];
      if (terms.find(kGemmY, letter) < 0 && (t == kGemmA || terms.find(kGemmA, letter) < 0)) add(letter);
    }
  }
}

struct EinsumRule {
  static constexpr int kBias = -1;
  // The axis along which operands of an epilogue have one value for each column.
  static int channel_axis(const EinsumParams&, const dovetail::Desc& y) { return y.rank() - 1; }
  static const char* axes(const EinsumParams& params, const dovetail::Descs& inputs, const dovetail::Descs& outputs,
                          dovetail::GemmAxes* axes) {
    const bool has_b = inputs.has(1);
    const dovetail::GemmDims a = inputs[0], b = inputs[has_b ? 1 : 0];
    add_einsum_axes(params, a, has_b ? &b : nullptr, outputs[0], axes);
    return nullptr;
  }
  static const char* axes(const EinsumParams& params, const dovetail::Run& run, dovetail::GemmAxes* axes) {
    const bool has_b = run.has_input(1);
    const dovetail::GemmDims a = run.input(0), b = run.input(has_b ? 1 : 0);
    add_einsum_axes(params, a, has_b ? &b : nullptr, run.output(0), axes);
    return nullptr;
  }
};

#endif
