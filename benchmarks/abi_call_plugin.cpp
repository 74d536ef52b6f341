// SPDX-License-Identifier: Apache-2.0
// The plugin of abi_call: the same small work behind a plain C table and behind the C++ row of plugin.hpp.
#include "dovetail/plugin.hpp"

namespace {

// One float, so that the call is what is measured.
inline void work(const float* x, float* y) { *y = *x + 1.0f; }

struct Params {
  int64_t unused = 0;
};
DOVETAIL_READS(Params, unused)

void add_one(const Params&, const dovetail::Run& run) {
  work(run.input(0).data<const float>(), run.output(0).data<float>());
}

void fail(const Params&, const dovetail::Run&) { throw dovetail::Error(DT_PLUGIN_FAILED, "as the benchmark asked"); }

constexpr dovetail::Row<Params> kRows[] = {
    {.tactic = "add_one", .types = "f32 -> f32", .enqueue = add_one},
    {.tactic = "throws", .types = "f32 -> f32", .enqueue = fail},
};

dt_code add_one_in_c(void*, const dt_run* run) {
  work(static_cast<const float*>(run->inputs[0]->data), static_cast<float*>(run->outputs[0]->data));
  return DT_OK;
}

dt_row plain_row = {};
const dt_row* const plain_rows[] = {&plain_row};
dt_implementation plain = {};

const dt_implementation& plain_table() {
  plain_row.h = DT_HDR(dt_row);
  plain_row.tactic = "add_one_in_c";
  plain_row.types = "f32 -> f32";
  plain_row.enqueue = add_one_in_c;
  plain.h = DT_HDR(dt_implementation);
  plain.op = "bench::AddOne@1";
  plain.name = "bench.plain";
  plain.device = DT_DEVICE_CPU;
  plain.n_rows = 1;
  plain.rows = plain_rows;
  return plain;
}

}  // namespace

DOVETAIL_IMPLEMENTS("bench::AddOne@1#bench.rows", Params, kRows)
DOVETAIL_LIST_IMPLEMENTATION(plain_table())
DOVETAIL_LIBRARY("bench", "1", "bench")
