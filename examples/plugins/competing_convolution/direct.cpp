// SPDX-License-Identifier: Apache-2.0
// Convolution@1#acme.direct: somebody else's way to compute a built-in op. The op is not described here; the library
// says which fields it reads, and is refused when it is opened if the op has no such fields.
//
// Two-dimensional, linear, float32, explicit padding rounded down. One task a plane of the output: for each weight, a
// row of x times that weight is added to a row of y.
//   numerics  sums in float32, in the order channel, row, column of the kernel
#include "dovetail/plugin.hpp"

namespace acme {

using namespace dovetail;

struct DirectParams {
  Ints kernel_size_nd, stride_nd, pre_padding, dilation_nd;
  int32_t padding_mode = 0;
  int64_t num_groups = 1;
};
DOVETAIL_READS(DirectParams, kernel_size_nd, stride_nd, pre_padding, dilation_nd, padding_mode, num_groups)

constexpr int32_t kExplicitRoundDown = 0;

int64_t at(const Ints& values, int axis, int64_t absent) { return values.n > axis ? values[axis] : absent; }

// Null if the rows below serve these tensors, else the reason, which the build report shows.
const char* fits(const DirectParams& params, const Descs& inputs, const Descs&) {
  if (params.kernel_size_nd.n != 2) return "takes two spatial dims only";
  if (params.padding_mode != kExplicitRoundDown) return "takes EXPLICIT_ROUND_DOWN only";
  if (inputs[0].rank() < 3) unsupported("takes rank 3 or more, this is rank %d", inputs[0].rank());
  return nullptr;
}

// What one plane of y needs to know.
struct Plane {
  const float *x, *kernel;  // planes of the group's channels, and the weights of this map
  float* y;
  float bias;
  int64_t n_channels, height, width, out_height, out_width;
  int64_t kernel_height, kernel_width, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;
};

DOVETAIL_INLINE void compute_plane(const Plane& p) {
  for (int64_t i = 0; i < p.out_height * p.out_width; ++i) p.y[i] = p.bias;
  for (int64_t c = 0; c < p.n_channels; ++c) {
    for (int64_t r = 0; r < p.kernel_height; ++r) {
      for (int64_t s = 0; s < p.kernel_width; ++s) {
        const float weight = p.kernel[(c * p.kernel_height + r) * p.kernel_width + s];
        // Columns whose cell lies in x: 0 <= column * stride + shift < width.
        const int64_t shift = s * p.dilation_x - p.pad_x;
        const int64_t first = shift < 0 ? (-shift + p.stride_x - 1) / p.stride_x : 0;
        const int64_t past = p.width > shift ? (p.width - shift + p.stride_x - 1) / p.stride_x : 0;
        const int64_t last = past < p.out_width ? past : p.out_width;
        for (int64_t row = 0; row < p.out_height; ++row) {
          const int64_t from = row * p.stride_y + r * p.dilation_y - p.pad_y;
          if (from < 0 || from >= p.height) continue;
          const float* x = p.x + (c * p.height + from) * p.width + shift;
          float* y = p.y + row * p.out_width;
          if (p.stride_x == 1) {
            for (int64_t column = first; column < last; ++column) y[column] += weight * x[column];
          } else {
            for (int64_t column = first; column < last; ++column) y[column] += weight * x[column * p.stride_x];
          }
        }
      }
    }
  }
}

void plane_plain(const Plane& plane) { compute_plane(plane); }
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void plane_avx2(const Plane& plane) { compute_plane(plane); }
#endif

template <void (*compute)(const Plane&)>
void enqueue(const DirectParams& params, const Run& run) {
  const Tensor x = run.input(0), kernel = run.input(1), y = run.output(0);
  const float* bias = run.has_input(2) ? run.input(2).data<const float>() : nullptr;
  const int64_t maps = y.extent(-3), groups = params.num_groups, channels = x.extent(-3) / groups;
  Plane common = {};
  common.n_channels = channels;
  common.height = x.extent(-2);
  common.width = x.extent(-1);
  common.out_height = y.extent(-2);
  common.out_width = y.extent(-1);
  common.kernel_height = params.kernel_size_nd[0];
  common.kernel_width = params.kernel_size_nd[1];
  common.stride_y = at(params.stride_nd, 0, 1);
  common.stride_x = at(params.stride_nd, 1, 1);
  common.pad_y = at(params.pre_padding, 0, 0);
  common.pad_x = at(params.pre_padding, 1, 0);
  common.dilation_y = at(params.dilation_nd, 0, 1);
  common.dilation_x = at(params.dilation_nd, 1, 1);
  run.parallel_for(y.volume(0, y.rank() - 2), [&](int64_t task) {
    const int64_t image = task / maps, map = task % maps, group = map / (maps / groups);
    Plane plane = common;
    plane.x = x.data<const float>() + (image * groups + group) * channels * common.height * common.width;
    plane.kernel = kernel.data<const float>() + map * channels * common.kernel_height * common.kernel_width;
    plane.y = y.data<float>() + task * common.out_height * common.out_width;
    plane.bias = bias ? bias[map] : 0.0f;
    compute(plane);
  });
}

// Best first. In C++20 the members can be named: {.tactic = "planes", .types = "f32 f32 f32 -> f32", ...}.
constexpr Row<DirectParams> kRows[] = {
#if defined(__x86_64__)
    {"planes_avx2", kAvx2, "f32 f32 f32 -> f32", "linear", fits, nullptr, nullptr, enqueue<plane_avx2>},
#endif
    {"planes", 0, "f32 f32 f32 -> f32", "linear", fits, nullptr, nullptr, enqueue<plane_plain>},
};
DOVETAIL_IMPLEMENTS("Convolution@1#acme.direct", DirectParams, kRows)

}  // namespace acme

DOVETAIL_LIBRARY("acme-direct", "1.0", "acme")
