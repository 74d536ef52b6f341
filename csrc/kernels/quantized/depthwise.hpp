// SPDX-License-Identifier: Apache-2.0
// Convolutions of each channel with a window of its own, of uint8 and int8: blocks of 16 channels.
#ifndef DOVETAIL_KERNELS_QUANTIZED_DEPTHWISE_HPP
#define DOVETAIL_KERNELS_QUANTIZED_DEPTHWISE_HPP

#include "kernels/quantized/finish.hpp"
#include "kernels/simd/pairs.hpp"

namespace DT_ISA {
namespace {

constexpr int kDepthwiseVectors = static_cast<int>(kQuantizedColumns / kLanes);
constexpr int64_t kFourBytes = 4 * kQuantizedColumns;  // of weights: [channel][4]
constexpr int64_t kMostDepthwisePixels = 16;           // whose sums wait for their finish

// Four pixels side by side, of 16 channels, ready to be multiplied by weights in [channel][4].
#if defined(__AVX512VNNI__)
struct FourPixels {
  __m512i all;
  explicit FourPixels(const uint8_t* x) {
    const __m512i words = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    all = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(words, _mm512_loadu_si512(x)), bytes);
  }
};
inline void add_four(VecI* sum, const FourPixels& x, const int8_t* w) {
  *sum = reinterpret_cast<VecI>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(*sum), x.all, _mm512_loadu_si512(w)));
}
#else
struct FourPixels {
  VecI of[4][kDepthwiseVectors];
  explicit FourPixels(const uint8_t* x) {
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < kDepthwiseVectors; ++j)
        of[i][j] = bytes_as_ints(x + i * kQuantizedColumns + j * kLanes, false);
    }
  }
};
inline void add_four(VecI* sum, const FourPixels& x, const int8_t* w) {
  for (int j = 0; j < kDepthwiseVectors; ++j) {
    const VecI four = *reinterpret_cast<const VecIUnaligned*>(w + 4 * j * kLanes);
    sum[j] += x.of[0][j] * (four << 24 >> 24) + x.of[1][j] * (four << 16 >> 24) + x.of[2][j] * (four << 8 >> 24) +
              x.of[3][j] * (four >> 24);
  }
}
#endif

// Where the weights of a block are, and its zero points, null where all are 0.
struct DepthwiseWeights {
  const int8_t *b, *ones;
  const int32_t* zeros;
};

// Sums of `rows` rows of y at one place along the width, in [row][16]. Each row of x is read once for all of them.
// kh, step and fours are known where they are not 0.
template <int rows, int kh, int step, int fours>
void depthwise_column(const QuantizedDepthwise& args, const uint8_t* a, const int8_t* b, VecI* sums) {
  VecI sum[rows][kDepthwiseVectors] = {};
  if constexpr (kh > 0) {
#pragma GCC unroll 16
    for (int row = 0; row < (rows - 1) * step + kh; ++row) {
#pragma GCC unroll 2
      for (int f = 0; f < fours; ++f) {
        const FourPixels x(a + row * args.row_step + f * kFourBytes);
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r) {
          const int tap = row - r * step;
          if (tap >= 0 && tap < kh) add_four(sum[r], x, b + (tap * fours + f) * kFourBytes);
        }
      }
    }
  } else {
    for (int64_t tap = 0; tap < args.window_rows; ++tap) {
      for (int64_t f = 0; f < args.fours; ++f) {
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r) {
          const FourPixels x(a + r * args.row_stride + tap * args.row_step + f * kFourBytes);
          add_four(sum[r], x, b + (tap * args.fours + f) * kFourBytes);
        }
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < kDepthwiseVectors; ++j) sums[r * kDepthwiseVectors + j] = sum[r][j];
  }
}

// Rows of y, as many as `rows`, of one block.
template <int rows, int kh, int step, int fours>
void depthwise_rows(const QuantizedDepthwise& args, const uint8_t* a, const DepthwiseWeights& weights,
                    const Finish& finish, int64_t y_at, int64_t columns) {
  VecI sums[kMostDepthwisePixels][rows * kDepthwiseVectors];
  for (int64_t w = 0; w < args.width; w += kMostDepthwisePixels) {
    const int64_t left = args.width - w, n = left < kMostDepthwisePixels ? left : kMostDepthwisePixels;
    for (int64_t i = 0; i < n; ++i) {
      const uint8_t* const pixel = a + (w + i) * args.stride * kQuantizedColumns;
      depthwise_column<rows, kh, step, fours>(args, pixel, weights.b, sums[i]);
      if (weights.zeros == nullptr) continue;
      VecI of_a[rows * kDepthwiseVectors];
      depthwise_column<rows, kh, step, fours>(args, pixel, weights.ones, of_a);
      for (int v = 0; v < rows * kDepthwiseVectors; ++v) {
        const VecU zeros = load_ints(weights.zeros + v % kDepthwiseVectors * kLanes);
        sums[i][v] =
            reinterpret_cast<VecI>(reinterpret_cast<VecU>(sums[i][v]) - zeros * reinterpret_cast<VecU>(of_a[v]));
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      const PanelSums x = {reinterpret_cast<const int32_t*>(sums[0]) + r * kQuantizedColumns, nullptr,
                           rows * kQuantizedColumns, n};
      finish.write(x, args.y, {y_at + (r * args.width + w) * kQuantizedColumns, kQuantizedColumns, columns, true});
    }
  }
}

typedef void (*DepthwiseRows)(const QuantizedDepthwise& args, const uint8_t* a, const DepthwiseWeights& weights,
                              const Finish& finish, int64_t y_at, int64_t columns);

template <int rows>
DepthwiseRows depthwise_for(const QuantizedDepthwise& args) {
  const bool is_dense = args.row_step * args.stride == args.row_stride;
  if (is_dense && args.window_rows == 3 && args.fours == 1 && args.stride == 1) return depthwise_rows<rows, 3, 1, 1>;
  if (is_dense && args.window_rows == 3 && args.fours == 1 && args.stride == 2) return depthwise_rows<rows, 3, 2, 1>;
  if (is_dense && args.window_rows == 5 && args.fours == 2 && args.stride == 1) return depthwise_rows<rows, 5, 1, 2>;
  if (is_dense && args.window_rows == 5 && args.fours == 2 && args.stride == 2) return depthwise_rows<rows, 5, 2, 2>;
  return depthwise_rows<rows, 0, 0, 0>;
}

}  // namespace

void quantized_depthwise(const QuantizedDepthwise& args, int64_t first, int64_t last) {
  const int64_t sets = (args.height + kDepthwiseRows - 1) / kDepthwiseRows;
  const DepthwiseRows all = depthwise_for<kDepthwiseRows>(args), one = depthwise_for<1>(args);
  QuantizedFinish plain = args.finish;  // the zero points are in the sums by then
  plain.b_zeros = nullptr;
  for (int64_t item = first; item < last; ++item) {
    const int64_t h = item % sets * kDepthwiseRows, block = item / sets % args.blocks,
                  image = item / sets / args.blocks;
    const uint8_t* const a = args.a + (image * args.blocks + block) * args.a_block + h * args.row_stride;
    const int64_t column = block * kQuantizedColumns;
    const DepthwiseWeights weights = {args.b + block * args.entries * kQuantizedEntryBytes, args.ones,
                                      args.finish.b_zeros ? args.finish.b_zeros + column : nullptr};
    const Finish finish(plain, column);
    const int64_t y_at = ((image * args.blocks + block) * args.height + h) * args.width * kQuantizedColumns;
    const int64_t left = args.channels - column;
    const int64_t columns = left < kQuantizedColumns ? left : kQuantizedColumns;
    const int64_t rows = args.height - h < kDepthwiseRows ? args.height - h : kDepthwiseRows;
    if (rows == kDepthwiseRows) {
      all(args, a, weights, finish, y_at, columns);
      continue;
    }
    for (int64_t r = 0; r < rows; ++r) {
      one(args, a + r * args.row_stride, weights, finish, y_at + r * args.width * kQuantizedColumns, columns);
    }
  }
}

}  // namespace DT_ISA

#endif
