// SPDX-License-Identifier: Apache-2.0
// Reformat@1#cuda: one row for each pair of formats, another that changes the type as well, and copies between the host
// and the device.
//
// A block moves a tile of channels x positions of one image through shared memory. It reads the tile in the order in
// which the source has it, and writes it in the order of the target: both sides see neighbouring addresses, 16 bytes at
// a time where they are aligned.
#include "kernels/conversion/cuda_convert.cuh"
#include "kernels/conversion/cuda_rows.hpp"
#include "kernels/pointwise/cuda_by_channel.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int kTileBytes = 16384;
constexpr int kTileChannels = 64;
constexpr int kRowBytes = 128;  // rows of a tile are a multiple: all banks of shared memory

// One side of the copy, in elements. Its part of the tile is numbered in memory order: `run` channels of a
// position, the next position; when all positions are through, the next `run` channels.
struct TileSide {
  int64_t block, step, image;  // as in ReformatSide
  int64_t next_tile;           // from a tile to the one with the next channels
  int64_t stored;              // channels in memory, padding included
  int32_t runs;                // in a tile
  bool in_packs;
  Divisor by_run, by_plane;  // plane: run * positions of a tile
};

struct TileJob {
  const void* x;
  void* y;
  int64_t channels, inner;
  int32_t tile_channels, tile_positions;
  uint32_t channel_tiles, position_tiles;
  TileSide from, to;
};

// A tile's place in the tensor.
struct Tile {
  int64_t image, channel, position;  // the first
  int64_t number;                    // in the order of channels
};

struct Spot {
  int64_t offset;  // in an image, of (c, s) of the tile
  uint32_t channel, position, lane;
};

DOVETAIL_HOST_DEVICE inline Spot spot_of(const TileSide& side, const Tile& tile, uint32_t i) {
  Spot spot;
  uint32_t rest;
  const uint32_t run = side.by_plane.split(i, &rest);
  spot.position = side.by_run.split(rest, &spot.lane);
  spot.channel = run * side.by_run.divisor + spot.lane;
  spot.offset =
      tile.number * side.next_tile + run * side.block + spot.lane + (tile.position + spot.position) * side.step;
  return spot;
}

// Rows of a tile are channels. Their 16-byte chunks are swapped with each other, differently in every n-th row, so that
// neither neighbours of a row nor those of a column meet in one bank.
template <int n>
DOVETAIL_HOST_DEVICE inline uint32_t cell_of(const TileJob& job, uint32_t channel, uint32_t position) {
  const uint32_t chunk = (position / n) ^ (channel / n % 8);
  return channel * static_cast<uint32_t>(job.tile_positions) + chunk * n + position % n;
}

// The lane and position after these.
DOVETAIL_HOST_DEVICE inline void advance(const TileSide& side, Spot* spot) {
  ++spot->channel;
  if (++spot->lane == side.by_run.divisor) {
    spot->lane = 0;
    spot->channel -= side.by_run.divisor;
    ++spot->position;
  }
}

// A pack never reaches over the end of the image, and of a run if positions do not follow each other at
// once: see takes_packs.
template <class T>
__device__ inline void read_tile(const TileJob& job, const Tile& tile, T* cells) {
  constexpr int n = 16 / sizeof(T);
  const TileSide& side = job.from;
  const T* x = static_cast<const T*>(job.x) + tile.image * side.image;
  const uint32_t count = static_cast<uint32_t>(side.runs) * side.by_plane.divisor;
  if (!side.in_packs) {
#pragma unroll 4
    for (uint32_t i = threadIdx.x; i < count; i += kBlock) {
      const Spot spot = spot_of(side, tile, i);
      if (tile.channel + spot.channel < job.channels && tile.position + spot.position < job.inner) {
        cells[cell_of<n>(job, spot.channel, spot.position)] = x[spot.offset];
      }
    }
    return;
  }
#pragma unroll 4
  for (uint32_t i = threadIdx.x * n; i < count; i += kBlock * n) {
    Spot spot = spot_of(side, tile, i);
    if (tile.channel + spot.channel >= side.stored || tile.position + spot.position >= job.inner) continue;
    T v[n];
    load_pack<n>(x + spot.offset, v);
    if (side.step == 1) {
      store_pack<n>(cells + cell_of<n>(job, spot.channel, spot.position), v);
      continue;
    }
#pragma unroll
    for (int j = 0; j < n; ++j) {
      cells[cell_of<n>(job, spot.channel, spot.position)] = v[j];
      advance(side, &spot);
    }
  }
}

template <class T>
__device__ inline void write_tile(const TileJob& job, const Tile& tile, const T* cells) {
  constexpr int n = 16 / sizeof(T);
  const TileSide& side = job.to;
  T* y = static_cast<T*>(job.y) + tile.image * side.image;
  const uint32_t count = static_cast<uint32_t>(side.runs) * side.by_plane.divisor;
  if (!side.in_packs) {
#pragma unroll 4
    for (uint32_t i = threadIdx.x; i < count; i += kBlock) {
      const Spot spot = spot_of(side, tile, i);
      if (tile.channel + spot.channel < side.stored && tile.position + spot.position < job.inner) {
        const bool is_padding = tile.channel + spot.channel >= job.channels;
        y[spot.offset] = is_padding ? T(0) : cells[cell_of<n>(job, spot.channel, spot.position)];
      }
    }
    return;
  }
#pragma unroll 4
  for (uint32_t i = threadIdx.x * n; i < count; i += kBlock * n) {
    Spot spot = spot_of(side, tile, i);
    if (tile.channel + spot.channel >= side.stored || tile.position + spot.position >= job.inner) continue;
    T* const to = y + spot.offset;
    T v[n];
    if (side.step == 1) {
      load_pack<n>(cells + cell_of<n>(job, spot.channel, spot.position), v);
    } else {
#pragma unroll
      for (int j = 0; j < n; ++j) {
        const bool is_padding = tile.channel + spot.channel >= job.channels;
        v[j] = is_padding ? T(0) : cells[cell_of<n>(job, spot.channel, spot.position)];
        advance(side, &spot);
      }
    }
    store_pack<n>(to, v);
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock) reformat_kernel(const __grid_constant__ TileJob job) {
  __shared__ __align__(16) unsigned char memory[kTileBytes];
  T* const cells = reinterpret_cast<T*>(memory);
  const uint32_t in_image = blockIdx.x % (job.channel_tiles * job.position_tiles);
  Tile tile;
  tile.image = blockIdx.x / (job.channel_tiles * job.position_tiles);
  tile.number = in_image / job.position_tiles;
  tile.channel = tile.number * job.tile_channels;
  tile.position = static_cast<int64_t>(in_image % job.position_tiles) * job.tile_positions;
  read_tile(job, tile, cells);
  __syncthreads();
  write_tile(job, tile, cells);
}

// ---- tiles

// With one position an image, all formats have their channels last.
ReformatSide simple_side_of(const FormatView& view) {
  if (view.inner != 1) return side_of(view);
  return {view.padded, view.padded, view.padded, view.padded};
}

// Does every pack of n elements of this side's part of a tile lie within one image, aligned, without a gap?
bool takes_packs(const TileSide& side, const TileJob& job, const void* data, int n) {
  if (!is_aligned(16, data) || side.image % n != 0) return false;
  const int64_t run = side.by_run.divisor;
  if (side.step != run) return run % n == 0 && side.step % n == 0;  // channels last, and more of them than the tile has
  return side.block % n == 0 && job.inner * run % n == 0;           // positions of a tile are a multiple of n anyway
}

void set_side(TileSide* tile, const ReformatSide& side, int64_t stored, TileJob* job, const void* data, int n) {
  tile->block = side.block;
  tile->step = side.step;
  tile->image = side.image;
  tile->stored = stored;
  const bool has_all = side.lanes == stored && stored > 1;  // of the channels in one run
  const int64_t run = side.lanes < job->tile_channels ? side.lanes : job->tile_channels;
  tile->runs = has_all ? 1 : static_cast<int32_t>(job->tile_channels / run);
  tile->next_tile = side.lanes > job->tile_channels ? job->tile_channels : tile->runs * side.block;
  tile->by_run = Divisor(run);
  tile->by_plane = Divisor(run * job->tile_positions);
  tile->in_packs = takes_packs(*tile, *job, data, n);
}

template <class T>
void copy_in_tiles(const Run& run, const FormatView& from, const FormatView& to) {
  constexpr int n = 16 / sizeof(T);
  const Tensor x = run.input(0), y = run.output(0);
  ReformatSide source = simple_side_of(from), target = simple_side_of(to);
  int64_t images = from.outer;
  TileJob job = {};
  job.x = x.data<void>();
  job.y = y.data<void>();
  job.channels = from.channels;
  job.inner = from.inner;
  if (source.image == source.step * job.inner && target.image == target.step * job.inner) {
    job.inner *= images;  // an image goes on where the one before it ends
    images = 1;
    source.image = source.step * job.inner;
    target.image = target.step * job.inner;
    if (source.lanes > 1) source.block = source.image;
    if (target.lanes > 1) target.block = target.image;
    if (source.lanes == 1) source.block = job.inner;
    if (target.lanes == 1) target.block = job.inner;
  }
  // Whole blocks of both sides.
  const int64_t whole = from.inner == 1                  ? 1
                        : from.kind == 1 && to.kind == 1 ? (from.lanes > to.lanes ? from.lanes : to.lanes)
                        : from.kind == 1                 ? from.lanes
                        : to.kind == 1                   ? to.lanes
                                                         : 1;
  const int64_t wanted = divide_up(to.padded, whole) * whole;
  job.tile_channels = static_cast<int32_t>(wanted < kTileChannels ? wanted : kTileChannels);
  int64_t rows = 2;  // of kRowBytes for each channel
  while (2 * rows * job.tile_channels * kRowBytes <= kTileBytes) rows *= 2;
  while (rows > 1 && rows / 2 * kRowBytes / static_cast<int>(sizeof(T)) >= job.inner) rows /= 2;
  job.tile_positions = static_cast<int32_t>(rows * kRowBytes / static_cast<int>(sizeof(T)));
  set_side(&job.from, source, from.padded, &job, job.x, n);
  set_side(&job.to, target, to.padded, &job, job.y, n);
  const int64_t channel_tiles = divide_up(to.padded, job.tile_channels);
  const int64_t position_tiles = divide_up(job.inner, job.tile_positions);
  const int64_t tiles = images * channel_tiles * position_tiles;
  if (tiles > INT32_MAX) fail(DT_UNSUPPORTED, "%lld tiles are too many", static_cast<long long>(tiles));
  job.channel_tiles = static_cast<uint32_t>(channel_tiles);
  job.position_tiles = static_cast<uint32_t>(position_tiles);
  launch(run, "reformat", reformat_kernel<T>, static_cast<unsigned>(tiles), kBlock, 0, job);
}

// ---- two formats that disagree on the channel axis, such as CHW16 and DHWC8: rare, so element by element

struct IndexJob {
  const void* x;
  void* y;
  int64_t total, to_lanes, channels, inner;
  Divider by_to_lanes, by_inner, by_to_groups;             // y as [outer, groups, inner, lanes]
  Divider by_from_inner, by_from_channels, by_from_lanes;  // x's dims
  ReformatSide from;
  float scale;
};

template <class X, class Y>
__global__ void __launch_bounds__(kBlock) reformat_by_index_kernel(const __grid_constant__ IndexJob job) {
  for (int64_t i = first_item(); i < job.total; i += item_stride()) {
    int64_t lane, s, group, from_s, from_c, from_lane;
    const int64_t image = job.by_to_groups.split(job.by_inner.split(job.by_to_lanes.split(i, &lane), &s), &group);
    const int64_t c = group * job.to_lanes + lane;
    Y v = Y();
    if (c < job.channels) {
      const int64_t index = (image * job.channels + c) * job.inner + s;
      const int64_t from_image = job.by_from_channels.split(job.by_from_inner.split(index, &from_s), &from_c);
      const int64_t block = job.by_from_lanes.split(from_c, &from_lane);
      const int64_t at = from_image * job.from.image + block * job.from.block + from_lane + from_s * job.from.step;
      v = converted<Y>(static_cast<const X*>(job.x)[at], job.scale);
    }
    static_cast<Y*>(job.y)[i] = v;
  }
}

template <class X, class Y>
void copy_by_index(const Run& run, const FormatView& from, const FormatView& to, float scale = 0.0f) {
  IndexJob job = {};
  job.scale = scale;
  job.x = run.input(0).data<void>();
  job.y = run.output(0).data<void>();
  job.total = to.stored();
  job.to_lanes = to.kind == 1 ? to.lanes : to.padded;
  job.channels = to.channels;
  job.inner = to.inner;
  job.from = side_of(from);
  job.by_to_lanes = Divider(job.to_lanes, job.total);
  job.by_inner = Divider(to.inner, job.total);
  job.by_to_groups = Divider(to.padded / job.to_lanes, job.total);
  job.by_from_inner = Divider(from.inner, job.total);
  job.by_from_channels = Divider(from.channels, job.total);
  job.by_from_lanes = Divider(job.from.lanes, job.total);
  launch(run, "reformat by index", reformat_by_index_kernel<X, Y>, blocks_for(job.total), kBlock, 0, job);
}

// ---- rows

void enqueue(const ReformatParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  FormatView from, to;
  set_views(x, y, &from, &to);
  if (to.stored() == 0) return;
  with_width_of(x.type(), [&](auto t) {
    typedef decltype(t) T;
    if (x.format() == y.format()) {
      const ParameterLayout layout = one_parameter(static_cast<int32_t>(y.format()), y.dims(), y.rank());
      map_by_channel(run, "reformat", x.data<const T>(), y.data<T>(), layout, CopyElements());
    } else if (from.axis != to.axis) {
      copy_by_index<T, T>(run, from, to);
    } else {
      copy_in_tiles<T>(run, from, to);
    }
  });
}

// With another type. Between two formats each element of y is looked up in x, by linear views without channels.
void enqueue_converting(const ReformatParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const float scale = scale_of_conversion(x, y);
  if (x.format() == y.format() && scale == 0) return enqueue_conversion(run);
  const FormatView from = view_of(x), to = view_of(y);
  if (to.stored() == 0) return;
  with_types(x.type(), y.type(),
             [&](auto own, auto target) { copy_by_index<decltype(own), decltype(target)>(run, from, to, scale); });
}

template <cudaMemcpyKind direction>
void enqueue_copy(const ReformatParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const uint64_t bytes = static_cast<uint64_t>(view_of(y).stored() * size_of(y.type()));
  if (bytes == 0) return;
  check_cuda(cudaMemcpyAsync(y.data<void>(), x.data<void>(), bytes, direction, stream_of(run)),
             "cudaMemcpyAsync of %llu bytes", static_cast<unsigned long long>(bytes));
}

#define REFORMAT_ROW(from, to) \
  {.tactic = from "_to_" to,   \
   .needs = kBuiltSm,          \
   .types = kReformatTypes,    \
   .formats = from " -> " to,  \
   .fits = fits_copy,          \
   .enqueue = enqueue,         \
   .traits = kCaptureSafe},
#define CONVERSION_ROW(from, to)           \
  {.tactic = from "_to_" to "_converting", \
   .needs = kBuiltSm,                      \
   .types = kChangedTypes,                 \
   .formats = from " -> " to,              \
   .fits = fits_conversion,                \
   .enqueue = enqueue_converting,          \
   .traits = kCaptureSafe},
#define COPY_ROWS(unused, format)                       \
  {.tactic = "to_device",                               \
   .types = kReformatTypes,                             \
   .formats = format "@cpu -> " format,                 \
   .enqueue = enqueue_copy<cudaMemcpyHostToDevice>,     \
   .traits = kCaptureSafe},                             \
      {.tactic = "to_host",                             \
       .types = kReformatTypes,                         \
       .formats = format " -> " format "@cpu",          \
       .enqueue = enqueue_copy<cudaMemcpyDeviceToHost>, \
       .traits = kCaptureSafe},

constexpr Row<ReformatParams> kRows[] = {DOVETAIL_EACH_FORMAT(REFORMAT_ROWS_FROM, REFORMAT_ROW) DOVETAIL_EACH_FORMAT(
    COPY_ROWS, 0) DOVETAIL_EACH_FORMAT(REFORMAT_ROWS_FROM, CONVERSION_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Reformat@1#cuda", ReformatParams, kRows)
