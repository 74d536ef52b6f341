// SPDX-License-Identifier: Apache-2.0
// Fill@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "kernels/layout/format.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// Element i of an input of y's type.
void read_number(const Tensor& t, int i, double* real, int64_t* whole) {
  if (t.type() == DataType::kINT32) {
    *whole = t.data<int32_t>()[i];
  } else if (t.type() == DataType::kINT64) {
    *whole = t.data<int64_t>()[i];
  } else {
    *real = static_cast<double>(read_float(t.data<void>(), static_cast<int32_t>(t.type()), i));
  }
}

template <void (*kernel)(const FillArgs&, int64_t, int64_t)>
void enqueue(const FillParams& params, const Run& run) {
  const Tensor y = run.output(0);
  FillArgs args = {};
  args.y = y.data<void>();
  args.type = static_cast<int32_t>(y.type());
  args.kind = params.operation;
  args.rank = y.rank() > 0 ? y.rank() : 1;
  args.dims[0] = 1;
  for (int i = 0; i < y.rank(); ++i) args.dims[i] = y.extent(i);
  args.alpha = params.alpha;
  args.beta[0] = params.beta;
  args.alpha_whole = whole_of(params.alpha);
  args.whole[0] = whole_of(params.beta);
  args.seed = static_cast<uint64_t>(params.seed);
  if (run.has_input(1)) read_number(run.input(1), 0, &args.alpha, &args.alpha_whole);
  if (run.has_input(2)) {
    const Tensor betas = run.input(2);
    for (int i = 0; i < betas.volume(); ++i) read_number(betas, i, &args.beta[i], &args.whole[i]);
  }
  const int64_t work = params.operation == kRandomNormal ? 100 : params.operation == kRandomUniform ? 20 : 8;
  parallel_ranges(run, y.volume(), work, 64, [&](int64_t first, int64_t last) { kernel(args, first, last); });
}

#define FILL_ROWS(isa, features)   \
  {.tactic = #isa,                 \
   .needs = features,              \
   .types = kFillTypes32,          \
   .formats = "linear",            \
   .fits = fits_fill,              \
   .enqueue = enqueue<isa::fill>}, \
      {.tactic = "dims64_" #isa,   \
       .needs = features,          \
       .types = kFillTypes64,      \
       .formats = "linear",        \
       .fits = fits_fill,          \
       .enqueue = enqueue<isa::fill>},

constexpr Row<FillParams> kRows[] = {DOVETAIL_EACH_ISA(FILL_ROWS)};

}  // namespace

DOVETAIL_IMPLEMENTS("Fill@1#cpu", FillParams, kRows)
