// SPDX-License-Identifier: Apache-2.0
// Conversion of a tensor's elements to another type, for every pair of types.
#include "kernels/conversion/cuda_convert.cuh"
#include "kernels/conversion/cuda_rows.hpp"
#include "kernels/pointwise/cuda_by_channel.cuh"

using namespace dovetail;

namespace {

struct Convert {
  template <int n, class X, class Y>
  __device__ void operator()(const X (&x)[n], Y (&y)[n], const Channels&, const uint32_t (&)[n]) const {
#pragma unroll
    for (int j = 0; j < n; ++j) convert(widened(x[j]), &y[j]);
  }
};

}  // namespace

void dovetail::enqueue_conversion(const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const ParameterLayout layout = one_parameter(static_cast<int32_t>(x.format()), x.dims(), x.rank());
  if (x.type() == y.type()) {
    return with_width_of(x.type(), [&](auto t) {
      map_by_channel(run, "convert", x.data<const decltype(t)>(), y.data<decltype(t)>(), layout, CopyElements());
    });
  }
  with_types(x.type(), y.type(), [&](auto own, auto to) {
    map_by_channel(run, "convert", x.data<const decltype(own)>(), y.data<decltype(to)>(), layout, Convert());
  });
}
