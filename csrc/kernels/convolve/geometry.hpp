// SPDX-License-Identifier: Apache-2.0
// Rows of convolution and its transpose: makes ConvolveArgs from fields and tensors, and packs weights. For rows files.
#ifndef DOVETAIL_KERNELS_CONVOLVE_GEOMETRY_HPP
#define DOVETAIL_KERNELS_CONVOLVE_GEOMETRY_HPP

#include "kernels/convolve/args.hpp"
#include "kernels/convolve/fields.hpp"
#include "kernels/layout/format.hpp"

DOVETAIL_OPEN_NAMESPACE

// Phase `phase` of an axis; a convolution has one, a transposed one as many as its stride.
inline ConvolveAxis convolve_axis(const ConvolveFields& f, int i, int64_t in, int64_t out, int64_t phase) {
  const int64_t before = padding_before(f, i, in), stride = f.stride[i], dilation = f.dilation[i];
  ConvolveAxis axis = {};
  axis.in = in;
  axis.out = out;
  if (!f.is_transposed) {
    axis.count = out;
    axis.out_step = 1;
    axis.in_step = stride;
    axis.taps = f.kernel[i];
    axis.off_first = -before;
    axis.off_step = dilation;
    axis.tap_step = 1;
    return axis;
  }
  // Output phase + stride * j meets tap t if stride divides phase + before - t * dilation.
  int64_t common = stride, rest = dilation;
  while (rest != 0) {
    const int64_t next = common % rest;
    common = rest;
    rest = next;
  }
  axis.count = phase < out ? (out - phase + stride - 1) / stride : 0;
  axis.out_first = phase;
  axis.out_step = stride;
  axis.in_step = 1;
  axis.tap_step = stride / common;
  axis.off_step = -(dilation / common);
  for (int64_t t = 0; t < axis.tap_step && t < f.kernel[i]; ++t) {
    if ((phase + before - t * dilation) % stride != 0) continue;
    axis.tap_first = t;
    axis.taps = (f.kernel[i] - t + axis.tap_step - 1) / axis.tap_step;
    axis.off_first = (phase + before - t * dilation) / stride;
    break;
  }
  return axis;
}

inline int64_t convolve_phases(const ConvolveFields& f) {
  return f.is_transposed ? f.stride[0] * f.stride[1] * f.stride[2] : 1;
}

// Axes of one phase; x and y are the extents of the three spatial axes.
inline void set_phase(const ConvolveFields& f, const int64_t* x, const int64_t* y, int64_t phase, ConvolveArgs* args) {
  for (int i = 2; i >= 0; --i) {
    const int64_t n = f.is_transposed ? f.stride[i] : 1;
    args->axis[i] = convolve_axis(f, i, x[i], y[i], phase % n);
    phase /= n;
  }
}

// The last n_spatial extents, ones in front of them.
inline void spatial_extents(const int64_t* dims, int rank, int n_spatial, int64_t* extents) {
  for (int i = 0; i < 3; ++i) extents[i] = i < 3 - n_spatial ? 1 : dims[rank - 3 + i];
}

// Weights as given: [K, C/G, taps] of a convolution, [C, K/G, taps] of a transposed one.
struct RawWeights {
  const void* data;
  int32_t type;
  int64_t groups, channels, maps;              // channels and maps of a group
  int64_t group_step, channel_step, map_step;  // in elements
  int64_t extent[3];
};

inline RawWeights raw_weights(const ConvolveFields& f, const void* data, int32_t type, const int64_t* dims, int rank) {
  RawWeights w = {};
  w.data = data;
  w.type = type;
  w.groups = f.groups;
  for (int i = 0; i < 3; ++i) w.extent[i] = f.kernel[i];
  const int64_t taps = f.kernel[0] * f.kernel[1] * f.kernel[2];
  if (rank < 2 + f.n_spatial) fail(DT_SHAPE, "the kernel has rank %d, not %d", rank, 2 + f.n_spatial);
  w.channels = f.is_transposed ? dims[0] / f.groups : dims[1];
  w.maps = f.is_transposed ? dims[1] : dims[0] / f.groups;
  w.group_step = (f.is_transposed ? w.channels : w.maps) * dims[1] * taps;
  w.channel_step = f.is_transposed ? dims[1] * taps : taps;
  w.map_step = f.is_transposed ? taps : dims[1] * taps;
  return w;
}

// Kernel elements of one phase in the order in which kernels run them.
template <class Body>
void each_tap(const ConvolveAxis* axis, const RawWeights& w, const Body& body) {
  for (int64_t d = 0; d < axis[0].taps; ++d) {
    for (int64_t h = 0; h < axis[1].taps; ++h) {
      for (int64_t k = 0; k < axis[2].taps; ++k) {
        body(((axis[0].tap_first + d * axis[0].tap_step) * w.extent[1] + axis[1].tap_first + h * axis[1].tap_step) *
                 w.extent[2] +
             axis[2].tap_first + k * axis[2].tap_step);
      }
    }
  }
}

inline int64_t n_taps(const ConvolveAxis* axis) { return axis[0].taps * axis[1].taps * axis[2].taps; }

inline float raw_float(const RawWeights& w, int64_t group, int64_t channel, int64_t map, int64_t tap) {
  return read_float(w.data, w.type, group * w.group_step + channel * w.channel_step + map * w.map_step + tap);
}

// Maps of one panel: as many as the registers hold, but in panels of nearly equal size.
inline int64_t panel_of(int64_t maps, int64_t most) {
  const int64_t panels = maps > 0 ? (maps + most - 1) / most : 1;
  return maps > 0 ? (maps + panels - 1) / panels : 1;
}

// How one kind of kernel keeps its weights: bytes of a phase, and filling them. `panel` is 0 where it has none.
struct PackedForm {
  int64_t (*bytes)(const RawWeights& w, int64_t taps, int64_t panel);
  void (*fill)(const RawWeights& w, const ConvolveAxis* axis, int64_t panel, void* to);
};

// float32 [group][panel][taps, channels][maps of the panel]
inline int64_t panel_bytes(const RawWeights& w, int64_t taps, int64_t panel) {
  return w.groups * ((w.maps + panel - 1) / panel) * taps * w.channels * panel * 4;
}
inline void fill_panels(const RawWeights& w, const ConvolveAxis* axis, int64_t panel, void* to) {
  float* p = static_cast<float*>(to);
  for (int64_t g = 0; g < w.groups; ++g) {
    for (int64_t m0 = 0; m0 < w.maps; m0 += panel) {
      each_tap(axis, w, [&](int64_t tap) {
        for (int64_t c = 0; c < w.channels; ++c) {
          for (int64_t m = m0; m < m0 + panel; ++m) *p++ = m < w.maps ? raw_float(w, g, c, m, tap) : 0.0f;
        }
      });
    }
  }
}

// [group][panel][taps, pairs of channels][maps of the panel][2]: int16 of INT8, and bfloat16
inline int64_t pair_bytes(const RawWeights& w, int64_t taps, int64_t panel) {
  return w.groups * ((w.maps + panel - 1) / panel) * taps * ((w.channels + 1) / 2) * panel * 4;
}
template <class From, class To>
void fill_pairs(const RawWeights& w, const ConvolveAxis* axis, int64_t panel, void* to) {
  To* p = static_cast<To*>(to);
  for (int64_t g = 0; g < w.groups; ++g) {
    for (int64_t m0 = 0; m0 < w.maps; m0 += panel) {
      each_tap(axis, w, [&](int64_t tap) {
        for (int64_t c0 = 0; c0 < w.channels; c0 += 2) {
          for (int64_t m = m0; m < m0 + panel; ++m) {
            for (int64_t c = c0; c < c0 + 2; ++c) {
              const int64_t at = g * w.group_step + c * w.channel_step + m * w.map_step + tap;
              *p++ = c < w.channels && m < w.maps ? static_cast<const From*>(w.data)[at] : To{0};
            }
          }
        }
      });
    }
  }
}

// float32 [group][block of maps][block of channels][taps][channel][16 maps]
inline int64_t block_bytes(const RawWeights& w, int64_t taps, int64_t) {
  return w.groups * ((w.maps + 15) / 16) * ((w.channels + 15) / 16) * taps * 16 * 16 * 4;
}
inline void fill_blocks(const RawWeights& w, const ConvolveAxis* axis, int64_t, void* to) {
  float* p = static_cast<float*>(to);
  for (int64_t g = 0; g < w.groups; ++g) {
    for (int64_t m0 = 0; m0 < w.maps; m0 += 16) {
      for (int64_t c0 = 0; c0 < w.channels; c0 += 16) {
        each_tap(axis, w, [&](int64_t tap) {
          for (int64_t c = c0; c < c0 + 16; ++c) {
            for (int64_t m = m0; m < m0 + 16; ++m) {
              *p++ = c < w.channels && m < w.maps ? raw_float(w, g, c, m, tap) : 0.0f;
            }
          }
        });
      }
    }
  }
}

// Of as many maps as channels, 16 of which are whole groups: float32 [block of maps][taps][channel of a group][16 maps]
inline int64_t grouped_bytes(const RawWeights& w, int64_t taps, int64_t) {
  return (w.groups * w.maps + 15) / 16 * taps * w.channels * 16 * 4;
}
inline void fill_grouped(const RawWeights& w, const ConvolveAxis* axis, int64_t, void* to) {
  float* p = static_cast<float*>(to);
  const int64_t maps = w.groups * w.maps;
  for (int64_t m0 = 0; m0 < maps; m0 += 16) {
    each_tap(axis, w, [&](int64_t tap) {
      for (int64_t c = 0; c < w.channels; ++c) {
        for (int64_t m = m0; m < m0 + 16; ++m) *p++ = m < maps ? raw_float(w, m / w.maps, c, m % w.maps, tap) : 0.0f;
      }
    });
  }
}

// bfloat16 [group][block of 16 maps][chunk of 32 k][pair of k][16 maps][2], with k as amx.hpp says for CHW16, or for a
// linear tensor.
struct AmxForm {
  int64_t taps[2], channels;
  bool is_linear;
  int64_t entries() const {
    return is_linear ? (taps[1] + 7) / 8 * 8 : (channels + 15) / 16 * 16;
  }  // of each tap or row
  int64_t chunks() const {
    const int64_t k = taps[0] * entries() * (is_linear ? channels : taps[1]);
    return (k + 31) / 32;
  }
  int64_t k_of(int64_t tap, int64_t channel) const {
    if (!is_linear) return tap * entries() + channel;
    return (channel * taps[0] + tap / taps[1]) * entries() + tap % taps[1];
  }
  int64_t bytes(const RawWeights& w) const { return w.groups * ((w.maps + 15) / 16) * chunks() * 32 * 16 * 2; }
  void fill(const RawWeights& w, const ConvolveAxis* axis, void* to) const {
    uint16_t* const p = static_cast<uint16_t*>(to);
    memset(to, 0, static_cast<size_t>(bytes(w)));
    const int64_t blocks = (w.maps + 15) / 16, of_block = chunks() * 32 * 16;
    int64_t t = 0;
    each_tap(axis, w, [&](int64_t tap) {
      for (int64_t g = 0; g < w.groups; ++g) {
        for (int64_t m = 0; m < w.maps; ++m) {
          uint16_t* const block = p + (g * blocks + m / 16) * of_block + m % 16 * 2;
          for (int64_t c = 0; c < w.channels; ++c) {
            const int64_t k = k_of(t, c), at = g * w.group_step + c * w.channel_step + m * w.map_step + tap;
            block[k / 2 * 32 + k % 2] = static_cast<const uint16_t*>(w.data)[at];
          }
        }
      }
      ++t;
    });
  }
};

constexpr PackedForm kPanels = {panel_bytes, fill_panels};
constexpr PackedForm kPairs = {pair_bytes, fill_pairs<int8_t, int16_t>};
constexpr PackedForm kBf16Pairs = {pair_bytes, fill_pairs<uint16_t, uint16_t>};
constexpr PackedForm kBlocks = {block_bytes, fill_blocks};
constexpr PackedForm kGrouped = {grouped_bytes, fill_grouped};

DOVETAIL_CLOSE_NAMESPACE

#endif
