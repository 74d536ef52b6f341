// SPDX-License-Identifier: Apache-2.0
// y[...] = sum of products of the inputs over the letters of `equation` that y does not have: "ij,jk->ik", "ij->ji";
// extents of 1 are broadcast. It is a matrix product whose indices run over several axes (kernels/gemm/args.hpp), so that
// nothing is copied first. A single input is not multiplied.
#ifndef DOVETAIL_PLUGINS_EINSUM_EINSUM_HPP
#define DOVETAIL_PLUGINS_EINSUM_EINSUM_HPP

#include "dovetail/plugin.hpp"
#include "kernels/gemm/args.hpp"

// The subscripts of each tensor, by GemmTensor.
struct EinsumTerms {
  const char* text[3];
  int length[3];
  int n_inputs;

  // Null, or the error.
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

struct EinsumParams {
  dovetail::Text equation;  // with an arrow, in letters, without blanks

  void check_fields() const {
    EinsumTerms terms;
    const char* fault = terms.read(equation.v);
    if (fault)
      dovetail::fail(DT_INVALID_ARGUMENT, dovetail::nowhere("field 'equation' is '%s': %s"), equation.v, fault);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    EinsumTerms terms;
    terms.read(equation.v);
    if (terms.n_inputs != (inputs.has(1) ? 2 : 1)) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("'%s' has not as many inputs"), equation.v);
    }
    const dovetail::Shape a = inputs.get(0, "a"), b = inputs.get(terms.n_inputs - 1, "b");
    expect_letters(a, terms.length[kGemmA]);
    if (terms.n_inputs == 2) expect_letters(b, terms.length[kGemmB]);
    const auto extent = [&](char letter) {
      const int in_a = terms.find(kGemmA, letter), in_b = terms.find(kGemmB, letter);
      if (in_a >= 0 && in_b >= 0 && a[in_a] == 1) return b[in_b];  // repeated
      if (in_a >= 0 && in_b >= 0 && a[in_a] != b[in_b] && b[in_b] != 1) {
        dovetail::fail(DT_SHAPE, dovetail::nowhere("'%c' is %lld in a, %lld in b"), letter,
                       static_cast<long long>(a[in_a]), static_cast<long long>(b[in_b]));
      }
      return in_a >= 0 ? a[in_a] : b[in_b];
    };
    for (int i = 0; i < terms.length[kGemmA]; ++i) extent(terms.text[kGemmA][i]);
    int64_t wanted[DT_MAX_RANK];
    for (int i = 0; i < terms.length[kGemmY]; ++i) wanted[i] = extent(terms.text[kGemmY][i]);
    expect_dims(outputs.get(0, "y"), wanted, terms.length[kGemmY]);
  }

 private:
  static void expect_letters(const dovetail::Shape& given, int n) {
    if (given.rank() == n) return;
    dovetail::fail(DT_SHAPE, dovetail::nowhere("%s has rank %d, its term %d letters"), given.name(), given.rank(), n);
  }
};
DOVETAIL_READS(EinsumParams, equation)

#endif
