// SPDX-License-Identifier: Apache-2.0
// How a convolution with a window of two dims is a product of the kernels for integers of 8 bits.
#ifndef DOVETAIL_PLUGINS_QUANTIZED_CONVOLUTION_CPU_GEOMETRY_HPP
#define DOVETAIL_PLUGINS_QUANTIZED_CONVOLUTION_CPU_GEOMETRY_HPP

#include <vector>

#include "kernels/convolve/geometry.hpp"
#include "kernels/quantized/cpu_rows.hpp"

constexpr int64_t kPixelsOfItem = 112;  // of a long row; a multiple of what registers hold

// Groups that are computed as one, whose kernel is 0 between them: their channels and maps fill blocks of 16. The last
// one may have fewer.
inline int64_t merged_groups(const dovetail::RawWeights& w) {
  if (w.groups == 1 || (w.channels % 16 == 0 && w.maps % 16 == 0)) return 1;
  if (w.channels == w.maps && 16 % w.channels == 0) return 16 / w.channels;
  for (int64_t n = 2; n < w.groups; ++n) {
    if (w.groups % n == 0 && w.channels * n % 16 == 0 && w.maps * n % 16 == 0) return n;
  }
  return w.groups;
}

// Where each k of an entry is: the channel within merged groups, and the tap.
struct KernelPlaces {
  dovetail::RawWeights w;
  int64_t merged;
  bool is_depthwise;
  std::vector<int64_t> channel, tap;  // [entry * 16 + lane]; channel -1 where there is none

  int8_t at(int64_t group, int64_t column, int64_t entry, int64_t lane) const {
    const size_t i = static_cast<size_t>(entry * kQuantizedEntry + lane);
    const int64_t map = group * merged * w.maps + column, own = channel[i];  // map of all, channel within the group
    if (own < 0 || map >= w.groups * w.maps) return 0;
    if (is_depthwise) return static_cast<const int8_t*>(w.data)[map * w.map_step + tap[i]];
    const int64_t all = group * merged * w.channels + own, home = merged == 1 ? group : map / w.maps;
    const int64_t c = all - home * w.channels;
    if (c < 0 || c >= w.channels) return 0;
    return static_cast<const int8_t*>(w.data)[map * w.map_step + c * w.channel_step + tap[i]];
  }
};

// What depends on extents, fields and format, but on no address.
struct QuantizedGeometry {
  dovetail::ConvolveFields f;
  dovetail::RawWeights w;
  bool is_linear = false;       // x, of up to four channels, whose taps along a row are packed into entries
  bool is_depthwise = false;    // each channel has a map of its own, which the kernel for that computes
  bool is_joined = false;       // a 1x1 kernel that moves by one sees an image as one long row
  bool is_interleaved = false;  // x is filled with all channels of a pixel side by side, so taps along a row are, too
  int64_t images = 1, height = 1, width = 1, out_height = 1, out_width = 1;
  int64_t top = 0, left = 0, rows = 1, pixels = 1;  // of x with its padding
  int64_t lanes = 16, merged = 1, merges = 1;       // groups in one, and how many such there are

  QuantizedGeometry(const dovetail::ConvolveFields& fields, const dovetail::Desc& x, const dovetail::Desc& kernel,
                    const dovetail::Desc& y, bool for_tiles)
      : f(fields) {
    w = dovetail::raw_weights(f, kernel.data<void>(), static_cast<int32_t>(kernel.type()), kernel.max(), kernel.rank());
    int64_t in[3], out[3];
    dovetail::spatial_extents(x.max(), x.rank(), f.n_spatial, in);
    dovetail::spatial_extents(y.max(), y.rank(), f.n_spatial, out);
    images = dovetail::detail::volume(x.max(), x.rank() - f.n_spatial - 1);
    height = in[1];
    width = in[2];
    out_height = out[1];
    out_width = out[2];
    top = dovetail::padding_before(f, 1, height);
    left = dovetail::padding_before(f, 2, width);
    rows = (out_height - 1) * f.stride[1] + f.window(1);
    pixels = (out_width - 1) * f.stride[2] + f.window(2);
    merged = merged_groups(w);
    merges = (w.groups + merged - 1) / merged;
    is_linear = x.format() == dovetail::TensorFormat::kLINEAR;
    if (is_linear && packs_taps(f, w)) lanes = 4;
    is_joined = rows == height && pixels == width && out_height == height && out_width == width && top + left == 0 &&
                f.kernel[1] * f.kernel[2] == 1;
    is_depthwise = !is_linear && !is_joined && w.groups > 1 && w.channels == 1 && w.maps == 1 && f.dilation[2] == 1;
    // Whatever the extents are: weights are packed for all of them.
    is_interleaved = for_tiles && !is_linear && w.groups == 1 && f.kernel[1] * f.kernel[2] > 1 && f.dilation[2] == 1;
    if (is_interleaved) lanes = (w.channels + kQuantizedColumns - 1) / kQuantizedColumns * kQuantizedColumns;
    if (is_joined) {
      width = pixels = out_width = height * width;
      height = rows = out_height = 1;
    }
  }

  static bool packs_taps(const dovetail::ConvolveFields& f, const dovetail::RawWeights& w) {
    return w.groups == 1 && w.channels <= 4 && f.dilation[2] == 1;
  }
  // Pixels of y whose sums of x are kept, the last rows filled up.
  int64_t pixels_of_sums() const { return images * merges * (out_height * out_width + kPixelsOfItem); }
  int64_t channels() const { return w.groups * w.channels; }
  int64_t blocks() const { return (channels() + lanes - 1) / lanes; }
  int64_t plane() const { return rows * pixels * lanes; }
  // The kernels read the input in place.
  bool is_direct(dovetail::DataType x) const {
    return !is_linear && !is_depthwise && !is_interleaved && x == dovetail::DataType::kUINT8 && top + left == 0 &&
           rows <= height && pixels <= width;
  }
  int64_t filled_bytes(dovetail::DataType x) const {
    // Tiles of rows that are shorter than a tile reach behind the last pixel.
    const int64_t behind = is_interleaved ? kTileOfPixels * f.stride[2] * lanes : 0;
    return is_direct(x) ? 0 : dovetail::whole_lines(images * blocks() * plane() + behind + kDepthwiseOverrun);
  }
  // Tiles are read where they are, if most of their rows are pixels.
  bool reads_in_place() const {
    const int64_t in_tiles = (out_width + kTileOfPixels - 1) / kTileOfPixels * kTileOfPixels;
    return is_interleaved && 10 * out_width >= 7 * in_tiles;
  }
  // Taps of a row that lie in one entry.
  int64_t taps_of_entry() const { return lanes == 4 ? 4 : 1; }
  int64_t fours() const { return (f.kernel[2] + 3) / 4; }  // of taps in a row of a depthwise window
  int64_t entries_of_row() const {
    if (!is_interleaved) return (f.kernel[2] + taps_of_entry() - 1) / taps_of_entry();
    const int64_t of_taps = f.kernel[2] * lanes / kQuantizedEntry;
    return (of_taps + kEntriesOfTile - 1) / kEntriesOfTile * kEntriesOfTile;
  }
  int64_t blocks_of_group() const { return (merged * w.channels + lanes - 1) / lanes; }
  dovetail::QuantizedPacked packed(bool has_zeros) const {
    dovetail::QuantizedPacked p;
    p.groups = merges;
    p.columns = merged * w.maps;
    p.entries = is_depthwise ? (f.kernel[1] * fours() + 3) / 4 : blocks_of_group() * f.kernel[1] * entries_of_row();
    p.has_zeros = has_zeros;
    return p;
  }

  // visit(block of the group, row of the window, entry of that row) for each entry, in their order.
  template <class Visit>
  void each_entry(const Visit& visit) const {
    for (int64_t block = 0; block < blocks_of_group(); ++block) {
      for (int64_t h = 0; h < f.kernel[1]; ++h) {
        for (int64_t e = 0; e < entries_of_row(); ++e) visit(block, h, e);
      }
    }
  }

  KernelPlaces places() const {
    KernelPlaces p = {w, merged, is_depthwise, {}, {}};
    if (is_depthwise) {
      const int64_t of_row = 4 * fours();
      for (int64_t k = 0; k < packed(false).entries * kQuantizedEntry; ++k) {
        const bool is_there = k / of_row < f.kernel[1] && k % of_row < f.kernel[2];
        p.channel.push_back(is_there ? 0 : -1);
        p.tap.push_back(k / of_row * f.kernel[2] + k % of_row);
      }
      return p;
    }
    each_entry([&](int64_t block, int64_t h, int64_t e) {
      for (int64_t lane = 0; lane < kQuantizedEntry; ++lane) {
        const int64_t k = is_interleaved ? e * kQuantizedEntry + lane : e * taps_of_entry() * lanes + lane;
        const int64_t c = block * lanes + k % lanes, at = k / lanes;
        p.channel.push_back(c < merged * w.channels && at < f.kernel[2] ? c : -1);
        p.tap.push_back(h * f.kernel[2] + at);
      }
    });
    return p;
  }

  std::vector<int64_t> offsets(int64_t plane_bytes, int64_t row_bytes) const {
    std::vector<int64_t> found;
    each_entry([&](int64_t block, int64_t h, int64_t e) {
      const int64_t of_row = is_interleaved ? e * kQuantizedEntry : e * taps_of_entry() * f.dilation[2] * lanes;
      found.push_back(block * plane_bytes + h * f.dilation[1] * row_bytes + of_row);
    });
    return found;
  }
};

#endif
