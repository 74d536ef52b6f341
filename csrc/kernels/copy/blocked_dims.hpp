// SPDX-License-Identifier: Apache-2.0
// A tensor in a format with blocks of channels as a dense one with one more axis, for layers that only move elements:
// [outer..., blocks, inner..., lanes].
#ifndef DOVETAIL_KERNELS_COPY_BLOCKED_DIMS_HPP
#define DOVETAIL_KERNELS_COPY_BLOCKED_DIMS_HPP

#include "kernels/layout/format.hpp"

DOVETAIL_OPEN_NAMESPACE

struct BlockedDims {
  int rank = 0;
  int64_t dims[DT_MAX_RANK];
  int channel_axis = 0;
  int64_t lanes = 1;

  BlockedDims(int32_t format, const int64_t* of, int n) {
    const FormatTraits traits = traits_of(format);
    rank = n + 1;
    channel_axis = n - traits.spatial - 1;
    lanes = traits.lanes;
    for (int i = 0; i < n; ++i) dims[i] = i == channel_axis ? of[i] / lanes : of[i];
    dims[n] = lanes;
  }
};

// Null, or why the channels of a tensor do not fill whole blocks, of which there is one more axis.
inline const char* fits_whole_blocks(const Desc& tensor) {
  const FormatTraits traits = traits_of(static_cast<int32_t>(tensor.format()));
  if (tensor.rank() >= DT_MAX_RANK) return "more dims than a tensor may have, with lanes as one of them";
  const int64_t channels = tensor.extent(tensor.rank() - traits.spatial - 1);
  return channels >= 0 && channels % traits.lanes == 0 ? nullptr : "channels do not fill whole blocks";
}

DOVETAIL_CLOSE_NAMESPACE

#endif
