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

struct PoolingState {
  PoolingArgs args = {};
  FormatView view;  // of y
  int lanes = 1;
  int64_t slot = 0;  // floats of scratch for a piece
  Pieces pieces;     // of rows of y, over planes, depth and height
  int64_t element_bytes = 0;
};

PoolingState plan(const PoolingParams& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  const Desc y = outputs[0];
  PoolingState state;
  PoolingArgs& args = state.args = pooling_args(params, inputs[0], y);
  const PoolAxis *depth = &args.axis[0], *height = &args.axis[1], *width = &args.axis[2];
  state.view = view_of(y);
  state.lanes = lanes_of(y.format());
  state.element_bytes = size_of(y.type());
  if (y.max_volume() == 0) return state;
  args.planes = state.view.stored() / (depth->out * height->out * width->out * state.lanes);
  state.slot = slot_floats(width->in, width->out, state.lanes);
  int64_t threads = static_cast<int64_t>(setup.workspace_bytes() / sizeof(float)) / state.slot;
  if (threads < 1) fail(DT_INTERNAL, "the workspace holds no %lld floats", static_cast<long long>(state.slot));
  if (threads > setup.n_threads()) threads = setup.n_threads();
  const int64_t rows = args.planes * depth->out * height->out;
  const int64_t work = state.lanes * (width->in * depth->window * height->window / 4 + width->out * width->window + 16);
  const int64_t worth = rows * work / 20000 + 1;  // some microseconds; waking a thread costs about one
  const int64_t count = threads < worth ? threads : worth;
  state.pieces = {rows, (rows + count - 1) / count, static_cast<int32_t>(count)};
  return state;
}

template <void (*kernel)(const PoolingArgs&, int, int64_t, int64_t, float*)>
void enqueue(const PoolingParams&, PoolingState& state, const Run& run) {
  state.args.x = run.input(0).data<void>();
  state.args.y = run.output(0).data<void>();
  run_pieces(run, state.pieces, [&](int64_t first, int64_t last) {
    kernel(state.args, state.lanes, first, last, run.workspace<float>() + first / state.pieces.each * state.slot);
  });
  zero_padding(state.view, state.args.y, state.element_bytes);
}

const char* fits_largest(const PoolingParams& params, const Descs& inputs, const Descs& outputs) {
  return params.type == kPoolMax ? fits_pooling(params, inputs, outputs) : "finds maxima only";
}

#define POOLING_BYTES_ROW(isa, features, format) \
  {.tactic = "bytes_" format "_" #isa,           \
   .needs = features,                            \
   .types = "i8|u8 -> i8|u8",                    \
   .formats = format,                            \
   .fits = fits_largest,                         \
   .workspace = workspace,                       \
   .enqueue = enqueue<isa::pooling_bytes>,       \
   .plan = plan},

#define POOLING_ROWS(isa, features)                                                   \
  POOLING_BYTES_ROW(isa, features, "chw16")                                           \
  POOLING_BYTES_ROW(isa, features, "linear"){.tactic = "chw16_" #isa,                 \
                                             .needs = features,                       \
                                             .types = "f32|f16|bf16 -> f32|f16|bf16", \
                                             .formats = "chw16",                      \
                                             .fits = fits_pooling,                    \
                                             .workspace = workspace,                  \
                                             .enqueue = enqueue<isa::pooling>,        \
                                             .plan = plan},                           \
      {.tactic = "linear_" #isa,                                                      \
       .needs = features,                                                             \
       .types = "f32|f16|bf16|i8|i8 -> f32|f16|bf16|i8|f32",                          \
       .formats = "linear",                                                           \
       .fits = fits_pooling,                                                          \
       .workspace = workspace,                                                        \
       .enqueue = enqueue<isa::pooling>,                                              \
       .plan = plan},

constexpr Row<PoolingParams, PoolingState> kRows[] = {DOVETAIL_EACH_ISA(POOLING_ROWS)};

}  // namespace

DOVETAIL_IMPLEMENTS("Pooling@1#cpu", PoolingParams, kRows)
