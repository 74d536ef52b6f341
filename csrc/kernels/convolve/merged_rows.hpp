// SPDX-License-Identifier: Apache-2.0
// Rows of Deconvolution to few maps, as at the end of a generator or of a decoder, CHW16 to linear: the maps of all phases
// together fill the vectors that the maps of one would leave almost empty. For rows files.
#ifndef DOVETAIL_KERNELS_CONVOLVE_MERGED_ROWS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_MERGED_ROWS_HPP

#include <vector>

#include "dovetail/epilogue.hpp"
#include "kernels/convolve/merged_phases.hpp"

DOVETAIL_OPEN_NAMESPACE

// The kernels of one instruction set.
struct MergedKernels {
  void (*convolve)(const ConvolveArgs& args, int64_t first, int64_t last);
  int64_t (*items)(const ConvolveArgs& args);
  void (*spread)(const SpreadArgs& args, int64_t first, int64_t last);
};

#define DT_MERGED_KERNELS(isa, needs)                                                                \
  inline constexpr MergedKernels isa##_merged = {isa::convolve_blocked, isa::convolve_blocked_items, \
                                                 isa::convolve_spread};
DOVETAIL_EACH_ISA(DT_MERGED_KERNELS)
#undef DT_MERGED_KERNELS

// What a row knows of a context with these extents.
struct MergedState {
  const MergedKernels* kernels = nullptr;
  ConvolveArgs merged = {};
  SpreadArgs spread = {};
  Pieces items, rows;
  int64_t bias_at = 0;  // in floats of the workspace, behind the merged outputs
  EpilogueProgram epilogue = {};
};

class MergedRow {
 public:
  enum { kX, kKernel, kBias };
  MergedRow(const MergedKernels& kernels, const ConvolveFields& fields) : kernels_(kernels), f_(fields) {}

  const char* fits(const Descs& inputs) const {
    if (f_.n_spatial != 2) return "blocks of 16 channels are for two spatial dims";
    if (f_.groups != 1) return "more than one group";
    for (int i = 1; i < 3; ++i) {
      if (f_.dilation[i] != 1) return "there is a dilation";
      if (f_.stride[i] > kMergedStride || f_.kernel[i] < f_.stride[i])
        unsupported("the stride is above %d, or above the extent of the kernel", kMergedStride);
    }
    if (f_.kernel[1] * f_.kernel[2] > kMostTaps) unsupported("the kernel has more than %d elements", kMostTaps);
    const int64_t phases = f_.stride[1] * f_.stride[2];
    if (phases == 1) return "there is one phase only";
    if (phases * f_.maps > kMostLanes) unsupported("the phases have more than %d maps together", kMostLanes);
    return inputs[kKernel].is_constant() ? nullptr : "the kernel is not constant";
  }

  int absorb(const Descs& outputs, const Epilogue& program) const {
    return outputs[0].rank() == 4 ? absorbed(program, outputs[0]) : 0;
  }

  // [block of maps of phases][block of channels][taps][channel][16], as blocked.hpp reads it
  void prepare(const Descs& inputs, const Emit& emit) const {
    if (inputs[kKernel].data<void>() == nullptr) return;
    const RawWeights w = weights_of(inputs[kKernel]);
    float* const packed = emit.alloc<float>(static_cast<uint64_t>(weights_floats(w)));
    for (int64_t i = 0; i < weights_floats(w); ++i) packed[i] = 0;
    const Axes axes(f_, 1, 1, 1, 1);  // taps do not depend on extents
    for (int64_t p = 0; p < phases(); ++p) {
      const ConvolveAxis rows = convolve_axis(f_, 1, 1, 1, p / f_.stride[2]);
      const ConvolveAxis columns = convolve_axis(f_, 2, 1, 1, p % f_.stride[2]);
      std::vector<float> kernel(static_cast<size_t>(w.maps * w.channels * rows.taps * columns.taps));
      kernel_of_phase(w, rows, columns, 0, kernel.data());
      const float* from = kernel.data();
      for (int64_t m = 0; m < w.maps; ++m) {
        for (int64_t c = 0; c < w.channels; ++c) {
          for (int64_t h = 0; h < rows.taps; ++h) {
            for (int64_t k = 0; k < columns.taps; ++k)
              packed[place(w, axes, p * w.maps + m, c, h * axes.columns.taps + k)] = *from++;
          }
        }
      }
    }
    emit(packed, static_cast<uint64_t>(weights_floats(w)) * 4);
  }

  uint64_t workspace(const Descs& outputs) const {
    const Desc y = outputs[0];
    const Axes axes(f_, 1, 1, y.max()[y.rank() - 2], y.max()[y.rank() - 1]);
    return static_cast<uint64_t>(merged_floats(axes, detail::volume(y.max(), y.rank() - 3)) + kMostLanes) * 4;
  }

  MergedState plan(const Descs& inputs, const Descs& outputs, const RunSetup& setup) const {
    const Desc x = inputs[kX], y = outputs[0];
    MergedState state;
    state.kernels = &kernels_;
    if (y.max_volume() == 0) return state;
    const RawWeights w = weights_of(inputs[kKernel]);
    state.epilogue = planned_epilogue(setup.epilogue(), y);
    const Axes axes(f_, x.max()[x.rank() - 2], x.max()[x.rank() - 1], y.max()[y.rank() - 2], y.max()[y.rank() - 1]);
    ConvolveArgs& of = state.merged;
    of.images = detail::volume(x.max(), x.rank() - 3);
    of.groups = 1;
    of.channels = w.channels;
    of.maps = phases() * w.maps;
    of.axis[0] = {1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1};
    of.axis[1] = as_convolution(axes.rows);
    of.axis[2] = as_convolution(axes.columns);
    SpreadArgs& spread = state.spread;
    spread.images = of.images;
    spread.maps = w.maps;
    spread.rows = axes.rows.count;
    spread.columns = axes.columns.count;
    for (int i = 0; i < 2; ++i) {
      spread.out[i] = i == 0 ? axes.rows.out : axes.columns.out;
      spread.out_step[i] = f_.stride[i + 1];
      spread.phases[i] = merged_phases(f_, i + 1);
      for (int p = 0; p < spread.phases[i]; ++p) spread.phase[i][p] = axes.phase[i][p];
    }
    const int64_t items = kernels_.items(of), rows = of.images * w.maps * spread.out[0];
    const double sums = static_cast<double>(of.images * spread.rows * spread.columns * blocks_of_maps() * 16);
    const double work = 2.0 * sums * static_cast<double>(axes.rows.taps * axes.columns.taps * w.channels);
    state.items = cut(items, work / static_cast<double>(items > 0 ? items : 1), 1, setup.n_threads());
    state.rows = cut(rows, 8.0 * static_cast<double>(spread.out[1]), 1, setup.n_threads());
    state.bias_at = merged_floats(axes, of.images);
    if (setup.packed_bytes() < static_cast<uint64_t>(weights_floats(w)) * 4)
      fail(DT_PLAN_CORRUPT, "the packed kernel is too short");
    if (setup.workspace_bytes() < static_cast<uint64_t>(state.bias_at + kMostLanes) * 4)
      fail(DT_PLAN_CORRUPT, "a workspace of %llu bytes ends too early",
           static_cast<unsigned long long>(setup.workspace_bytes()));
    return state;
  }

  static void enqueue(MergedState& state, const Run& run) {
    if (state.merged.images == 0) return;
    ConvolveArgs& of = state.merged;
    SpreadArgs& spread = state.spread;
    float* const workspace = run.workspace<float>();
    of.x = run.input(kX).data<void>();
    of.y = workspace;
    of.weights = run.packed();
    of.bias = run.has_input(kBias) ? workspace + state.bias_at : nullptr;
    if (of.bias) {
      const float* const bias = run.input(kBias).data<const float>();
      for (int64_t i = 0; i < of.maps; ++i) workspace[state.bias_at + i] = bias[i % spread.maps];
    }
    run_pieces(run, state.items, [&](int64_t first, int64_t last) { state.kernels->convolve(of, first, last); });
    set_operands(run, &state.epilogue);
    spread.epilogue = state.epilogue.n_steps > 0 ? &state.epilogue : nullptr;
    spread.from = workspace;
    spread.y = run.output(0).data<float>();
    run_pieces(run, state.rows, [&](int64_t first, int64_t last) { state.kernels->spread(spread, first, last); });
  }

 private:
  static constexpr int kMostLanes = 32, kMostTaps = 256;

  struct Axes {
    ConvolveAxis rows, columns;
    MergedPhase phase[2][kMergedStride];
    Axes(const ConvolveFields& f, int64_t x_rows, int64_t x_columns, int64_t y_rows, int64_t y_columns)
        : rows(merged_axis(f, 1, x_rows, y_rows, phase[0])),
          columns(merged_axis(f, 2, x_columns, y_columns, phase[1])) {}
  };

  // The axis of the convolution, which computes outputs side by side.
  static ConvolveAxis as_convolution(ConvolveAxis axis) {
    axis.out = axis.count;
    axis.out_first = 0;
    axis.out_step = axis.in_step = 1;
    return axis;
  }
  int64_t phases() const { return f_.stride[1] * f_.stride[2]; }
  int64_t blocks_of_maps() const { return (phases() * f_.maps + 15) / 16; }
  int64_t merged_floats(const Axes& axes, int64_t images) const {
    return images * blocks_of_maps() * axes.rows.count * axes.columns.count * 16;
  }
  RawWeights weights_of(const Desc& kernel) const {
    return raw_weights(f_, kernel.data<void>(), static_cast<int32_t>(kernel.type()), kernel.max(), kernel.rank());
  }
  int64_t weights_floats(const RawWeights& w) const {
    const Axes axes(f_, 1, 1, 1, 1);
    return blocks_of_maps() * ((w.channels + 15) / 16) * axes.rows.taps * axes.columns.taps * 16 * 16;
  }
  static int64_t place(const RawWeights& w, const Axes& axes, int64_t lane, int64_t channel, int64_t tap) {
    const int64_t block = lane / 16 * ((w.channels + 15) / 16) + channel / 16;
    return ((block * axes.rows.taps * axes.columns.taps + tap) * 16 + channel % 16) * 16 + lane % 16;
  }

  const MergedKernels& kernels_;
  const ConvolveFields f_;
};

// The functions of a row.
template <class Params, const MergedKernels& kernels>
struct MergedRowOf {
  static MergedRow row(const Params& params) { return {kernels, params.fields()}; }
  static const char* fits(const Params& params, const Descs& inputs, const Descs&) { return row(params).fits(inputs); }
  static void prepare(const Params& params, const Descs& inputs, const Descs&, const Emit& emit) {
    row(params).prepare(inputs, emit);
  }
  static uint64_t workspace(const Params& params, const Descs&, const Descs& outputs, int) {
    return row(params).workspace(outputs);
  }
  static int absorb(const Params& params, const Descs&, const Descs& outputs, const Epilogue& program) {
    return row(params).absorb(outputs, program);
  }
  static MergedState plan(const Params& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
    return row(params).plan(inputs, outputs, setup);
  }
  static void enqueue(const Params&, MergedState& state, const Run& run) { MergedRow::enqueue(state, run); }
};

DOVETAIL_CLOSE_NAMESPACE

#define DT_MERGED_ROW(isa, features, Params)                  \
  {.tactic = "merged_chw16_" #isa,                            \
   .needs = features,                                         \
   .types = "f32 f32 f32 -> f32",                             \
   .formats = "chw16 linear linear -> linear",                \
   .fits = MergedRowOf<Params, isa##_merged>::fits,           \
   .prepare = MergedRowOf<Params, isa##_merged>::prepare,     \
   .workspace = MergedRowOf<Params, isa##_merged>::workspace, \
   .enqueue = MergedRowOf<Params, isa##_merged>::enqueue,     \
   .absorb = MergedRowOf<Params, isa##_merged>::absorb,       \
   .replaces = inputs_bits(MergedRow::kKernel),               \
   .plan = MergedRowOf<Params, isa##_merged>::plan},
#define DOVETAIL_MERGED_ROWS(Params) DOVETAIL_EACH_ISA_WITH(DT_MERGED_ROW, Params)

#endif
