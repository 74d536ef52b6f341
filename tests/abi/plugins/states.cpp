// SPDX-License-Identifier: Apache-2.0
// Rows with state beside a row without: y = x + what the state says. Each says in its log what it does.
#include <memory>
#include <stdexcept>

#include "dovetail/plugin.hpp"

namespace states {

using namespace dovetail;

struct Params {
  double offset = 0.5;
  void check_shapes(const Shapes& inputs, const Shapes& outputs) const {
    expect_same_dims(outputs.get(0, "y"), inputs.get(0, "x"));
  }
};
DOVETAIL_READS(Params, offset)

static void say(const char* what, int64_t n) {
  char line[64];
  std::snprintf(line, sizeof line, "%s %lld", what, static_cast<long long>(n));
  log(DT_LOG_VERBOSE, line);
}

// Stays where it was made: a state need not be copied nor moved.
struct Counted {
  const int64_t n;
  const int n_threads;
  int64_t n_runs = 0;
  Counted(int64_t extent, int threads) : n(extent), n_threads(threads) { say("plan counted", n); }
  Counted(const Counted&) = delete;
  ~Counted() { say("drop counted", n); }
};

static Counted plan_counted(const Params&, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  const Desc x = inputs[0];
  if (x.extent(0) == 13) throw std::length_error("13 of them");
  if (x.extent(0) == 14) unsupported("%lld values", static_cast<long long>(x.extent(0)));
  if (x.is_dynamic() || x.max_extent(0) != outputs[0].extent(0) || x.type() != DataType::kFLOAT)
    fail(DT_INTERNAL, "x is not known");
  return Counted(x.extent(0), setup.n_threads());
}

// x + how many runs this state has seen, + 1000 if the state is another's.
static void counted(const Params& params, Counted& state, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  ++state.n_runs;
  const bool is_mine = state.n == x.extent(0) && state.n_threads == run.n_threads();
  const double more = params.offset + static_cast<double>(state.n_runs) + (is_mine ? 0 : 1000);
  for (int64_t i = 0; i < x.extent(0); ++i) y.data<float>()[i] = x.data<float>()[i] + static_cast<float>(more);
}

// A table on the heap: another type of state in the same implementation.
typedef std::unique_ptr<float[]> Ramp;

static Ramp plan_ramp(const Params&, const Descs& inputs, const Descs&, const RunSetup&) {
  const int64_t n = inputs[0].extent(0);
  say("plan ramp", n);
  Ramp ramp(new float[static_cast<size_t>(n)]);
  for (int64_t i = 0; i < n; ++i) ramp[static_cast<size_t>(i)] = static_cast<float>(100 * i);
  return ramp;
}

static void ramp(const Params& params, Ramp& state, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  for (int64_t i = 0; i < x.extent(0); ++i)
    y.data<float>()[i] = x.data<float>()[i] + state[static_cast<size_t>(i)] + static_cast<float>(params.offset);
}

static void plain(const Params& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  for (int64_t i = 0; i < x.extent(0); ++i) y.data<float>()[i] = x.data<float>()[i] + static_cast<float>(params.offset);
}

static constexpr Row<Params, Counted> kCounted[] = {
    {"counted", 0, "f32 -> f32", nullptr, nullptr, nullptr, nullptr, counted, 0, 0, nullptr, 0, plan_counted},
};
// Not a constant.
static const Row<Params, Ramp> kRamps[] = {
    {"ramp", 0, "f32 -> f32", nullptr, nullptr, nullptr, nullptr, ramp, 0, 0, nullptr, 0, plan_ramp},
    {"unplanned", 0, "f32 -> f32", nullptr, nullptr, nullptr, nullptr, ramp, 0, 0, nullptr, 0, nullptr},
};
static constexpr Row<Params> kPlain[] = {
    {"plain", 0, "f32 -> f32", nullptr, nullptr, nullptr, nullptr, plain, 0, 0},
};

DOVETAIL_IMPLEMENTS("states::Tally@1#cpu", Params, kCounted, kRamps, kPlain)
DOVETAIL_IMPLEMENTS("states::Tally@1#stateless", Params, kPlain)

}  // namespace states

DOVETAIL_LIBRARY("states", "1.0", "states")
