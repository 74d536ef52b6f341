// SPDX-License-Identifier: Apache-2.0
// Rows of Convolution and Deconvolution by Winograd's algorithm, CHW16 to CHW16: tiles of 2x2, 4x4 and 6x6 outputs of 3x3
// kernels, of 3x3 and 5x5 outputs of 2x2 kernels, as each phase of a transposed convolution has with 4x4 and stride 2.
// For rows files.
#ifndef DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_ROWS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_ROWS_HPP

#include <vector>

#include "dovetail/epilogue.hpp"
#include "kernels/convolve/merged_phases.hpp"
#include "kernels/convolve/winograd_args.hpp"
#include "kernels/convolve/winograd_cost.hpp"
#include "kernels/layout/shares.hpp"

DOVETAIL_OPEN_NAMESPACE

// The kernels of one instruction set.
struct WinogradKernels {
  void (*transform)(const WinogradArgs& args, int64_t group, int64_t first, int64_t n, int64_t first_block,
                    int64_t last_block);
  void (*multiply)(const WinogradArgs& args, int64_t group, int64_t first, int64_t n, int64_t first_panel,
                   int64_t last_panel);
  void (*pack)(const float* kernel, int64_t maps, int64_t channels, int pairs, int taps, float* to);
  int64_t panel;
};

#define DT_WINOGRAD_KERNELS(isa, needs)                                                               \
  inline constexpr WinogradKernels isa##_winograd = {isa::winograd_transform, isa::winograd_multiply, \
                                                     isa::winograd_pack, isa::kWinogradPanel};
DOVETAIL_EACH_ISA(DT_WINOGRAD_KERNELS)
#undef DT_WINOGRAD_KERNELS

// What a row knows of a context with these extents.
struct WinogradState {
  const WinogradKernels* kernels = nullptr;
  WinogradArgs args = {};
  int64_t tiles = 0;  // of a group
  // Tiles are cut for the threads; or, where they are few, the blocks of channels and then the panels of maps, so that
  // not every thread reads all weights.
  bool by_maps = false;
  Pieces tile_pieces, block_pieces, panel_pieces;
  int64_t tile_grain = 0, block_grain = 0;  // that a thread takes at least
  int64_t products_at = 0, slot = 0;        // in floats: of the first piece, and of the next one
  EpilogueProgram epilogue = {};
};

class WinogradRow {
 public:
  enum { kX, kKernel, kBias };
  // m: outputs of a tile on an axis
  WinogradRow(const WinogradKernels& kernels, int m, int taps, const ConvolveFields& fields)
      : kernels_(kernels), pairs_((m + taps - 3) / 2), taps_(taps), f_(fields) {}

  const char* fits(const Descs& inputs, const Descs& outputs) const {
    if (f_.n_spatial != 2) return "blocks of 16 channels are for two spatial dims";
    for (int i = 1; i < 3; ++i) {
      if (winograd_taps(f_, i) == taps_) continue;
      if (!f_.is_transposed) return "the kernel is not 3x3 with stride 1";
      unsupported("the kernel is not %d times as long as the stride, or that is above %d, or there is a dilation",
                  taps_, kMergedStride);
    }
    if (!inputs[kKernel].is_constant()) return "the kernel is not constant: it would be transformed in each run";
    const int64_t channels = f_.is_transposed ? inputs[kKernel].extent(0) / f_.groups : inputs[kKernel].extent(1);
    const int64_t maps = f_.maps / f_.groups;
    if (f_.groups != 1 && (channels % 16 != 0 || maps % 16 != 0))
      return "groups are not whole blocks of 16 channels and maps";
    const int64_t height = extent(outputs[0], 1), width = extent(outputs[0], 2);
    return winograd_refusal({channels, maps, height, width, images(outputs[0]), taps_, n_phases(), covered(1, height),
                             covered(2, width), dilation(1), dilation(2)},
                            pairs_);
  }

  int absorb(const Descs& outputs, const Epilogue& program) const {
    return outputs[0].rank() == 4 ? absorbed(program, outputs[0]) : 0;
  }

  void prepare(const Descs& inputs, const Emit& emit) const {
    const Desc kernel = inputs[kKernel];
    const float* data = kernel.data<float>();
    if (data == nullptr) return;
    const RawWeights w = weights_of(kernel);
    float* const packed = emit.alloc<float>(static_cast<uint64_t>(w.groups * group_weights(w)));
    if (f_.is_transposed) {
      pack_phases(w, packed);
    } else {
      for (int64_t g = 0; g < w.groups; ++g)
        kernels_.pack(data + g * w.group_step, w.maps, w.channels, pairs_, taps_, packed + g * group_weights(w));
    }
    emit.give(packed, static_cast<uint64_t>(w.groups * group_weights(w)) * 4);
  }

  // Enough for all extents up to these: with fewer tiles another cut may need more.
  uint64_t workspace(const Descs& inputs, const Descs& outputs, int n_threads) const {
    if (n_threads < 1) n_threads = 1;
    const RawWeights w = weights_of(inputs[kKernel]);
    const int64_t tiles = tiles_of(outputs[0].max(), outputs[0].rank());
    const int64_t shared = tiles < most_shared(w) ? tiles : most_shared(w);
    const int64_t block = tiles < most_of_piece(w) ? tiles : most_of_piece(w);
    const int64_t floats_of_maps = floats(w, shared) + (n_threads - 1) * product_floats(shared);
    const int64_t floats_of_tiles = n_threads * floats(w, block);
    return static_cast<uint64_t>(floats_of_maps > floats_of_tiles ? floats_of_maps : floats_of_tiles) * 4;
  }

  WinogradState plan(const Descs& inputs, const Descs& outputs, const RunSetup& setup) const {
    const Desc x = inputs[kX], y = outputs[0];
    WinogradState state;
    state.kernels = &kernels_;
    if (y.max_volume() == 0) return state;
    const RawWeights w = weights_of(inputs[kKernel]);
    state.epilogue = planned_epilogue(setup.epilogue(), y);
    ConvolveArgs& of = state.args.of;
    of.images = detail::volume(x.max(), x.rank() - 3);
    of.groups = w.groups;
    of.channels = w.channels;
    of.maps = w.maps;
    int64_t x_extents[3], y_extents[3];
    spatial_extents(x.max(), x.rank(), 2, x_extents);
    spatial_extents(y.max(), y.rank(), 2, y_extents);
    state.args.pairs = pairs_;
    state.args.taps = taps_;
    for (int i = 1; i < 3; ++i) {
      state.args.phases[i - 1] = merged_phases(f_, i);
      of.axis[i] = merged_axis(f_, i, x_extents[i], y_extents[i], state.args.phase[i - 1]);
    }
    state.args.tiles_h = tiles_over(1, of.axis[1].count);
    state.args.tiles_w = tiles_over(2, of.axis[2].count);
    state.tiles = of.images * state.args.tiles_h * state.args.tiles_w;
    divide(w, setup.n_threads(), &state);
    state.args.input_pitch = pitch((w.channels + 15) / 16, state.args.block);
    state.args.product_pitch = pitch(kernels_.panel / 16, state.args.block);
    if (setup.packed_bytes() < static_cast<uint64_t>(w.groups * group_weights(w)) * 4)
      fail(DT_PLAN_CORRUPT, "the packed kernel is too short");
    const int64_t slots = state.by_maps ? state.panel_pieces.count : state.tile_pieces.count;
    if (setup.workspace_bytes() < static_cast<uint64_t>(state.products_at + slots * state.slot) * 4)
      fail(DT_PLAN_CORRUPT, "a workspace of %llu bytes ends too early",
           static_cast<unsigned long long>(setup.workspace_bytes()));
    return state;
  }

  static void enqueue(WinogradState& state, const Run& run) {
    if (state.tiles == 0) return;
    ConvolveArgs& of = state.args.of;
    of.x = run.input(kX).data<void>();
    of.y = run.output(0).data<void>();
    of.weights = run.packed();
    of.bias = run.has_input(kBias) ? run.input(kBias).data<const float>() : nullptr;
    set_operands(run, &state.epilogue);
    of.epilogue = state.epilogue.n_steps > 0 ? &state.epilogue : nullptr;
    if (state.by_maps) {
      run_by_maps(state, run);
    } else {
      run_by_tiles(state, run);
    }
  }

 private:
  static constexpr int64_t kLeastTiles = 14;
  static int64_t extent(const Desc& y, int axis) { return y.extent(y.rank() - 3 + axis); }
  static int64_t images(const Desc& y) {
    int64_t n = 1;
    for (int i = 0; i < y.rank() - 3; ++i) n = y.extent(i) < 0 || n < 0 ? -1 : n * y.extent(i);
    return n;
  }
  RawWeights weights_of(const Desc& kernel) const {
    return raw_weights(f_, kernel.data<void>(), static_cast<int32_t>(kernel.type()), kernel.max(), kernel.rank());
  }
  int positions() const { return (2 * pairs_ + 2) * (2 * pairs_ + 2); }
  int64_t n_phases() const { return merged_phases(f_, 1) * merged_phases(f_, 2); }
  int64_t phase_panels(const RawWeights& w) const { return (w.maps + kernels_.panel - 1) / kernels_.panel; }
  int64_t panels(const RawWeights& w) const { return n_phases() * phase_panels(w); }
  int64_t group_weights(const RawWeights& w) const { return panels(w) * positions() * w.channels * kernels_.panel; }
  // Outputs that tiles have to cover on axis i; -1 if its extent is not known.
  int64_t covered(int i, int64_t out) const {
    MergedPhase phase[kMergedStride];
    return out < 0 ? -1 : merged_axis(f_, i, out, out, phase).count;
  }
  int64_t dilation(int i) const { return f_.is_transposed ? 1 : f_.dilation[i]; }
  int64_t tiles_over(int i, int64_t outputs) const {
    return winograd_tiles(outputs, dilation(i), 2 * pairs_ + 3 - taps_);
  }
  int64_t tiles_of(const int64_t* y, int rank) const {
    return detail::volume(y, rank - 3) * tiles_over(1, covered(1, y[rank - 2])) *
           tiles_over(2, covered(2, y[rank - 1]));
  }

  void pack_phases(const RawWeights& w, float* to) const {
    std::vector<float> kernel(static_cast<size_t>(w.maps * w.channels * taps_ * taps_));
    const int64_t any = 1, phase_weights = group_weights(w) / n_phases();  // phases do not depend on extents
    for (int64_t g = 0; g < w.groups; ++g) {
      for (int64_t p = 0; p < n_phases(); ++p, to += phase_weights) {
        const int columns = merged_phases(f_, 2);
        kernel_of_phase(w, convolve_axis(f_, 1, any, any, p / columns), convolve_axis(f_, 2, any, any, p % columns), g,
                        kernel.data());
        kernels_.pack(kernel.data(), w.maps, w.channels, pairs_, taps_, to);
      }
    }
  }

  // Distance of two positions, in floats: a line more than they fill, since powers of two would meet in one set of a
  // cache.
  static int64_t pitch(int64_t blocks, int64_t tiles) { return blocks * tiles * 16 + 16; }
  int64_t input_floats(const RawWeights& w, int64_t block) const {
    return positions() * pitch((w.channels + 15) / 16, block);
  }
  int64_t product_floats(int64_t block) const { return positions() * pitch(kernels_.panel / 16, block); }
  int64_t floats(const RawWeights& w, int64_t block) const { return input_floats(w, block) + product_floats(block); }
  // Tiles whose transforms and products are `bytes`.
  int64_t tiles_in(const RawWeights& w, int64_t bytes) const {
    const int64_t n = bytes / 4 / (floats(w, 1) - floats(w, 0));
    return n > 0 ? n : 1;
  }
  // Three quarters of a level-2 cache of 1 MiB: the rest is for weights, inputs and outputs on their way.
  int64_t most_of_piece(const RawWeights& w) const { return tiles_in(w, 768 * 1024); }
  // Read by all threads: more than the level-2 cache of one of them costs less than reading weights twice.
  int64_t most_shared(const RawWeights& w) const { return tiles_in(w, 1536 * 1024); }

  void divide(const RawWeights& w, int n_threads, WinogradState* state) const {
    const double operations_of_tile = static_cast<double>(positions()) * static_cast<double>(w.channels * w.maps);
    const Pieces by_panel =
        cut(panels(w), operations_of_tile * static_cast<double>(state->tiles) / static_cast<double>(panels(w)), 1,
            n_threads);
    // Panels are not split: a thread that has one more than the others makes them wait.
    const bool is_even = 5 * panels(w) >= 4 * by_panel.each * by_panel.count;
    // By maps all threads read all transformed inputs, by tiles all weights, with a tenth of the effort: they come in order
    // and are read ahead. Measured with AVX-512 and two threads from 3 to 60 times as many weights.
    const bool has_more_weights = panels(w) * kernels_.panel > 10 * state->tiles;
    state->by_maps =
        w.groups == 1 && by_panel.count > 1 && is_even && has_more_weights && state->tiles <= most_shared(w);
    if (state->by_maps) {
      const int64_t blocks = (w.channels + 15) / 16;
      const double values = static_cast<double>(positions() * state->tiles) * 16;
      state->args.block = state->tiles;
      state->block_pieces = cut(blocks, values, 1, n_threads);
      state->block_grain = grain_of(state->block_pieces, values * 13);
      state->panel_pieces = by_panel;
      state->products_at = input_floats(w, state->tiles);
      state->slot = product_floats(state->tiles);
      return;
    }
    state->tile_pieces = cut(w.groups * state->tiles, operations_of_tile, 1, n_threads);
    const int64_t of_piece = state->tile_pieces.each < state->tiles ? state->tile_pieces.each : state->tiles;
    const int64_t n_blocks = (of_piece + most_of_piece(w) - 1) / most_of_piece(w);
    state->args.block = (of_piece + n_blocks - 1) / n_blocks;
    state->slot = floats(w, state->args.block);
    // Each part reads all weights of the group: it has as many tiles as registers hold products of, or more.
    state->tile_grain = grain_of(state->tile_pieces, 2 * operations_of_tile);
    if (state->tile_grain < kLeastTiles) state->tile_grain = kLeastTiles;
  }

  static void run_by_maps(const WinogradState& state, const Run& run) {
    WinogradArgs args = state.args;
    args.inputs = run.workspace<float>();
    run_shares(run, state.block_pieces, state.block_grain, [&](int32_t, int64_t first, int64_t last) {
      state.kernels->transform(args, 0, 0, state.tiles, first, last);
    });
    run_shares(run, state.panel_pieces, 1, [&](int32_t piece, int64_t first, int64_t last) {
      WinogradArgs own = args;
      own.products = args.inputs + state.products_at + piece * state.slot;
      state.kernels->multiply(own, 0, 0, state.tiles, first, last);
    });
  }

  static void run_by_tiles(const WinogradState& state, const Run& run) {
    const int64_t blocks = (state.args.of.channels + 15) / 16;
    const int64_t n_phases = state.args.phases[0] * state.args.phases[1], t = 2 * state.args.pairs + 2;
    const int64_t panels = (state.args.of.maps + state.kernels->panel - 1) / state.kernels->panel * n_phases;
    run_shares(run, state.tile_pieces, state.tile_grain, [&](int32_t piece, int64_t first, int64_t last) {
      WinogradArgs own = state.args;
      own.inputs = run.workspace<float>() + piece * state.slot;
      own.products = own.inputs + t * t * own.input_pitch;
      for (int64_t at = first, n; at < last; at += n) {
        const int64_t group = at / state.tiles, tile = at % state.tiles;
        n = last - at < own.block ? last - at : own.block;
        if (n > state.tiles - tile) n = state.tiles - tile;
        state.kernels->transform(own, group, tile, n, 0, blocks);
        state.kernels->multiply(own, group, tile, n, 0, panels);
      }
    });
  }

  const WinogradKernels& kernels_;
  const int pairs_, taps_;
  const ConvolveFields f_;
};

// The functions of a row.
template <class Params, const WinogradKernels& kernels, int m, int taps>
struct WinogradRowOf {
  static WinogradRow row(const Params& params) { return {kernels, m, taps, params.fields()}; }
  static const char* fits(const Params& params, const Descs& inputs, const Descs& outputs) {
    return row(params).fits(inputs, outputs);
  }
  static void prepare(const Params& params, const Descs& inputs, const Descs&, const Emit& emit) {
    row(params).prepare(inputs, emit);
  }
  static uint64_t workspace(const Params& params, const Descs& inputs, const Descs& outputs, int n_threads) {
    return row(params).workspace(inputs, outputs, n_threads);
  }
  static int absorb(const Params& params, const Descs&, const Descs& outputs, const Epilogue& program) {
    return row(params).absorb(outputs, program);
  }
  static WinogradState plan(const Params& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
    return row(params).plan(inputs, outputs, setup);
  }
  static void enqueue(const Params&, WinogradState& state, const Run& run) { WinogradRow::enqueue(state, run); }
};

DOVETAIL_CLOSE_NAMESPACE

#define DT_WINOGRAD_ROW(Params, m, taps, isa, features)                    \
  {.tactic = "winograd" #m "_chw16_" #isa,                                 \
   .needs = features,                                                      \
   .types = "f32 f32 f32 -> f32",                                          \
   .formats = "chw16 linear linear -> chw16",                              \
   .fits = WinogradRowOf<Params, isa##_winograd, m, taps>::fits,           \
   .prepare = WinogradRowOf<Params, isa##_winograd, m, taps>::prepare,     \
   .workspace = WinogradRowOf<Params, isa##_winograd, m, taps>::workspace, \
   .enqueue = WinogradRowOf<Params, isa##_winograd, m, taps>::enqueue,     \
   .traits = kWinograd,                                                    \
   .absorb = WinogradRowOf<Params, isa##_winograd, m, taps>::absorb,       \
   .replaces = inputs_bits(WinogradRow::kKernel),                          \
   .plan = WinogradRowOf<Params, isa##_winograd, m, taps>::plan},
#define DT_WINOGRAD_ROWS(isa, features, Params) \
  DT_WINOGRAD_ROW(Params, 4, 3, isa, features)  \
  DT_WINOGRAD_ROW(Params, 6, 3, isa, features)  \
  DT_WINOGRAD_ROW(Params, 2, 3, isa, features)
#define DT_WINOGRAD_ROWS_OF_TWO_TAPS(isa, features, Params) \
  DT_WINOGRAD_ROW(Params, 3, 2, isa, features)              \
  DT_WINOGRAD_ROW(Params, 5, 2, isa, features)
#define DOVETAIL_WINOGRAD_ROWS(Params) DOVETAIL_EACH_ISA_WITH(DT_WINOGRAD_ROWS, Params)
#define DOVETAIL_WINOGRAD_ROWS_OF_TWO_TAPS(Params) DOVETAIL_EACH_ISA_WITH(DT_WINOGRAD_ROWS_OF_TWO_TAPS, Params)

#endif
