// SPDX-License-Identifier: Apache-2.0
// Identity@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "dovetail/format.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const IdentityArgs&, int64_t, int64_t)>
void enqueue(const IdentityParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const FormatView view = view_of(x);
  const int64_t x_bytes = size_of(x.type()), y_bytes = size_of(y.type());
  const IdentityArgs args = {x.data<void>(), y.data<void>(), static_cast<int32_t>(x.type()),
                             static_cast<int32_t>(y.type())};
  parallel_ranges(run, view.stored(), x_bytes + y_bytes, 64, [&](int64_t first, int64_t last) {
    if (x.type() != y.type()) {
      kernel(args, first, last);
    } else if (args.x != args.y) {
      std::memcpy(y.data<char>() + first * y_bytes, x.data<char>() + first * y_bytes,
                  static_cast<size_t>((last - first) * y_bytes));
    }
  });
  zero_padding(view, args.y, y_bytes);
}

#define IDENTITY_ROW(isa, features, format) \
  {.tactic = format "_" #isa,               \
   .needs = features,                       \
   .types = kIdentityTypes,                 \
   .formats = format " -> " format,         \
   .enqueue = enqueue<isa::identity>},

// clang-format off
constexpr Row<IdentityParams> kRows[] = {
#if defined(__x86_64__)
    DOVETAIL_EACH_FORMAT(IDENTITY_ROW, avx512, kAvx512)
    DOVETAIL_EACH_FORMAT(IDENTITY_ROW, avx2, kAvx2)
#endif
    DOVETAIL_EACH_FORMAT(IDENTITY_ROW, scalar, 0)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("Identity@1#cpu", IdentityParams, kRows)
