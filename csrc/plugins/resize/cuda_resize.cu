// SPDX-License-Identifier: Apache-2.0
// Resize@1#cuda: one kernel makes tables of cells and weights in the workspace, another has a thread for each element.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int kMostBlended = 3;  // axes whose cells are summed over

// Tables are [taps, out], as in the CPU's kernels.
struct Table {
  ResizeAxis axis;
  int32_t* cells;
  float* weights;
};

struct Tables {
  int32_t n;
  Table of[DT_MAX_RANK];
};

struct Job {
  int32_t n, type;
  int32_t table[kResizeMostAxes];  // of an axis; -1 if it is not resized
  int64_t total;
  int64_t stride[kResizeMostAxes];  // in x
  Divider by[kResizeMostAxes];
  uint64_t beyond_bits;
  float beyond;
};

__global__ void __launch_bounds__(kBlock) make_tables(const __grid_constant__ Tables tables) {
  const Table& t = tables.of[blockIdx.y];
  for (int64_t i = first_item(); i < t.axis.out; i += item_stride()) {
    taps_of(t.axis, i, t.cells + i, t.weights + i, t.axis.out);
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    move_cells(const __grid_constant__ Job job, const __grid_constant__ Tables tables, const T* x, T* y) {
  for (int64_t at = first_item(); at < job.total; at += item_stride()) {
    int64_t rest = at, from = 0;
    bool beyond = false;
    for (int i = job.n - 1; i >= 0; --i) {
      int64_t place;
      rest = job.by[i].split(rest, &place);
      if (job.table[i] >= 0) {
        const Table& t = tables.of[job.table[i]];
        beyond = beyond || (t.axis.is_cropped && is_beyond(t.axis, place));
        place = t.cells[place];
      }
      from += place * job.stride[i];
    }
    y[at] = beyond ? static_cast<T>(job.beyond_bits) : x[from];
  }
}

__device__ float read_cell(const void* x, int32_t type, int64_t i) {
  switch (type) {
    case DT_TYPE_FLOAT:
      return static_cast<const float*>(x)[i];
    case DT_TYPE_HALF:
      return to_float(static_cast<const __half*>(x)[i]);
    case DT_TYPE_BF16:
      return to_float(static_cast<const __nv_bfloat16*>(x)[i]);
    case DT_TYPE_INT8:
      return static_cast<float>(static_cast<const int8_t*>(x)[i]);
    default:
      return static_cast<float>(static_cast<const uint8_t*>(x)[i]);
  }
}

__device__ void write_element(void* y, int32_t type, int64_t i, float v) {
  switch (type) {
    case DT_TYPE_FLOAT:
      static_cast<float*>(y)[i] = v;
      break;
    case DT_TYPE_HALF:
      static_cast<__half*>(y)[i] = float_to<__half>(v);
      break;
    case DT_TYPE_BF16:
      static_cast<__nv_bfloat16*>(y)[i] = float_to<__nv_bfloat16>(v);
      break;
    case DT_TYPE_INT8:
      static_cast<int8_t*>(y)[i] = static_cast<int8_t>(rintf(fminf(fmaxf(v, -128.0f), 127.0f)));
      break;
    default:
      static_cast<uint8_t*>(y)[i] = static_cast<uint8_t>(rintf(fminf(fmaxf(v, 0.0f), 255.0f)));
  }
}

// A table's column: cells and weights of one element on one axis.
struct Column {
  const int32_t* cells;
  const float* weights;
  int64_t n, stride;
  int32_t taps;

  __device__ int64_t offset(int32_t k) const { return cells ? cells[k * n] * stride : 0; }
  __device__ float weight(int32_t k) const { return cells ? weights[k * n] : 1.0f; }
};

__global__ void __launch_bounds__(kBlock)
    blend_cells(const __grid_constant__ Job job, const __grid_constant__ Tables tables, const void* x, void* y) {
  for (int64_t at = first_item(); at < job.total; at += item_stride()) {
    int64_t rest = at, from = 0;
    Column columns[kMostBlended] = {
        {nullptr, nullptr, 0, 0, 1}, {nullptr, nullptr, 0, 0, 1}, {nullptr, nullptr, 0, 0, 1}};
    int n_columns = 0;
    bool beyond = false;
    for (int i = job.n - 1; i >= 0; --i) {
      int64_t place;
      rest = job.by[i].split(rest, &place);
      if (job.table[i] < 0) {
        from += place * job.stride[i];
        continue;
      }
      const Table& t = tables.of[job.table[i]];
      beyond = beyond || (t.axis.is_cropped && is_beyond(t.axis, place));
      const Column column = {t.cells + place, t.weights + place, t.axis.out, job.stride[i], t.axis.taps};
#pragma unroll
      for (int k = 0; k < kMostBlended; ++k)  // so that the columns stay in registers
        if (k == n_columns) columns[k] = column;
      ++n_columns;
    }
    float sum = 0;
    for (int32_t c = 0; c < columns[2].taps; ++c) {
      float of_plane = 0;
      for (int32_t b = 0; b < columns[1].taps; ++b) {
        const int64_t row = from + columns[2].offset(c) + columns[1].offset(b);
        float of_row = 0;
        for (int32_t a = 0; a < columns[0].taps; ++a) {
          of_row += columns[0].weight(a) * read_cell(x, job.type, row + columns[0].offset(a));
        }
        of_plane += columns[1].weight(b) * of_row;
      }
      sum += columns[2].weight(c) * of_plane;
    }
    write_element(y, job.type, at, beyond ? job.beyond : sum);
  }
}

// Is an axis resized, or may it be for extents that are not known yet?
bool may_be_resized(const ResizeParams& params, const Desc& x, const Desc& y, int axis) {
  if (is_resized(params, axis, x.opt()[axis], y.opt()[axis])) return true;
  return x.min()[axis] != y.min()[axis] || x.max()[axis] != y.max()[axis];
}

const char* fits(const ResizeParams& params, const Descs& inputs, const Descs& outputs) {
  const char* reason = fits_resize(params, inputs, outputs);
  if (reason || params.resize_mode == kResizeNearest) return reason;
  const Desc x = inputs[0], y = outputs[0];
  int n = 0;
  for (int i = 0; i < x.rank(); ++i) n += may_be_resized(params, x, y, i);
  return n > kMostBlended ? "more than three axes are resized" : nullptr;
}

int64_t padded(int64_t bytes) { return (bytes + 255) / 256 * 256; }

uint64_t workspace(const ResizeParams& params, const Descs& inputs, const Descs& outputs, int) {
  const Desc x = inputs[0], y = outputs[0];
  int64_t bytes = 0;
  for (int i = 0; i < x.rank(); ++i) {
    if (x.extent(i) >= 0 && y.extent(i) >= 0 && !is_resized(params, i, x.extent(i), y.extent(i))) continue;
    bytes += 2 * padded(4 * resize_most_entries(params, i, x.max()[i], y.max()[i]));
  }
  return static_cast<uint64_t>(bytes);
}

void enqueue(const ResizeParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  if (y.volume() == 0) return;
  const ResizeView view = resize_view(params, x, y);
  Tables tables = {};
  Job job = {};
  job.n = view.n;
  job.type = static_cast<int32_t>(x.type());
  job.total = view.volume();
  job.beyond_bits = resize_bits(y.type(), params.extrapolation_value);
  job.beyond = static_cast<float>(params.extrapolation_value);
  char* at = run.workspace<char>();
  uint64_t left = run.workspace_bytes();
  int64_t stride = 1, longest = 1;
  for (int i = view.n - 1; i >= 0; --i) {
    job.stride[i] = stride;
    stride *= view.in[i];
    job.by[i] = Divider(view.out[i], job.total);
    job.table[i] = -1;
    if (view.axis[i] < 0) continue;
    job.table[i] = tables.n;
    Table& t = tables.of[tables.n++];
    t.axis = resize_axis(params, view.axis[i], view.in[i], view.out[i]);
    const uint64_t bytes = static_cast<uint64_t>(padded(4 * t.axis.taps * t.axis.out));
    if (2 * bytes > left) fail(DT_INVALID_ARGUMENT, "the workspace is smaller than what these extents need");
    left -= 2 * bytes;
    t.cells = reinterpret_cast<int32_t*>(at);
    t.weights = reinterpret_cast<float*>(at + bytes);
    at += 2 * bytes;
    if (t.axis.out > longest) longest = t.axis.out;
  }
  if (tables.n > 0) {
    const dim3 grid(blocks_for(longest), static_cast<unsigned>(tables.n));
    launch(run, "make_tables", make_tables, grid, kBlock, 0, tables);
  }
  if (params.resize_mode == kResizeNearest || tables.n == 0) {
    with_width_of(y.type(), [&](auto t) {
      typedef decltype(t) T;
      launch(run, "move_cells", move_cells<T>, blocks_for(job.total), kBlock, 0, job, tables, x.data<const T>(),
             y.data<T>());
    });
    return;
  }
  if (tables.n > kMostBlended) fail(DT_UNSUPPORTED, "more than three axes are resized");
  launch(run, "blend_cells", blend_cells, blocks_for(job.total), kBlock, 0, job, tables, x.data<void>(),
         y.data<void>());
}

#define RESIZE_ROW(name, types_) \
  {.tactic = name,               \
   .needs = kBuiltSm,            \
   .types = types_,              \
   .formats = "linear",          \
   .fits = fits,                 \
   .workspace = workspace,       \
   .enqueue = enqueue,           \
   .traits = kCaptureSafe},

// clang-format off
constexpr Row<ResizeParams> kRows[] = {
    RESIZE_ROW("linear", kResizeTypes32)
    RESIZE_ROW("sizes64", kResizeTypes64)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("Resize@1#cuda", ResizeParams, kRows)
