// SPDX-License-Identifier: Apache-2.0
// ByteTable@1#cpu: tactics, best first.
#include "byte_table.hpp"
#include "cpu_kernels.hpp"
#include "kernels/layout/format.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const uint8_t*, const uint8_t*, uint8_t*, int64_t)>
void enqueue(const ByteTableParams&, const Run& run) {
  const Tensor y = run.output(0);
  const FormatView view = view_of(y);
  const uint8_t *const x = run.input(0).data<const uint8_t>(), *const table = run.input(1).data<const uint8_t>();
  uint8_t* const to = y.data<uint8_t>();
  parallel_ranges(run, view.stored(), 2, 64,
                  [&](int64_t first, int64_t last) { kernel(x + first, table, to + first, last - first); });
  zero_padding(view, to, 1);
}

#define BYTE_TABLE_ROW(isa, features, format)         \
  {.tactic = format "_" #isa,                         \
   .needs = features,                                 \
   .types = "i8|i8|u8|u8 i8|u8|i8|u8 -> i8|u8|i8|u8", \
   .formats = format " linear -> " format,            \
   .enqueue = enqueue<isa::byte_table>},

constexpr Row<ByteTableParams> kRows[] = {
#if defined(__x86_64__)
    BYTE_TABLE_ROW(avx512, kAvx512, "chw16") BYTE_TABLE_ROW(avx512, kAvx512, "linear")
#endif
        BYTE_TABLE_ROW(scalar, 0, "chw16") BYTE_TABLE_ROW(scalar, 0, "linear")};

}  // namespace

DOVETAIL_IMPLEMENTS("ByteTable@1#cpu", ByteTableParams, kRows)
