// SPDX-License-Identifier: Apache-2.0
// GridSample@1#cuda: a thread for each place, which walks over channels; blocks beside one another share them out.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct Job {
  GridSampleArgs args;
  int64_t total, volume;  // places of all images; cells of a channel
  Divider by_places;
};

// Cells and weights of one place: [axis][tap], outermost axis first. Axes that are not there have one cell.
struct Place {
  int32_t cells[3][4], taps[3];
  float weights[3][4];
};

__device__ float read_float_of(const void* x, int32_t type, int64_t i) {
  if (type == DT_TYPE_FLOAT) return static_cast<const float*>(x)[i];
  if (type == DT_TYPE_HALF) return to_float(static_cast<const __half*>(x)[i]);
  return to_float(static_cast<const __nv_bfloat16*>(x)[i]);
}

__device__ Place place_at(const GridSampleArgs& args, int64_t at) {
  Place place;
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    place.taps[axis] = 1;
    place.cells[axis][0] = 0;
    place.weights[axis][0] = 1.0f;
    const int own = axis - (3 - args.n_spatial);  // axes of x are the last ones
    if (own < 0) continue;
    const float g = read_float_of(args.grid, args.grid_type, at * args.n_spatial + args.n_spatial - 1 - own);
    place.taps[axis] = DT_ISA::grid_taps(args.rule.mode);
    DT_ISA::grid_axis(g, args.size[own], args.rule, place.cells[axis], place.weights[axis], 1);
  }
  return place;
}

template <class T>
__global__ void __launch_bounds__(kBlock) move_cells(const __grid_constant__ Job job) {
  const GridSampleArgs& args = job.args;
  const int n = args.n_spatial;
  for (int64_t at = first_item(); at < job.total; at += item_stride()) {
    int64_t place, cell = 0;
    const int64_t image = job.by_places.split(at, &place);
    const Place found = place_at(args, at);
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
      if (axis >= 3 - n) cell = cell * args.size[axis - (3 - n)] + found.cells[axis][0];
    }
    const bool is_within = found.weights[0][0] * found.weights[1][0] * found.weights[2][0] != 0.0f;
    for (int64_t c = blockIdx.y; c < args.channels; c += gridDim.y) {
      const int64_t channel = image * args.channels + c;
      static_cast<T*>(args.y)[channel * args.places + place] =
          is_within ? static_cast<const T*>(args.x)[channel * job.volume + cell] : T(0);
    }
  }
}

__global__ void __launch_bounds__(kBlock) blend_cells(const __grid_constant__ Job job) {
  const GridSampleArgs& args = job.args;
  const int n = args.n_spatial;
  const int64_t row = args.size[n - 1], plane = row * args.size[n - 2];
  for (int64_t at = first_item(); at < job.total; at += item_stride()) {
    int64_t place;
    const int64_t image = job.by_places.split(at, &place);
    const Place found = place_at(args, at);
    for (int64_t c = blockIdx.y; c < args.channels; c += gridDim.y) {
      const int64_t channel = image * args.channels + c;
      float sum = 0.0f;
      for (int i = 0; i < found.taps[0]; ++i) {
        for (int j = 0; j < found.taps[1]; ++j) {
          const int64_t from = channel * job.volume + found.cells[0][i] * plane + found.cells[1][j] * row;
          const float outer = found.weights[0][i] * found.weights[1][j];
          for (int k = 0; k < found.taps[2]; ++k) {
            sum += outer * found.weights[2][k] * read_float_of(args.x, args.type, from + found.cells[2][k]);
          }
        }
      }
      const int64_t to = channel * args.places + place;
      if (args.type == DT_TYPE_FLOAT) {
        static_cast<float*>(args.y)[to] = sum;
      } else if (args.type == DT_TYPE_HALF) {
        static_cast<__half*>(args.y)[to] = float_to<__half>(sum);
      } else {
        static_cast<__nv_bfloat16*>(args.y)[to] = float_to<__nv_bfloat16>(sum);
      }
    }
  }
}

void enqueue(const GridSampleParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  if (y.volume() == 0) return;
  Job job = {};
  job.args = grid_sample_args(params, run);
  job.total = y.extent(0) * job.args.places;
  job.volume = x.volume(2, x.rank());
  job.by_places = Divider(job.args.places, job.total);
  // Few places are shared by more blocks, of which each has some channels.
  const unsigned blocks = blocks_for(job.total);
  int64_t shares = divide_up(2048, blocks);
  if (shares > divide_up(job.args.channels, 4)) shares = divide_up(job.args.channels, 4);
  const dim3 grid(blocks, static_cast<unsigned>(shares < 65535 ? shares : 65535));
  if (params.interpolation_mode != kGridNearest) {
    launch(run, "blend_cells", blend_cells, grid, kBlock, 0, job);
    return;
  }
  with_width_of(y.type(), [&](auto t) { launch(run, "move_cells", move_cells<decltype(t)>, grid, kBlock, 0, job); });
}

#define GRID_SAMPLE_ROW(name, types_) \
  {.tactic = name,                    \
   .needs = kBuiltSm,                 \
   .types = types_,                   \
   .formats = "linear",               \
   .fits = fits_grid_sample,          \
   .enqueue = enqueue,                \
   .traits = kCaptureSafe},

// clang-format off
constexpr Row<GridSampleParams> kRows[] = {
    GRID_SAMPLE_ROW("linear", kGridTypes)
    GRID_SAMPLE_ROW("halves", kGridTypesOfHalves)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("GridSample@1#cuda", GridSampleParams, kRows)
