// SPDX-License-Identifier: Apache-2.0
// y[c] = x[start + c * stride] on each axis. How many there are follows from y.
//   inputs   x, linear; start and stride as tensors, if given, take the place of the fields; the sizes are not read;
//            an element of x's type to fill with
//   numerics indices beyond x: an error, wrapped around, the nearest one, the fill value, or reflected. Where tensors
//            say what is read, the constraints of the plan find the error; kernels then take the nearest one
//   outputs  y, linear, of x's type
#ifndef DOVETAIL_PLUGINS_SLICE_SLICE_HPP
#define DOVETAIL_PLUGINS_SLICE_SLICE_HPP

#include "dovetail/plugin.hpp"

struct SliceParams {
  dovetail::Ints start, stride;
  int32_t mode = 0;  // WindowMode
};
DOVETAIL_READS(SliceParams, start, stride, mode)

#endif
