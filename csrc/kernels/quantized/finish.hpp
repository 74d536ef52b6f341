// SPDX-License-Identifier: Apache-2.0
// What becomes of int32 sums: y in int32, float32, int8 or uint8.
#ifndef DOVETAIL_KERNELS_QUANTIZED_FINISH_HPP
#define DOVETAIL_KERNELS_QUANTIZED_FINISH_HPP

#include "kernels/quantized/args.hpp"

namespace DT_ISA {
namespace {

typedef int32_t VecIAnywhere __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef uint32_t VecU __attribute__((vector_size(4 * kLanes)));  // wraps round as the sums do
typedef uint8_t VecBytes __attribute__((vector_size(kLanes)));

inline VecU load_ints(const int32_t* p) {
  return reinterpret_cast<VecU>(static_cast<VecI>(*reinterpret_cast<const VecIAnywhere*>(p)));
}

// To the nearest integer, ties to even, of |v| below 2^22: the fraction does not fit into the sum.
inline VecF nearest(VecF v) {
  const VecF big = splat(12582912.0f);
  return (v + big) - big;
}

// The same as an integer.
inline VecI nearest_int(VecF v) {
#if defined(__AVX512F__)
  return reinterpret_cast<VecI>(_mm512_cvtps_epi32(v));
#elif defined(__AVX2__)
  return reinterpret_cast<VecI>(_mm256_cvtps_epi32(v));
#else
  return __builtin_convertvector(nearest(v), VecI);
#endif
}

// nan becomes the lower limit.
inline VecF limited(VecF v, VecF low, VecF high) {
#if defined(__AVX512F__)
  return _mm512_min_ps(_mm512_max_ps(v, low), high);
#elif defined(__AVX2__)
  return _mm256_min_ps(_mm256_max_ps(v, low), high);
#else
  const VecF above = v > low ? v : low;
  return above < high ? above : high;
#endif
}

inline void store_bytes(VecI whole, uint8_t* y) {
  const VecBytes bytes = __builtin_convertvector(whole, VecBytes);
  memcpy(y, &bytes, kLanes);
}

inline VecI bytes_as_ints(const uint8_t* x, bool is_signed) {
  VecI whole;
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
  whole = reinterpret_cast<VecI>(is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes));
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(x));
  whole = reinterpret_cast<VecI>(is_signed ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes));
#else
  for (int lane = 0; lane < kLanes; ++lane) whole[lane] = is_signed ? static_cast<int8_t>(x[lane]) : x[lane];
#endif
  return whole;
}
inline VecF load_bytes(const uint8_t* x, bool is_signed) {
  return __builtin_convertvector(bytes_as_ints(x, is_signed), VecF);
}

// Sums of one panel for some pixels.
struct PanelSums {
  const int32_t* sums;    // [pixel] of 16, `step` apart
  const int32_t* a_sums;  // one for each pixel, where b has zero points
  int64_t step, pixels;
};

// Where they go: elements between pixels, and how many of 16 there are. Where y is blocked, those behind are 0.
struct PanelPlace {
  int64_t at, pixel, columns;
  bool is_blocked;
};

// The panel whose columns are [at, at + 16) of the vectors.
class Finish {
  static constexpr int64_t kColumns = kQuantizedColumns;
  static constexpr int kVectors = static_cast<int>(kColumns / kLanes);

 public:
  Finish(const QuantizedFinish& f, int64_t at)
      : f_(f),
        start_(f.start + at),
        zeros_(f.b_zeros ? f.b_zeros + at : nullptr),
        factors_(f.factors ? f.factors + at : nullptr),
        biases_(f.biases ? f.biases + at : nullptr) {}

  // Apart from the code around it, which needs the registers too.
  __attribute__((noinline)) void write(const PanelSums& x, void* y, const PanelPlace& place) const {
    if (f_.y_type == kI32) {
      return put(x, static_cast<int32_t*>(y), place, [](int, VecU sum, int32_t* v, int64_t) {
        *reinterpret_cast<VecIAnywhere*>(v) = reinterpret_cast<VecI>(sum);
      });
    }
    // Copies, since the compiler must assume that the output may alias the vectors.
    VecF factor[kVectors];
    for (int i = 0; i < kVectors; ++i) factor[i] = load(factors_ + i * kLanes);
    const auto scaled = [=](int i, VecU sum) {
      return __builtin_convertvector(reinterpret_cast<VecI>(sum), VecF) * factor[i];
    };
    if (f_.y_type == kF32) return write_floats(x, static_cast<float*>(y), place, scaled);
    const VecF low = splat(f_.low), high = splat(f_.high);
    uint8_t* const bytes = static_cast<uint8_t*>(y);
#if defined(__AVX512BW__)
    if (place.columns == kColumns || place.is_blocked || f_.added == nullptr) {
      return put_whole_bytes(x, bytes, place, scaled);  // it reads 16 of the addend
    }
#endif
    if (f_.added == nullptr) {
      const VecI zero = VecI{} + static_cast<int32_t>(f_.zero);
      return put(x, bytes, place, [=](int i, VecU sum, uint8_t* v, int64_t) {
        store_bytes(nearest_int(limited(scaled(i, sum), low, high)) + zero, v);
      });
    }
    const VecF by_own = splat(f_.by_own), by_added = splat(f_.by_added), offset = splat(f_.offset);
    const VecF sum_low = splat(f_.sum_low), sum_high = splat(f_.sum_high);
    const VecI zero = VecI{} + static_cast<int32_t>(f_.sum_zero);
    const uint8_t* const added = f_.added;
    const bool is_signed = f_.y_type == kI8;
    put(x, bytes, place, [=](int i, VecU sum, uint8_t* v, int64_t element) {
      const VecF own = nearest(limited(scaled(i, sum), low, high));
      const VecF total = own * by_own + (load_bytes(added + element, is_signed) * by_added + offset);
      store_bytes(nearest_int(limited(total, sum_low, sum_high)) + zero, v);
    });
  }

 private:
  template <class Scaled>
  void write_floats(const PanelSums& x, float* y, const PanelPlace& place, const Scaled& scaled) const {
    VecF bias[kVectors] = {};
    for (int i = 0; biases_ && i < kVectors; ++i) bias[i] = load(biases_ + i * kLanes);
    if (biases_ == nullptr) {
      return put(x, y, place, [=](int i, VecU sum, float* v, int64_t) { store(v, scaled(i, sum)); });
    }
    put(x, y, place, [=](int i, VecU sum, float* v, int64_t) { store(v, scaled(i, sum) + bias[i]); });
  }

  // `make` writes vector i of a pixel, whose first element is element `element` of y.
  template <class T, class Make>
  __attribute__((always_inline)) void put(const PanelSums& x, T* y, const PanelPlace& place, const Make& make) const {
    if (place.columns < kColumns) return put_part(x, y, place, make);
    VecU start[kVectors];
    for (int i = 0; i < kVectors; ++i) start[i] = load_ints(start_ + i * kLanes);
    if (zeros_) {
      VecU zero[kVectors];
      for (int i = 0; i < kVectors; ++i) zero[i] = load_ints(zeros_ + i * kLanes);
      const int32_t* const a_sums = x.a_sums;
      const auto less = [=](int i, int64_t pixel) { return start[i] - zero[i] * static_cast<uint32_t>(a_sums[pixel]); };
      return put_all(x, y, place, less, make);
    }
    put_all(x, y, place, [=](int i, int64_t) { return start[i]; }, make);
  }

  template <class T, class Start, class Make>
  __attribute__((always_inline)) static void put_all(const PanelSums& x, T* y, const PanelPlace& place,
                                                     const Start& start, const Make& make) {
    const int32_t* sums = x.sums;
    int64_t at = place.at;
    const int64_t n = x.pixels, step = x.step, next = place.pixel;
    for (int64_t pixel = 0; pixel < n; ++pixel, sums += step, at += next) {
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        make(i, load_ints(sums + i * kLanes) + start(i, pixel), y + at + i * kLanes, at + i * kLanes);
      }
    }
  }

#if defined(__AVX512BW__)
  // The same bytes as of one pixel at a time, but for four at once: integers are packed to bytes with saturation, which
  // is the limit at one end, and the lower limit is that of bytes. The upper one stays: an integer of 32 bits may be too
  // small for what is scaled. Those that are too far below become the least integer, as nan does.
  template <class Scaled>
  void put_whole_bytes(const PanelSums& x, uint8_t* y, const PanelPlace& place, const Scaled& scaled) const {
    const VecF high = splat(f_.high);
    if (f_.added == nullptr) {
      return put_signed(x, y, place, f_.zero, f_.low, [=](VecU sum, int64_t) {
        return _mm512_cvtps_epi32(_mm512_min_ps(high, scaled(0, sum)));  // nan if the sum is
      });
    }
    const VecF low = splat(f_.low), by_own = splat(f_.by_own), by_added = splat(f_.by_added);
    const VecF offset = splat(f_.offset), sum_high = splat(f_.sum_high);
    const uint8_t* const added = f_.added;
    const bool is_signed = f_.y_type == kI8;
    put_signed(x, y, place, f_.sum_zero, f_.sum_low, [=](VecU sum, int64_t element) {
      const VecF own = nearest(limited(scaled(0, sum), low, high));
      const VecF total = own * by_own + (load_bytes(added + element, is_signed) * by_added + offset);
      return _mm512_cvtps_epi32(_mm512_min_ps(sum_high, total));
    });
  }

  template <class Whole>
  void put_signed(const PanelSums& x, uint8_t* y, const PanelPlace& place, float zero, float low,
                  const Whole& whole) const {
    const VecU start = load_ints(start_);
    const VecU by_a_sum = zeros_ ? load_ints(zeros_) : VecU{};
    const int32_t* const a_sums = zeros_ ? x.a_sums : nullptr;
    const auto start_of = [=](int64_t pixel) {
      return a_sums ? start - by_a_sum * static_cast<uint32_t>(a_sums[pixel]) : start;
    };
    const __mmask64 columns = 0x0001000100010001u * ((1u << place.columns) - 1);
    const FourPixels four = {static_cast<int16_t>(zero), static_cast<char>(static_cast<int32_t>(low + zero)), columns,
                             place.is_blocked ? kColumns : place.columns};
    if (f_.y_type == kI8) return put_fours<true>(x, y, place, four, start_of, whole);
    put_fours<false>(x, y, place, four, start_of, whole);
  }

  struct FourPixels {
    int16_t zero;
    char low;
    __mmask64 columns;  // of four pixels; zeros are stored in the others
    int64_t stored;     // bytes of a pixel
  };
  template <bool is_signed, class Start, class Whole>
  __attribute__((always_inline)) static void put_fours(const PanelSums& x, uint8_t* y, const PanelPlace& place,
                                                       const FourPixels& f, const Start& start, const Whole& whole) {
    const __m512i zero = _mm512_set1_epi16(f.zero), low = _mm512_set1_epi8(f.low);
    const __m512i pixels_first = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const int64_t n = x.pixels, step = x.step, next = place.pixel;
    const auto four_from = [&](int64_t pixel, int64_t last) __attribute__((always_inline)) {
      __m512i v[4];
#pragma GCC unroll 4
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t p = pixel + (i < last ? i : last);
        v[i] = whole(load_ints(x.sums + p * step) + start(p), place.at + p * next);
      }
      const __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), zero);
      const __m512i b = _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), zero);
      const __m512i bytes =
          is_signed ? _mm512_max_epi8(_mm512_packs_epi16(a, b), low) : _mm512_max_epu8(_mm512_packus_epi16(a, b), low);
      return _mm512_maskz_mov_epi8(f.columns, _mm512_permutexvar_epi32(pixels_first, bytes));
    };
    int64_t pixel = 0;
    for (; next == kColumns && pixel + 4 <= n; pixel += 4) {
      _mm512_storeu_si512(y + place.at + pixel * kColumns, four_from(pixel, 3));
    }
    for (; pixel < n; pixel += 4) {
      const int64_t last = n - pixel < 4 ? n - pixel - 1 : 3;
      alignas(64) uint8_t bytes[4 * kColumns];
      _mm512_store_si512(bytes, four_from(pixel, last));
      for (int64_t i = 0; i <= last; ++i) {
        uint8_t* const to = y + place.at + (pixel + i) * next;
        if (f.stored == kColumns) {
          memcpy(to, bytes + i * kColumns, kColumns);
        } else {
          memcpy(to, bytes + i * kColumns, static_cast<size_t>(f.stored));
        }
      }
    }
  }
#endif

  // Fewer than 16 columns, one element at a time.
  template <class T, class Make>
  void put_part(const PanelSums& x, T* y, const PanelPlace& place, const Make& make) const {
    for (int64_t pixel = 0; pixel < x.pixels; ++pixel) {
      const int64_t at = place.at + pixel * place.pixel;
      T part[kColumns];
      for (int i = 0; i < kVectors; ++i) {
        VecU sum = load_ints(x.sums + pixel * x.step + i * kLanes) + load_ints(start_ + i * kLanes);
        if (zeros_) sum -= load_ints(zeros_ + i * kLanes) * static_cast<uint32_t>(x.a_sums[pixel]);
        make(i, sum, part + i * kLanes, at + i * kLanes);
      }
      for (int64_t i = 0; i < place.columns; ++i) y[at + i] = part[i];
      for (int64_t i = place.columns; place.is_blocked && i < kColumns; ++i) y[at + i] = T{0};
    }
  }

  const QuantizedFinish& f_;
  const int32_t *const start_, *const zeros_;
  const float *const factors_, *const biases_;
};

}  // namespace
}  // namespace DT_ISA

#endif
