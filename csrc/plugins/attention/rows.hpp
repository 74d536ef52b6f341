// SPDX-License-Identifier: Apache-2.0
// What the rows of Attention have in common on all devices.
#ifndef DOVETAIL_PLUGINS_ATTENTION_ROWS_HPP
#define DOVETAIL_PLUGINS_ATTENTION_ROWS_HPP

#include "attention.hpp"

#define DT_X "f32|f16|bf16|f32|f16|bf16"
constexpr char kAttentionTypes[] =
    DT_X " " DT_X " " DT_X " f32|f16|bf16|b8|b8|b8 " DT_X " " DT_X " i64|i64|i64|i64|i64|i64 -> " DT_X;
#undef DT_X
#define DT_X "f16|bf16|f16|bf16"
[[maybe_unused]] constexpr char kHalvesTypes[] =
    DT_X " " DT_X " " DT_X " f16|bf16|b8|b8 " DT_X " " DT_X " i64|i64|i64|i64 -> " DT_X;
#undef DT_X

// For a run whose shapes were checked.
inline AttentionArgs attention_args(const AttentionParams& params, const dovetail::Run& run) {
  const auto view_of = [&](const dovetail::Tensor& t, int64_t heads) {
    HeadsView view = AttentionParams::view("a tensor", t.dims(), t.rank(), heads);
    view.steps.data = t.data<void>();
    return view;
  };
  const HeadsView q = view_of(run.input(kQuery), params.num_heads), k = view_of(run.input(kKey), params.num_kv_heads);
  const HeadsView v = view_of(run.input(kValue), params.num_kv_heads), y = view_of(run.output(0), params.num_heads);
  AttentionArgs args = {};
  args.q = q.steps;
  args.k = k.steps;
  args.v = v.steps;
  args.y = y.steps;
  args.type = static_cast<int32_t>(run.input(kQuery).type());
  args.has_softmax = params.norm_op == kNormSoftmax;
  args.causal = params.causal != 0;
  args.batch = q.batch;
  args.heads = q.heads;
  args.kv_heads = k.heads;
  args.queries = q.length;
  args.keys = k.length;
  args.size = q.size;
  args.v_size = v.size;
  args.left = params.left_window;
  args.right = params.right_window;
  args.scale = static_cast<float>(params.scale);
  args.softcap = static_cast<float>(params.softcap);
  if (run.has_input(kPastKey)) {
    const HeadsView past = view_of(run.input(kPastKey), 0);
    args.has_past = true;
    args.past = past.length;
    args.keys += past.length;
    args.past_k = past.steps;
    args.past_v = view_of(run.input(kPastValue), 0).steps;
  }
  if (run.has_input(kLengths)) args.lengths = run.input(kLengths).data<const int64_t>();
  if (run.has_input(kMask)) {
    const dovetail::Tensor mask = run.input(kMask);
    args.has_mask = true;
    args.mask_is_bool = mask.type() == dovetail::DataType::kBOOL;
    args.mask.data = mask.data<void>();
    args.masked = mask.extent(-1);
    int64_t* const steps[] = {&args.mask.row, &args.mask.head, &args.mask.batch};
    int64_t step = args.masked;
    for (int i = 2; i <= mask.rank(); ++i) {
      *steps[i - 2] = mask.extent(-i) == 1 ? 0 : step;
      step *= mask.extent(-i);
    }
  }
  return args;
}

#endif
