// SPDX-License-Identifier: Apache-2.0
// The gates of recurrent cells, compiled once per instruction set, for LSTM, GRU and RNN.
#ifndef DOVETAIL_KERNELS_RECURRENT_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_RECURRENT_CPU_GENERIC_HPP

#include "kernels/recurrent/args.hpp"
#include "kernels/simd/math.hpp"

namespace DT_ISA {
namespace {

template <class F>
void each(float limit, float* v, int64_t n, const F& f) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) v[i] = f(clamp_nan(v[i], -limit, limit));
}

void activate(const RecurrentFunction& f, float limit, float* v, int64_t n) {
  const float a = f.a, b = f.b;
  switch (f.kind) {
    case kRelu:
      return each(limit, v, n, [](float x) { return x < 0.0f ? 0.0f : x; });
    case kTanh:
      return each(limit, v, n, [](float x) { return tanh_f(x); });
    case kSigmoid:
      return each(limit, v, n, [](float x) { return sigmoid_f(x); });
    case kAffine:
      return each(limit, v, n, [a, b](float x) { return a * x + b; });
    case kLeakyRelu:
      return each(limit, v, n, [a](float x) { return x < 0.0f ? a * x : x; });
    case kThresholdedRelu:
      return each(limit, v, n, [a](float x) { return x < a ? 0.0f : x; });
    case kScaledTanh:
      return each(limit, v, n, [a, b](float x) { return a * tanh_f(b * x); });
    case kHardSigmoid:
      return each(limit, v, n, [a, b](float x) { return clamp_nan(a * x + b, 0.0f, 1.0f); });
    case kElu:
      return each(limit, v, n, [a](float x) {
        const float e = a * expm1_f(x > 0.0f ? 0.0f : x);
        return x > 0.0f ? x : e;
      });
    case kSoftsign:
      return each(limit, v, n, [](float x) { return x / (1.0f + (x < 0.0f ? -x : x)); });
    default:
      return each(limit, v, n, [](float x) { return softplus_f(x); });
  }
}

inline void add(const float* x, float* r, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) r[i] += x[i];
}

// r += w * v, element by element.
inline void add_product(const float* w, const float* v, float* r, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) r[i] += w[i] * v[i];
}

void rnn(const RecurrentCellArgs& args, const float* x, float* r, float* h) {
  add(x, r, args.hidden);
  activate(args.f[0], args.limit, r, args.hidden);
  memcpy(h, r, static_cast<size_t>(args.hidden) * sizeof(float));
}

void gru(const RecurrentCellArgs& args, const float* x, float* r, float* late, float* h) {
  const int64_t n = args.hidden;
  float *const z = r, *const q = r + n;
  if (args.linear_before_reset) {
    add(x, r, 2 * n);
    activate(args.f[0], args.limit, r, 2 * n);
    if (args.late_bias) add(args.late_bias, late, n);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) late[i] *= q[i];
  }
  add(x + 2 * n, late, n);
  activate(args.f[1], args.limit, late, n);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) h[i] = (1.0f - z[i]) * late[i] + z[i] * h[i];
}

void lstm(const RecurrentCellArgs& args, const float* x, float* r, float* h, float* c) {
  const int64_t n = args.hidden;
  const float* const p = args.peepholes;
  float *const i = r, *const o = r + n, *const forget = r + 2 * n, *const cell = r + 3 * n;
  add(x, r, 4 * n);
  if (p) add_product(p, c, i, n);
  activate(args.f[0], args.limit, i, n);
  if (args.input_forget) {
    for (int64_t k = 0; k < n; ++k) forget[k] = 1.0f - i[k];
  } else {
    if (p) add_product(p + 2 * n, c, forget, n);
    activate(args.f[0], args.limit, forget, n);
  }
  activate(args.f[1], args.limit, cell, n);
#pragma GCC ivdep
  for (int64_t k = 0; k < n; ++k) cell[k] = c[k] = forget[k] * c[k] + i[k] * cell[k];
  if (p) add_product(p + n, c, o, n);
  activate(args.f[0], args.limit, o, n);
  activate(args.f[2], args.limit, cell, n);
#pragma GCC ivdep
  for (int64_t k = 0; k < n; ++k) h[k] = o[k] * cell[k];
}

}  // namespace

void recurrent_reset(const RecurrentCellArgs& args, const float* x, float* r, const float* h, float* reset) {
  const int64_t n = args.hidden;
  add(x, r, 2 * n);
  activate(args.f[0], args.limit, r, 2 * n);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) reset[i] = r[n + i] * h[i];
}

void recurrent_cell(const RecurrentCellArgs& args, const float* x, float* r, float* late, float* h, float* c) {
  if (args.cell == kRnnCell) return rnn(args, x, r, h);
  if (args.cell == kGruCell) return gru(args, x, r, late, h);
  lstm(args, x, r, h, c);
}

}  // namespace DT_ISA

#endif
