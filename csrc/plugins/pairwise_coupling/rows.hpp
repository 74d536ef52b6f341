// SPDX-License-Identifier: Apache-2.0
// What the rows of PairwiseCoupling have in common on all devices: the algorithm, for one row.
#ifndef DOVETAIL_PLUGINS_PAIRWISE_COUPLING_ROWS_HPP
#define DOVETAIL_PLUGINS_PAIRWISE_COUPLING_ROWS_HPP

#include <math.h>

#include "dovetail/detail/host_device.hpp"
#include "pairwise_coupling.hpp"

constexpr int kMostRounds = 100;  // as libsvm has it
constexpr double kPrecision = 0.005;

// Numbers that `couple` needs room for: the matrix, the probabilities, and the product of both.
inline uint64_t room_of(int64_t k) { return static_cast<uint64_t>(k) * static_cast<uint64_t>(k + 2); }

// The matrix whose form p Q p is least, from r(i, j) = x of the pair and r(j, i) = 1 - r(i, j).
DOVETAIL_HOST_DEVICE inline void fill_form(const float* x, int64_t k, double* q) {
  for (int64_t i = 0; i < k; ++i) q[i * k + i] = 0.0;
  int64_t pair = 0;
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = i + 1; j < k; ++j, ++pair) {
      const double r = static_cast<double>(x[pair]), rest = 1.0 - r;
      q[i * k + i] += rest * rest;
      q[j * k + j] += r * r;
      q[i * k + j] = q[j * k + i] = -rest * r;
    }
  }
}

DOVETAIL_HOST_DEVICE inline void couple(const float* x, int64_t k, double* room, float* y) {
  double *const q = room, *const p = q + k * k, *const qp = p + k;
  fill_form(x, k, q);
  for (int64_t i = 0; i < k; ++i) p[i] = 1.0 / static_cast<double>(k);
  for (int round = 0; round < kMostRounds; ++round) {
    double pqp = 0.0, error = 0.0;
    for (int64_t i = 0; i < k; ++i) {
      qp[i] = 0.0;
      for (int64_t j = 0; j < k; ++j) qp[i] += q[i * k + j] * p[j];
      pqp += p[i] * qp[i];
    }
    for (int64_t i = 0; i < k; ++i) error = fmax(error, fabs(qp[i] - pqp));
    if (error < kPrecision / static_cast<double>(k)) break;
    for (int64_t i = 0; i < k; ++i) {
      const double step = (pqp - qp[i]) / q[i * k + i], sum = 1.0 + step;
      p[i] += step;
      pqp = (pqp + step * (step * q[i * k + i] + 2.0 * qp[i])) / sum / sum;
      for (int64_t j = 0; j < k; ++j) {
        qp[j] = (qp[j] + step * q[i * k + j]) / sum;
        p[j] /= sum;
      }
    }
  }
  for (int64_t i = 0; i < k; ++i) y[i] = static_cast<float>(p[i]);
}

#endif
