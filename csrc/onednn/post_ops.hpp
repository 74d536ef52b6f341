// SPDX-License-Identifier: Apache-2.0
// The pointwise layers behind a product, in the terms of oneDNN.
#ifndef DOVETAIL_ONEDNN_POST_OPS_HPP
#define DOVETAIL_ONEDNN_POST_OPS_HPP

#include <vector>

#include "dovetail/plugin.hpp"

namespace onednn {

// One operation on the result so far: on each element alone, or with those of a tensor.
struct PostOp {
  int algorithm;
  float alpha, beta;
  int tensor = -1;   // of the program; -1 for none
  int32_t form = 0;  // of the tensor: kEpilogueWhole, kEpilogueByChannel, kEpilogueOne
  int32_t type = 0;  // DT_TYPE_*
};

// The longest beginning of the program, in whole layers, that is a chain of such operations; `n_steps` is its length.
// Values for each channel lie along `channel_axis` and are the same for all images. Limits of a value that is nan give
// a number here.
std::vector<PostOp> post_ops(const dovetail::Epilogue& program, const dovetail::Desc& output, int channel_axis,
                             int* n_steps);

}  // namespace onednn

#endif
