// SPDX-License-Identifier: Apache-2.0
// The algorithm of ByteTable, compiled once per instruction set.
// Instruction sets: scalar, avx512.
#ifndef DOVETAIL_PLUGINS_BYTE_TABLE_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_BYTE_TABLE_CPU_GENERIC_HPP

#include <string.h>

#include "cpu_kernels.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

#if defined(__AVX512BW__)
constexpr int64_t kBytesAtOnce = 32;

// The table as 128 pairs of bytes, in four vectors: instructions look up words, among 64 of them.
class Pairs {
 public:
  explicit Pairs(const uint8_t* table) {
    for (int i = 0; i < 4; ++i) part_[i] = _mm512_loadu_si512(table + 64 * i);
  }

  void look_up(const uint8_t* x, uint8_t* y) const {
    const __m512i byte = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
    const __m512i pair = _mm512_srli_epi16(byte, 1);  // the instruction ignores all but six bits of it
    const __m512i low = _mm512_permutex2var_epi16(part_[0], pair, part_[1]);
    const __m512i high = _mm512_permutex2var_epi16(part_[2], pair, part_[3]);
    const __m512i found = _mm512_mask_blend_epi16(_mm512_test_epi16_mask(byte, _mm512_set1_epi16(0x80)), low, high);
    const __m512i shift = _mm512_slli_epi16(_mm512_and_si512(byte, _mm512_set1_epi16(1)), 3);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), _mm512_cvtepi16_epi8(_mm512_srlv_epi16(found, shift)));
  }

 private:
  __m512i part_[4];
};
#endif

}  // namespace

void byte_table(const uint8_t* x, const uint8_t* table, uint8_t* y, int64_t n) {
  int64_t i = 0;
#if defined(__AVX512BW__)
  const Pairs pairs(table);
  for (; i + kBytesAtOnce <= n; i += kBytesAtOnce) pairs.look_up(x + i, y + i);
#else
  for (; i + 8 <= n; i += 8) {  // eight indices and eight results at once: half of the loads and stores
    uint64_t indices, found = 0;
    memcpy(&indices, x + i, 8);
    for (int k = 0; k < 8; ++k) found |= uint64_t{table[indices >> (8 * k) & 0xff]} << (8 * k);
    memcpy(y + i, &found, 8);
  }
#endif
  for (; i < n; ++i) y[i] = table[x[i]];
}

}  // namespace DT_ISA

#endif
