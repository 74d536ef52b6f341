// SPDX-License-Identifier: Apache-2.0
// Pooling@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

int lanes_of(TensorFormat format) { return static_cast<int32_t>(format) == DT_FORMAT_CHW16 ? 16 : 1; }

int64_t slot_floats(int64_t in, int64_t out, int lanes) { return DT_ISA::pool_scratch(in * lanes, out * lanes); }

uint64_t workspace(const PoolingParams&, const Descs& inputs, const Descs& outputs, int n_threads) {
  const int64_t slot = slot_floats(inputs[0].max_extent(-1), outputs[0].max_extent(-1), lanes_of(inputs[0].format()));
  return static_cast<uint64_t>((n_threads > 0 ? n_threads : 1) * slot) * sizeof(float);
}

template <void (*kernel)(const PoolingArgs&, int, int64_t, int64_t, float*)>
void enqueue(const PoolingParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  PoolingArgs args = pooling_args(params, x, y);
  if (y.volume() == 0) return;
  const FormatView view = view_of(y);
  const int lanes = lanes_of(y.format());
  const PoolAxis *depth = &args.axis[0], *height = &args.axis[1], *width = &args.axis[2];
  args.planes = view.stored() / (depth->out * height->out * width->out * lanes);
  const int64_t slot = slot_floats(width->in, width->out, lanes);
  int64_t threads = static_cast<int64_t>(run.workspace_bytes() / sizeof(float)) / slot;
  if (threads < 1) fail(DT_INTERNAL, "the workspace holds no %lld floats", static_cast<long long>(slot));
  if (threads > run.n_threads()) threads = run.n_threads();
  const int64_t rows = args.planes * depth->out * height->out;
  const int64_t work = lanes * (width->in * depth->window * height->window / 4 + width->out * width->window + 16);
  const int64_t worth = rows * work / 20000 + 1;  // some microseconds; waking a thread costs about one
  const int64_t pieces = threads < worth ? threads : worth;
  const int64_t each = (rows + pieces - 1) / pieces;
  run.parallel_for(pieces, [&](int32_t piece) {
    const int64_t first = piece * each, last = first + each < rows ? first + each : rows;
    if (first < last) kernel(args, lanes, first, last, run.workspace<float>() + piece * slot);
  });
  zero_padding(view, args.y, size_of(y.type()));
}

#define POOLING_ROWS(isa, features)                          \
  {.tactic = "chw16_" #isa,                                  \
   .needs = features,                                        \
   .types = "f32|f16|bf16 -> f32|f16|bf16",                  \
   .formats = "chw16",                                       \
   .fits = fits_pooling,                                     \
   .workspace = workspace,                                   \
   .enqueue = enqueue<isa::pooling>},                        \
      {.tactic = "linear_" #isa,                             \
       .needs = features,                                    \
       .types = "f32|f16|bf16|i8|i8 -> f32|f16|bf16|i8|f32", \
       .formats = "linear",                                  \
       .fits = fits_pooling,                                 \
       .workspace = workspace,                               \
       .enqueue = enqueue<isa::pooling>},

constexpr Row<PoolingParams> kRows[] = {DOVETAIL_EACH_ISA(POOLING_ROWS)};

}  // namespace

DOVETAIL_IMPLEMENTS("Pooling@1#cpu", PoolingParams, kRows)
