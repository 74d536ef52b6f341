// SPDX-License-Identifier: Apache-2.0
// What the rows of FullyConnected have in common on all devices.
#ifndef DOVETAIL_PLUGINS_FULLY_CONNECTED_ROWS_HPP
#define DOVETAIL_PLUGINS_FULLY_CONNECTED_ROWS_HPP

#include "fully_connected.hpp"
#include "kernels/gemm/axes.hpp"

// Weights and bias are float32 or of x's type.
#define WEIGHTS "f32|f16|bf16|f32|f32"
constexpr char kFloatTypes[] = "f32|f16|bf16|f16|bf16 " WEIGHTS " " WEIGHTS " -> f32|f16|bf16|f16|bf16";
#undef WEIGHTS
constexpr char kFloat32Types[] = "f32 f32 f32 -> f32";
constexpr char kHalvesTypes[] = "f16|bf16|f16|bf16 f16|bf16|f32|f32 f16|bf16|f32|f32 -> f16|bf16|f16|bf16";
constexpr char kBf16Types[] = "bf16|bf16 bf16|bf16 bf16|f32 -> bf16|bf16";
constexpr char kIntegerTypes[] = "i8 i8 f32 -> f32";

// The axes of the product, or why these rows do not compute it.
inline const char* connected_axes(const FullyConnectedParams& params, const dovetail::GemmDims& x,
                                  const dovetail::GemmDims& kernel, const dovetail::GemmDims& y,
                                  dovetail::GemmAxes* axes) {
  const int batch = x.rank - 3;
  const dovetail::Strides in_x(x.v, x.rank), in_y(y.v, y.rank);
  for (int i = batch; i < x.rank; ++i) {
    if (x.is_dynamic(i)) return "an extent of the flattened dims is not known";
  }
  if (kernel.is_dynamic(0) || kernel.is_dynamic(1)) return "an extent of the kernel is not known";
  const int64_t k = kernel.v[1];
  for (int i = 0; i < batch; ++i) {
    dovetail::GemmAxis* axis = axes->add(y.v[i], x.is_dynamic(i));
    axis->lies(kGemmA, in_x.v[i]);
    axis->lies(kGemmY, in_y.v[i]);
  }
  dovetail::GemmAxis* axis = axes->add(params.num_output_channels, false);
  axis->lies(kGemmB, k);
  axis->lies(kGemmY, 1);
  axis = axes->add(k, false);
  axis->lies(kGemmA, 1);
  axis->lies(kGemmB, 1);
  return nullptr;
}

struct ConnectedRule {
  static constexpr int kBias = 2;
  // The axis along which operands of an epilogue have one value for each output channel.
  static int channel_axis(const FullyConnectedParams&, const dovetail::Desc& y) { return y.rank() - 3; }
  static const char* axes(const FullyConnectedParams& params, const dovetail::Descs& inputs,
                          const dovetail::Descs& outputs, dovetail::GemmAxes* axes) {
    return connected_axes(params, inputs[0], inputs[1], outputs[0], axes);
  }
  static const char* axes(const FullyConnectedParams& params, const dovetail::Run& run, dovetail::GemmAxes* axes) {
    return connected_axes(params, run.input(0), run.input(1), run.output(0), axes);
  }
};

#endif
