// SPDX-License-Identifier: Apache-2.0
// Kernels alone, for an op that somebody else describes: one member of every type that a field can have, and rows that
// fail where they are told.
#include <stdexcept>

#include "dovetail/plugin.hpp"

namespace rows {

enum class Mode : int32_t { kPlain = 0, kThrow = 1, kTask = 2, kInt = 3 };

struct Params {
  Mode mode = Mode::kPlain;
  int64_t axis = 7;
  double alpha = 1.5;
  float narrow = 0.25f;
  dovetail::Ints pads = {2, {3, 4}};
  dovetail::Floats scales;
  dovetail::Text text = {"unset"};
  const dt_tensor* table = nullptr;

  void check_fields() const { dovetail::expect_field("axis", axis, -10, 10); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    expect_same_dims(outputs.get(0, "y"), x);
    if (axis == 10) expect_volume(x, 5);
    if (axis == -10) inputs.get(1, "bias");
    if (axis == -9) (void)x[axis];
  }
};
DOVETAIL_READS(Params, mode, axis, alpha, narrow, pads, scales, text, table)

struct Nothing {};
DOVETAIL_READS(Nothing)

// y[i] = everything that was read, so that the host sees it.
static void compute(const Params& params, const dovetail::Run& run) {
  if (params.mode == Mode::kThrow) throw std::out_of_range("as told");
  if (params.mode == Mode::kInt) throw 42;
  const dovetail::Tensor x = run.input(0), y = run.output(0);
  run.parallel_for(x.extent(0), [&](int i) {
    if (params.mode == Mode::kTask && i == 1) dovetail::fail(DT_SHAPE, "task %d of %lld", i, (long long)x.extent(0));
    double sum = static_cast<double>(params.axis) + params.alpha + static_cast<double>(params.narrow);
    for (int k = 0; k < params.pads.n; ++k) sum += static_cast<double>(params.pads[k]);
    for (int k = 0; k < params.scales.n; ++k) sum += params.scales[k];
    if (params.text == "ten") sum += 10;
    if (params.table)
      sum += static_cast<double>(static_cast<const float*>(params.table->data)[params.table->shape[0] - 1]);
    if (const float* packed = run.packed<float>()) sum += static_cast<double>(packed[0]);
    y.data<float>()[i] = x.data<float>()[i] + static_cast<float>(sum);
  });
}

static const char* fits(const Params& params, const dovetail::Descs& in, const dovetail::Descs&) {
  if (in[0].rank() != 1) dovetail::unsupported("takes rank 1 only, this is rank %d", in[0].rank());
  return params.axis == 9 ? "axis 9 is never served" : nullptr;
}

static void prepare(const Params& params, const dovetail::Descs&, const dovetail::Descs&, const dovetail::Emit& emit) {
  if (params.alpha < 0) throw std::domain_error("negative alpha cannot be packed");
  float* packed = emit.alloc<float>(16);
  packed[0] = 100.0f;
  emit(packed, 16 * sizeof(float));
}

static uint64_t workspace(const Params&, const dovetail::Descs& in, const dovetail::Descs&, int n_threads) {
  return static_cast<uint64_t>(in[0].max_volume()) * 4 * static_cast<uint64_t>(n_threads);
}

static void nothing(const Nothing&, const dovetail::Run&) {}

static dovetail::Row<Params> packing_row() {
  dovetail::Row<Params> row;
  row.tactic = "packing";
  row.needs = dovetail::kAvx2;
  row.types = "f32 -> f32";
  row.fits = fits;
  row.prepare = prepare;
  row.workspace = workspace;
  row.enqueue = compute;
  row.traits = dovetail::kInPlace;
  return row;
}

// Rows may be constants or, where they must be computed, be made before the macro below sees them.
static const dovetail::Row<Params> kRows[] = {
    packing_row(),
    {"plain", 0, "f32 -> f32", "linear", nullptr, nullptr, nullptr, compute, 0, 0},
};
static constexpr dovetail::Row<Nothing> kCudaRows[] = {
    {"nothing_sm90", dovetail::sm(90), "f16 -> f16", nullptr, nullptr, nullptr, nullptr, nothing,
     dovetail::kCaptureSafe, 0},
};

DOVETAIL_IMPLEMENTS("other::Sum@1#rows.cpu", Params, kRows)
DOVETAIL_IMPLEMENTS("other::Nothing@1#cuda", Nothing, kCudaRows)
DOVETAIL_IMPLEMENTS_ON(DT_DEVICE_CUDA, "other::Nothing@1#rows.fast", Nothing, kCudaRows)

}  // namespace rows

DOVETAIL_LIBRARY("rows", "1.0", "")
