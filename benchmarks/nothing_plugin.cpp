// SPDX-License-Identifier: Apache-2.0
// A step that computes nothing, so that what is left of its time is the executor's.
#include "dovetail/plugin.hpp"

namespace {

struct Params {
  int64_t number = 0;
};
DOVETAIL_READS(Params, number)

void nothing(const Params&, const dovetail::Run&) {}

constexpr dovetail::Row<Params> kRows[] = {{.tactic = "nothing", .types = "f32 -> f32", .enqueue = nothing}};

}  // namespace

DOVETAIL_IMPLEMENTS("bench::Nothing@1#quick.native", Params, kRows)
DOVETAIL_LIBRARY("quick", "1", "quick")
