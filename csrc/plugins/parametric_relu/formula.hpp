// SPDX-License-Identifier: Apache-2.0
// The formula of ParametricReLU, for every device.
#ifndef DOVETAIL_PLUGINS_PARAMETRIC_RELU_FORMULA_HPP
#define DOVETAIL_PLUGINS_PARAMETRIC_RELU_FORMULA_HPP

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

struct SlopeOfNegatives {
  DOVETAIL_HOST_DEVICE static float of(float x, float slope) { return x >= 0.0f ? x : slope * x; }
};

}  // namespace
}  // namespace DT_ISA

#endif
