// SPDX-License-Identifier: Apache-2.0
// What the rows of Einsum have in common on all devices.
#ifndef DOVETAIL_PLUGINS_EINSUM_ROWS_HPP
#define DOVETAIL_PLUGINS_EINSUM_ROWS_HPP

#include "dovetail/gemm_axes.hpp"
#include "einsum.hpp"

// Where b is absent, its word is skipped.
constexpr char kFloatTypes[] = "f32|f16|bf16 f32|f16|bf16 -> f32|f16|bf16";
constexpr char kFloat32Types[] = "f32 f32 -> f32";
constexpr char kHalvesTypes[] = "f16|bf16 f16|bf16 -> f16|bf16";
constexpr char kIntegerTypes[] = "i32|i64 i32|i64 -> i32|i64";

// The subscripts of each tensor, by GemmTensor.
struct EinsumTerms {
  const char* text[3];
  int length[3];
  int n_inputs;

  // Null, or what is wrong.
  const char* read(const char* equation) {
    n_inputs = 0;
    const char* at = equation;
    for (;;) {
      const char* first = at;
      while ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')) ++at;
      const bool is_last = at[0] == '-' && at[1] == '>';
      if (n_inputs == 2 || (!is_last && *at != ',')) return "the equation is not as in \"ij,jk->ik\"";
      set(n_inputs++, first, at);
      at += is_last ? 2 : 1;
      if (is_last) break;
    }
    const char* first = at;
    while ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')) ++at;
    if (*at != 0) return "the equation is not as in \"ij,jk->ik\"";
    set(kGemmY, first, at);
    if (n_inputs == 1) length[kGemmB] = 0;
    for (int t = 0; t < 3; ++t) {
      if (length[t] > DT_MAX_RANK) return "more letters than a tensor has dims";
      for (int i = 0; i < length[t]; ++i) {
        if (find(t, text[t][i]) != i) return "a letter stands twice in one term";
        if (t == kGemmY && find(kGemmA, text[t][i]) < 0 && find(kGemmB, text[t][i]) < 0) return "y has a letter alone";
      }
    }
    return nullptr;
  }
  void set(int t, const char* first, const char* last) {
    text[t] = first;
    length[t] = static_cast<int>(last - first);
  }
  // Axis of a letter; -1: there is none.
  int find(int t, char letter) const {
    for (int i = 0; i < length[t]; ++i)
      if (text[t][i] == letter) return i;
    return -1;
  }
};

// The axes of the product, or why there is none. b is null where there is one input.
inline const char* einsum_axes(const EinsumParams& params, const dovetail::GemmDims& a, const dovetail::GemmDims* b,
                               const dovetail::GemmDims& y, dovetail::GemmAxes* axes) {
  EinsumTerms terms;
  const char* reason = terms.read(params.equation.v);
  if (reason) return reason;
  if (terms.n_inputs != (b ? 2 : 1)) return "the equation has another number of inputs";
  const dovetail::GemmDims* const dims[] = {&a, b, &y};
  for (int t = 0; t < 3; ++t) {
    if (dims[t] && dims[t]->rank != terms.length[t]) return "a term has another number of letters than dims";
  }
  const dovetail::Strides in_a(a.v, a.rank), in_b(b ? b->v : nullptr, b ? b->rank : 0), in_y(y.v, y.rank);
  const dovetail::Strides* const strides[] = {&in_a, &in_b, &in_y};
  const auto add = [&](char letter) -> const char* {
    dovetail::GemmAxis* axis = nullptr;
    const dovetail::GemmDims* first = nullptr;
    int of_first = 0;
    for (const int t : {kGemmY, kGemmA, kGemmB}) {
      const int at = terms.find(t, letter);
      if (at < 0) continue;
      if (!axis) {
        first = dims[t];
        of_first = at;
        axis = axes->add(dims[t]->v[at], false);
      }
      if (!may_be_equal(*first, of_first, *dims[t], at)) return "extents of one letter differ";
      axis->is_dynamic = axis->is_dynamic || dims[t]->is_dynamic(at);
      axis->lies(static_cast<GemmTensor>(t), strides[t]->v[at]);
    }
    return nullptr;
  };
  for (int i = 0; i < terms.length[kGemmY]; ++i)
    if ((reason = add(terms.text[kGemmY][i]))) return reason;
  for (const int t : {kGemmA, kGemmB}) {
    for (int i = 0; i < terms.length[t]; ++i) {
      const char letter = terms.text[t][i];
      if (terms.find(kGemmY, letter) >= 0 || (t == kGemmB && terms.find(kGemmA, letter) >= 0)) continue;
      if ((reason = add(letter))) return reason;
    }
  }
  return nullptr;
}

struct EinsumRule {
  static constexpr int kBias = -1;
  static const char* axes(const EinsumParams& params, const dovetail::Descs& inputs, const dovetail::Descs& outputs,
                          dovetail::GemmAxes* axes) {
    if (!inputs.has(1)) return einsum_axes(params, inputs[0], nullptr, outputs[0], axes);
    const dovetail::GemmDims b = inputs[1];
    return einsum_axes(params, inputs[0], &b, outputs[0], axes);
  }
  static const char* axes(const EinsumParams& params, const dovetail::Run& run, dovetail::GemmAxes* axes) {
    if (!run.has_input(1)) return einsum_axes(params, run.input(0), nullptr, run.output(0), axes);
    const dovetail::GemmDims b = run.input(1);
    return einsum_axes(params, run.input(0), &b, run.output(0), axes);
  }
};

#endif
