// SPDX-License-Identifier: Apache-2.0
// Long sums in blocks. The error of a chain of float32 additions grows with its length, so no chain is longer than
// kSumBlock terms. kSumGroup blocks are added in float32, and these sums in float64.
#ifndef DOVETAIL_KERNELS_SIMD_TOTALS_HPP
#define DOVETAIL_KERNELS_SIMD_TOTALS_HPP

#include "kernels/simd/vec.hpp"

namespace DT_ISA {

constexpr int64_t kSumBlock = 256;  // a block's bookkeeping is 1 % of its additions
constexpr int64_t kSumGroup = 16;   // a short sum stays in float32

// At most `most` sums beside one another.
template <int most>
class Totals {
 public:
  explicit Totals(int64_t n) : n_(n) {}

  // One block of each sum.
  void add(const float* block) {
    if (in_group_ == 0) {
      for (int64_t i = 0; i < n_; ++i) group_[i] = block[i];
    } else {
#pragma GCC ivdep
      for (int64_t i = 0; i < n_; ++i) group_[i] += block[i];
    }
    if (++in_group_ == kSumGroup) end_group();
  }

  void read(float* sums) {
    if (!has_totals_ && in_group_ > 0) {
      for (int64_t i = 0; i < n_; ++i) sums[i] = group_[i];
      return;
    }
    if (in_group_ > 0) end_group();
    for (int64_t i = 0; i < n_; ++i) sums[i] = has_totals_ ? static_cast<float>(totals_[i]) : 0.0f;
  }

 private:
  void end_group() {
    if (has_totals_) {
      for (int64_t i = 0; i < n_; ++i) totals_[i] += static_cast<double>(group_[i]);
    } else {
      for (int64_t i = 0; i < n_; ++i) totals_[i] = static_cast<double>(group_[i]);
    }
    has_totals_ = true;
    in_group_ = 0;
  }

  const int64_t n_;
  int64_t in_group_ = 0;
  bool has_totals_ = false;
  float group_[most];
  double totals_[most];
};

}  // namespace DT_ISA

#endif
