// SPDX-License-Identifier: Apache-2.0
// y[c] = x[start + c * stride] on each axis. How many there are follows from y.
//   inputs   x, linear; start and stride as tensors, if given, take the place of the fields; the sizes are not read;
//            an element of x's type to fill with
//   numerics indices beyond x: an error, wrapped around, the nearest one, the fill value, or reflected. Where tensors
//            say what is read, the constraints of the plan find the error; kernels then take the nearest one
//   outputs  y, linear, of x's type
#ifndef DOVETAIL_PLUGINS_SLICE_SLICE_HPP
#define DOVETAIL_PLUGINS_SLICE_SLICE_HPP

#include "kernels/copy/windowed_copy.hpp"

enum SliceInput { kSliced, kStart, kSize, kStride, kFillValue };

struct SliceParams {
  dovetail::Ints start, stride;
  int32_t mode = dovetail::kStrictBounds;  // WindowMode

  void check_fields() const { dovetail::expect_field("mode", mode, dovetail::kStrictBounds, dovetail::kReflect); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(kSliced, "x"), y = outputs.get(0, "y");
    const int64_t rank = x.rank();
    const auto expect_one_an_axis = [&](int input, const char* name, const dovetail::Ints& field) {
      if (inputs.has(input)) return expect_dims(inputs.get(input, name), &rank, 1);
      if (field.n == rank) return;
      dovetail::fail(DT_SHAPE, dovetail::nowhere("x has rank %d, '%s' %d values"), x.rank(), name,
                     static_cast<int>(field.n));
    };
    if (y.rank() != x.rank()) dovetail::fail(DT_SHAPE, dovetail::nowhere("y has rank %d, x %d"), y.rank(), x.rank());
    expect_one_an_axis(kStart, "start", start);
    expect_one_an_axis(kStride, "stride", stride);
    if (inputs.has(kFillValue)) expect_volume(inputs.get(kFillValue, "value"), 1);
    if (inputs.has(kStart) || inputs.has(kStride)) return;  // contents are not looked at
    const char* fault = dovetail::window_fault(window(x.dims(), y.dims(), x.rank(), true, true));
    if (fault) dovetail::fail(DT_SHAPE, dovetail::nowhere("%s"), fault);
  }

  // The part of x that y is; start 0 and stride 1 if they are not fields.
  dovetail::Window window(const int64_t* x, const int64_t* y, int rank, bool has_start, bool has_stride) const {
    const dovetail::RowMajor from(x, rank);
    dovetail::Window window;
    window.mode = mode;
    window.rank = rank;
    for (int i = 0; i < rank; ++i)
      window.axes[i] = {x[i], has_start ? start[i] : 0, has_stride ? stride[i] : 1, y[i], from.step[i]};
    return window;
  }
};
DOVETAIL_READS(SliceParams, start, stride, mode)

#endif
