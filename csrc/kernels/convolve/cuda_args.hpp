// SPDX-License-Identifier: Apache-2.0
// Arguments of the CUDA kernels of convolution and its transpose, and how they address tensors: the gather of args.hpp
// in 32-bit numbers. Its functions run on host and device, so that they can be tested without a GPU.
//
// A phase of a group is a matrix product: pixels (positions of y in all images) times maps, summed over k. k runs over
// the taps of the phase and, within a tap, over the channels of the group: k = tap * channel_step + channel. Blocks
// take tiles of pixels and maps and go through k in slabs.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CUDA_ARGS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CUDA_ARGS_HPP

#include "dovetail/cuda.hpp"
#include "kernels/cuda/ending.hpp"

DOVETAIL_OPEN_NAMESPACE

// One phase of one launch. Axes are depth, height, width.
struct CudaPhase {
  int32_t count[3], out_first[3];  // outputs
  int32_t taps[3], off_first[3];
  Divisor by_count[3], by_taps[3];  // by_taps[0] is not asked
  uint32_t pixels;                  // images * outputs
  uint32_t first_block;
  int32_t slabs;
  int64_t weights;  // bytes from the beginning of the packed weights
};

constexpr int kCudaPhases = 16;  // of one launch

// The parameter of every kernel. Tensors are linear, or channels last with their channels padded to 8 ("hwc8").
struct CudaConvolve {
  const void* x;
  void* y;
  const void* weights;
  const void* bias;  // [groups * maps], or null
  int32_t x_type, bias_type;
  float scale;                             // of int8 products
  int32_t images, groups, channels, maps;  // channels and maps of one group
  int32_t channel_step;                    // of k
  int32_t in[3], out[3], in_step[3], off_step[3], out_step[3];
  int64_t x_plane, y_plane;    // elements between channels of linear tensors
  int64_t x_image, y_image;    // elements between images
  int32_t x_stored, y_stored;  // channels as stored
  int32_t is_x_aligned;        // 16-byte loads of channels (hwc8), or of pixels (linear, kernels of one element)
  int32_t is_y_aligned;        // 16-byte stores (hwc8)
  Divisor by_channel_step;     // k
  Divisor by_map_tiles;        // tiles of maps in a group, the fastest part of a block's number
  Divisor by_groups;           // the next
  Divisor by_maps;             // maps of a group (direct kernels)
  Divisor by_all_maps;         // all maps; chunks of 8 in hwc8 (direct kernels)
  int32_t n_phases;
  CudaPhase phases[kCudaPhases];
  CudaEnding ending;  // what to compute on y, whose first image here is this one of all
  int64_t first_image;
  Divider by_y_image;
};

// ---- which tile is a block's ----------------------------------------------------------------------------------------

struct CudaTile {
  int32_t phase, group, map_tile;
  uint32_t pixel_tile;
};

DOVETAIL_HOST_DEVICE inline int32_t phase_of_block(const CudaConvolve& a, uint32_t block) {
  int32_t phase = 0;
  while (phase + 1 < a.n_phases && a.phases[phase + 1].first_block <= block) ++phase;
  return phase;
}

// Tiles of maps follow each other, so that blocks that run together read the same pixels.
DOVETAIL_HOST_DEVICE inline CudaTile tile_of_block(const CudaConvolve& a, uint32_t block) {
  CudaTile tile;
  tile.phase = phase_of_block(a, block);
  const uint32_t local = block - a.phases[tile.phase].first_block;
  const uint32_t rest = a.by_map_tiles.quotient(local);
  tile.map_tile = static_cast<int32_t>(local - rest * a.by_map_tiles.divisor);
  tile.pixel_tile = a.by_groups.quotient(rest);
  tile.group = static_cast<int32_t>(rest - tile.pixel_tile * a.by_groups.divisor);
  return tile;
}

// ---- pixels ---------------------------------------------------------------------------------------------------------

struct CudaPixel {
  uint32_t image;
  int32_t at[3];  // position among the outputs of the phase
};

DOVETAIL_HOST_DEVICE inline CudaPixel pixel_at(const CudaPhase& phase, uint32_t pixel) {
  CudaPixel p;
  for (int i = 2; i >= 0; --i) {
    const uint32_t rest = phase.by_count[i].quotient(pixel);
    p.at[i] = static_cast<int32_t>(pixel - rest * phase.by_count[i].divisor);
    pixel = rest;
  }
  p.image = pixel;
  return p;
}

// Where a pixel starts reading: its first tap, which may lie outside, and the group's first channel.
struct CudaSource {
  int64_t at;
  int32_t axis[3];
};

constexpr int32_t kCudaOutside = -(1 << 30);  // no tap leads from here into x

template <bool is_hwc8>
DOVETAIL_HOST_DEVICE inline CudaSource source_of(const CudaConvolve& a, const CudaPhase& phase, const CudaPixel& pixel,
                                                 int32_t first_channel) {
  CudaSource s;
  for (int i = 0; i < 3; ++i) s.axis[i] = pixel.at[i] * a.in_step[i] + phase.off_first[i];
  const int64_t spatial = (int64_t{s.axis[0]} * a.in[1] + s.axis[1]) * a.in[2] + s.axis[2];
  s.at = pixel.image * a.x_image;
  s.at += is_hwc8 ? spatial * a.x_stored + first_channel : spatial + first_channel * a.x_plane;
  return s;
}

template <bool is_hwc8>
DOVETAIL_HOST_DEVICE inline CudaSource source_of_pixel(const CudaConvolve& a, const CudaPhase& phase, uint32_t pixel,
                                                       int32_t first_channel) {
  if (pixel >= phase.pixels) return {0, {kCudaOutside, 0, 0}};
  return source_of<is_hwc8>(a, phase, pixel_at(phase, pixel), first_channel);
}

// Element of y's channel 0.
template <bool is_hwc8>
DOVETAIL_HOST_DEVICE inline int64_t target_of(const CudaConvolve& a, const CudaPhase& phase, const CudaPixel& pixel) {
  int64_t spatial = 0;
  for (int i = 0; i < 3; ++i) spatial = spatial * a.out[i] + phase.out_first[i] + pixel.at[i] * a.out_step[i];
  return pixel.image * a.y_image + (is_hwc8 ? spatial * a.y_stored : spatial);
}

// ---- k --------------------------------------------------------------------------------------------------------------

// One k: its channel, and how far from the first tap it reads.
struct CudaTap {
  int32_t channel, axis[3], spatial;
  bool is_inside;  // false behind the last tap
};

DOVETAIL_HOST_DEVICE inline CudaTap tap_at(const CudaConvolve& a, const CudaPhase& phase, uint32_t k) {
  CudaTap tap;
  const uint32_t whole = a.by_channel_step.quotient(k);
  tap.channel = static_cast<int32_t>(k - whole * a.by_channel_step.divisor);
  const uint32_t rows = phase.by_taps[2].quotient(whole), planes = phase.by_taps[1].quotient(rows);
  tap.axis[0] = static_cast<int32_t>(planes) * a.off_step[0];
  tap.axis[1] = static_cast<int32_t>(rows - planes * phase.by_taps[1].divisor) * a.off_step[1];
  tap.axis[2] = static_cast<int32_t>(whole - rows * phase.by_taps[2].divisor) * a.off_step[2];
  tap.spatial = (tap.axis[0] * a.in[1] + tap.axis[1]) * a.in[2] + tap.axis[2];
  tap.is_inside = static_cast<int32_t>(planes) < phase.taps[0];
  return tap;
}

DOVETAIL_HOST_DEVICE inline bool reads_inside(const CudaConvolve& a, const CudaSource& s, const CudaTap& tap) {
  bool is_inside = tap.is_inside;
  for (int i = 0; i < 3; ++i) {
    is_inside &= static_cast<uint32_t>(s.axis[i] + tap.axis[i]) < static_cast<uint32_t>(a.in[i]);
  }
  return is_inside;
}

template <bool is_hwc8>
DOVETAIL_HOST_DEVICE inline int64_t element_at(const CudaConvolve& a, const CudaSource& s, const CudaTap& tap) {
  return is_hwc8 ? s.at + int64_t{tap.spatial} * a.x_stored + tap.channel
                 : s.at + tap.spatial + tap.channel * a.x_plane;
}

// ---- weights --------------------------------------------------------------------------------------------------------

// rows: float32 or int32 [k][maps of all groups, padded to 8], for kernels that compute one output a thread.
// tiles_k: float32 [group][tile of maps][slab][k][map]; tiles_map: [group][tile of maps][slab][map][k], in x's type.
enum class CudaWeightForm : int32_t { rows, tiles_k, tiles_map };

// How the weights of one phase are packed. A unit is 8 neighbours in k of one map.
struct CudaPacking {
  const void* from;
  void* to;
  int32_t from_type, to_type;
  CudaWeightForm form;
  int64_t groups, channels, maps;              // of a group, the latter two
  int64_t group_step, channel_step, map_step;  // elements of `from`
  int64_t extent[3];                           // of the kernel
  int64_t taps[3], tap_first[3], tap_step[3];
  int64_t k_step;          // channels from one tap to the next
  int64_t map_tile, slab;  // maps and k of a tile; of rows, the padded maps and 8
  int64_t map_tiles, slabs;
};

DOVETAIL_HOST_DEVICE inline int64_t packing_units(const CudaPacking& p) {
  return (p.form == CudaWeightForm::rows ? 1 : p.groups * p.map_tiles) * p.slabs * (p.slab / 8) * p.map_tile;
}

DOVETAIL_HOST_DEVICE inline int64_t packed_elements(const CudaPacking& p) { return packing_units(p) * 8; }

DOVETAIL_HOST_DEVICE inline float float_at(const void* data, int32_t type, int64_t i) {
  if (type == DT_TYPE_FLOAT) return static_cast<const float*>(data)[i];
  if (type == DT_TYPE_HALF) return __half2float(static_cast<const __half*>(data)[i]);
  if (type == DT_TYPE_BF16) return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
  return static_cast<const int8_t*>(data)[i];
}

DOVETAIL_HOST_DEVICE inline void put_float(void* data, int32_t type, int64_t i, float value) {
  if (type == DT_TYPE_FLOAT) static_cast<float*>(data)[i] = value;
  if (type == DT_TYPE_HALF) static_cast<__half*>(data)[i] = __float2half_rn(value);
  if (type == DT_TYPE_BF16) static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(value);
  if (type == DT_TYPE_INT8) static_cast<int8_t*>(data)[i] = static_cast<int8_t>(value);
  if (type == DT_TYPE_INT32) static_cast<int32_t*>(data)[i] = static_cast<int32_t>(value);
}

DOVETAIL_HOST_DEVICE inline void pack_unit(const CudaPacking& p, int64_t unit) {
  const int64_t lane = unit % p.map_tile, chunks = p.slab / 8;
  unit /= p.map_tile;
  const int64_t chunk = unit % chunks;
  unit /= chunks;
  const int64_t slab = unit % p.slabs, tile = unit / p.slabs;  // tile: of all groups
  int64_t group = tile / p.map_tiles, map = tile % p.map_tiles * p.map_tile + lane;
  if (p.form == CudaWeightForm::rows) {
    group = lane / p.maps;
    map = group < p.groups ? lane % p.maps : p.maps;
  }
  const int64_t k0 = slab * p.slab + chunk * 8;
  const int64_t n_taps = p.taps[0] * p.taps[1] * p.taps[2];
  int64_t whole = k0 / p.k_step, channel = k0 % p.k_step;
  const int64_t to = (tile * p.slabs + slab) * p.slab * p.map_tile;
  for (int64_t i = 0; i < 8; ++i) {
    float value = 0;
    if (whole < n_taps && channel < p.channels && map < p.maps) {
      const int64_t w = whole % p.taps[2], rows = whole / p.taps[2];
      const int64_t h = rows % p.taps[1], d = rows / p.taps[1];
      const int64_t at =
          ((p.tap_first[0] + d * p.tap_step[0]) * p.extent[1] + p.tap_first[1] + h * p.tap_step[1]) * p.extent[2] +
          p.tap_first[2] + w * p.tap_step[2];
      value = float_at(p.from, p.from_type, group * p.group_step + channel * p.channel_step + map * p.map_step + at);
    }
    const int64_t k = chunk * 8 + i;
    put_float(p.to, p.to_type, to + (p.form == CudaWeightForm::tiles_map ? lane * p.slab + k : k * p.map_tile + lane),
              value);
    if (++channel == p.k_step) {
      channel = 0;
      ++whole;
    }
  }
}

// ---- kernels --------------------------------------------------------------------------------------------------------

enum class CudaConvolveKind : int32_t {
  ffma,   // float32 on the ordinary units
  mma,    // float16, bfloat16 and int8 on the tensor cores
  direct  // one output a thread: few maps in a group, and groups that tiles cannot take
};

struct CudaConvolveKernel {
  CudaConvolveKind kind;
  bool is_hwc8;
  int32_t pixels, maps;  // of a tile; of direct kernels: outputs of a block, and maps of a thread
  void (*launch)(const Run& run, const CudaConvolve& args, uint32_t blocks);  // launches this many thread blocks
};

// X(types, pixels, maps): the tiles of each family of types, in both formats.
#define DOVETAIL_CUDA_CONVOLVE_TILES(X, types) X(types, 128, 64) X(types, 128, 128) X(types, 64, 64) X(types, 64, 32)

// Defined in the cuda_*.cu files beside this one.
namespace cuda_convolve {
#define DT_DECLARE(types, pixels, maps)                                                             \
  void types##_linear_##pixels##x##maps(const Run& run, const CudaConvolve& args, uint32_t blocks); \
  void types##_hwc8_##pixels##x##maps(const Run& run, const CudaConvolve& args, uint32_t blocks);
DOVETAIL_CUDA_CONVOLVE_TILES(DT_DECLARE, f32)
DOVETAIL_CUDA_CONVOLVE_TILES(DT_DECLARE, halves)
DOVETAIL_CUDA_CONVOLVE_TILES(DT_DECLARE, int8)
#undef DT_DECLARE
void direct(const Run& run, const CudaConvolve& args, uint32_t blocks);
void direct_hwc8(const Run& run, const CudaConvolve& args, uint32_t blocks);
void pack(const Run& run, const CudaPacking& packing);
}  // namespace cuda_convolve

DOVETAIL_CLOSE_NAMESPACE

#endif
