// SPDX-License-Identifier: Apache-2.0
// Rows of Convolution and Deconvolution on CUDA, which differ only in the direction of the gather. For rows files.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CUDA_ROWS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CUDA_ROWS_HPP

#include "dovetail/epilogue.hpp"
#include "kernels/convolve/cuda_args.hpp"
#include "kernels/convolve/geometry.hpp"

DOVETAIL_OPEN_NAMESPACE

// The properties of a row, as values, as in cpu_rows.hpp.
class CudaConvolveRow {
  static constexpr int64_t kLimit = (int64_t{1} << 31) - 1, kAxisLimit = int64_t{1} << 30;

 public:
  enum { kX, kKernel, kBias };
  CudaConvolveRow(const CudaConvolveKernel& kernel, const ConvolveFields& fields) : kernel_(kernel), f_(fields) {}

  const char* fits(const Descs& inputs, const Descs& outputs) const {
    const Desc x = inputs[kX], y = outputs[0];
    if (kernel_.is_hwc8 && f_.n_spatial != 2) return "channels last is for two spatial dims";
    if (x.rank() < f_.n_spatial + 1 || y.rank() != x.rank()) return "too few dims";
    if (f_.groups < 1) return "no group";
    const int64_t channels = x.max_extent(-1 - f_.n_spatial) / f_.groups, maps = f_.maps / f_.groups;
    const bool has_whole_chunks = f_.groups == 1 || (channels % 8 == 0 && maps % 8 == 0);
    if (kernel_.kind == CudaConvolveKind::direct) {
      const bool is_refused_by_tiles = kernel_.is_hwc8 && !has_whole_chunks;
      if (maps >= 8 && !is_refused_by_tiles) return "eight maps a group or more, for which there are tiles";
    } else {
      if (kernel_.is_hwc8 && !has_whole_chunks) return "groups are not whole chunks of 8 channels and maps";
      if (maps <= 2 && channels <= 2) return "two channels and maps a group or fewer";
    }
    Geometry g = geometry(weights_of(inputs[kKernel]), x.type(), x.max(), y.max(), x.rank());
    slice_of(&g);
    return nullptr;
  }

  int absorb(const Descs& outputs, const Epilogue& program) const {
    return outputs[0].rank() == f_.n_spatial + 2 ? absorbed(program, outputs[0]) : 0;
  }

  void prepare(const Descs& inputs, const Emit& emit) const {
    const Desc kernel = inputs[kKernel];
    if (kernel.data<void>() == nullptr) return;
    const RawWeights w = weights_of(kernel);
    const int64_t bytes = packed_bytes(w, inputs[kX].type());
    char* packed = emit.alloc<char>(static_cast<uint64_t>(bytes > 0 ? bytes : 1));
    each_packing(w, inputs[kX].type(), packed, [](const CudaPacking& p) {
      for (int64_t unit = 0; unit < packing_units(p); ++unit) pack_unit(p, unit);
    });
    emit(packed, static_cast<uint64_t>(bytes));
  }

  uint64_t workspace(const Descs& inputs) const {
    if (inputs[kKernel].is_constant()) return 0;
    return static_cast<uint64_t>(packed_bytes(weights_of(inputs[kKernel]), inputs[kX].type()));
  }

  void enqueue(const Run& run) const {
    const Tensor x = run.input(kX), kernel = run.input(kKernel), y = run.output(0);
    if (y.volume() == 0) return;
    if (x.rank() < f_.n_spatial + 1 || y.rank() != x.rank()) fail(DT_SHAPE, "x has rank %d, y %d", x.rank(), y.rank());
    require("images of y", y.volume(0, y.rank() - f_.n_spatial - 1), x.volume(0, x.rank() - f_.n_spatial - 1));
    const RawWeights w = weights_of(kernel.data<void>(), kernel.type(), kernel.dims(), kernel.rank());
    Geometry g = geometry(w, x.type(), x.dims(), y.dims(), x.rank());
    CudaConvolve& a = g.args;
    a.weights = run.packed();
    if (a.weights == nullptr) {
      if (static_cast<int64_t>(run.workspace_bytes()) < g.packed_bytes) {
        fail(DT_INTERNAL, "the workspace lacks room for %lld bytes of weights", static_cast<long long>(g.packed_bytes));
      }
      a.weights = run.workspace();
      each_packing(w, x.type(), run.workspace<char>(), [&](const CudaPacking& p) { cuda_convolve::pack(run, p); });
    } else if (static_cast<int64_t>(run.packed_bytes()) < g.packed_bytes) {
      fail(DT_PLAN_CORRUPT, "the packed kernel is too short");
    }
    a.scale = x.scale() * kernel.scale();
    if (run.has_input(kBias) && run.input(kBias).volume() > 0) {
      require("values of the bias", run.input(kBias).volume(), all_maps(w));
      a.bias = run.input(kBias).data<void>();
      a.bias_type = static_cast<int32_t>(run.input(kBias).type());
    }
    const int bytes_at_once = x.type() == DataType::kINT8 ? 8 : 16;
    a.is_x_aligned = is_aligned(bytes_at_once, x.data<void>()) && (kernel_.is_hwc8 || g.has_plain_rows);
    a.is_y_aligned = is_aligned(16, y.data<void>());
    EpilogueProgram program = epilogue_program(run);
    if (a.bias == nullptr) {
      const CudaBias bias = taken_bias(&program);
      a.bias = bias.data;
      a.bias_type = bias.type;
    }
    a.ending = ending_of(program);
    a.by_y_image = Divider(a.y_image > 0 ? a.y_image : 1, a.images * a.y_image);
    const int64_t slice = slice_of(&g), images = a.images;
    for (int64_t first = 0; first < images; first += slice) {
      a.images = static_cast<int32_t>(first + slice < images ? slice : images - first);
      a.first_image = first;
      a.x = x.data<const char>() + first * a.x_image * size_of(x.type());
      a.y = y.data<char>() + first * a.y_image * size_of(y.type());
      for (int64_t phase = 0; phase < convolve_phases(f_);) {
        const uint32_t blocks = fill_phases(&g, w, &phase);
        if (blocks > 0) kernel_.launch(run, a, blocks);
      }
    }
  }

 private:
  // Results of the extents, and running sums over the phases.
  struct Geometry {
    CudaConvolve args;
    int64_t in[3], out[3];
    int64_t packed_bytes;  // of all phases
    int64_t outputs;       // of the largest phase, in one image, as kernels count them
    int64_t next_weights;  // of the phase that comes next
    bool has_plain_rows;   // kernels of one element without steps: the pixels of an image are its elements
  };

  static int64_t rounded(int64_t n, int64_t by) { return (n + by - 1) / by * by; }

  static int32_t narrow(int64_t value, int64_t limit, const char* what) {
    if (value >= limit || value <= -limit) {
      unsupported("%s of %lld; CUDA kernels count in 32 bits", what, static_cast<long long>(value));
    }
    return static_cast<int32_t>(value);
  }

  bool is_direct() const { return kernel_.kind == CudaConvolveKind::direct; }
  int64_t all_maps(const RawWeights& w) const { return w.groups * w.maps; }

  // Channels from one tap to the next: full chunks of 8, unless these would be half empty.
  int64_t channel_step(const RawWeights& w) const {
    const int64_t full = rounded(w.channels, 8);
    if (is_direct() || (!kernel_.is_hwc8 && 2 * full > 3 * w.channels)) return w.channels;
    return full;
  }
  int64_t slab(DataType x_type) const {
    if (is_direct()) return 8;
    return kernel_.kind == CudaConvolveKind::ffma ? 16 : 64 / size_of(x_type);
  }
  int64_t map_tiles(const RawWeights& w) const { return is_direct() ? 1 : (w.maps + kernel_.maps - 1) / kernel_.maps; }

  RawWeights weights_of(const void* data, DataType type, const int64_t* dims, int rank) const {
    const RawWeights w = raw_weights(f_, data, static_cast<int32_t>(type), dims, rank);
    for (int i = 0; i < f_.n_spatial; ++i) {
      const int64_t given = dims[rank - 1 - i], wanted = f_.kernel[2 - i];
      if (given == wanted) continue;
      fail(DT_SHAPE, "the kernel has an extent of %lld, not %lld", static_cast<long long>(given),
           static_cast<long long>(wanted));
    }
    return w;
  }
  RawWeights weights_of(const Desc& kernel) const {
    return weights_of(kernel.data<void>(), kernel.type(), kernel.max(), kernel.rank());
  }

  static void require(const char* what, int64_t given, int64_t wanted) {
    if (given == wanted) return;
    fail(DT_SHAPE, "%s: %lld, where the kernel and x ask for %lld", what, static_cast<long long>(given),
         static_cast<long long>(wanted));
  }

  // How the weights of one phase are packed. Which taps are a phase's does not depend on
  // extents; see cpu_rows.hpp.
  CudaPacking packing(const RawWeights& w, const ConvolveAxis* axis, DataType x_type) const {
    CudaPacking p = {};
    p.from = w.data;
    p.from_type = w.type;
    if (is_direct()) {
      p.form = CudaWeightForm::rows;
      p.to_type = x_type == DataType::kINT8 ? DT_TYPE_INT32 : DT_TYPE_FLOAT;
    } else if (kernel_.kind == CudaConvolveKind::ffma) {
      p.form = CudaWeightForm::tiles_k;
      p.to_type = DT_TYPE_FLOAT;
    } else {
      p.form = CudaWeightForm::tiles_map;
      p.to_type = static_cast<int32_t>(x_type);
    }
    p.groups = w.groups;
    p.channels = w.channels;
    p.maps = w.maps;
    p.group_step = w.group_step;
    p.channel_step = w.channel_step;
    p.map_step = w.map_step;
    for (int i = 0; i < 3; ++i) {
      p.extent[i] = w.extent[i];
      p.taps[i] = axis[i].taps;
      p.tap_first[i] = axis[i].tap_first;
      p.tap_step[i] = axis[i].tap_step;
    }
    p.k_step = channel_step(w);
    p.map_tile = is_direct() ? rounded(all_maps(w), 8) : kernel_.maps;
    p.slab = slab(x_type);
    p.map_tiles = map_tiles(w);
    p.slabs = (n_taps(axis) * p.k_step + p.slab - 1) / p.slab;
    return p;
  }
  static int64_t bytes_of(const CudaPacking& p) {
    return rounded(packed_elements(p) * size_of(static_cast<DataType>(p.to_type)), 256);
  }
  template <class Body>
  void each_packing(const RawWeights& w, DataType x_type, char* to, const Body& body) const {
    const int64_t any[3] = {1, 1, 1};
    ConvolveArgs args = {};
    for (int64_t phase = 0; phase < convolve_phases(f_); ++phase) {
      set_phase(f_, any, any, phase, &args);
      CudaPacking p = packing(w, args.axis, x_type);
      p.to = to;
      body(p);
      to += bytes_of(p);
    }
  }
  int64_t packed_bytes(const RawWeights& w, DataType x_type) const {
    int64_t bytes = 0;
    each_packing(w, x_type, nullptr, [&](const CudaPacking& p) { bytes += bytes_of(p); });
    return bytes;
  }

  // Everything except pointers and phases. Throws if a number is too large.
  Geometry geometry(const RawWeights& w, DataType x_type, const int64_t* x, const int64_t* y, int rank) const {
    Geometry g = {};
    CudaConvolve& a = g.args;
    spatial_extents(x, rank, f_.n_spatial, g.in);
    spatial_extents(y, rank, f_.n_spatial, g.out);
    int64_t images = 1;
    for (int i = 0; i < rank - f_.n_spatial - 1; ++i) images *= x[i];
    const int64_t x_channels = w.groups * w.channels, y_channels = all_maps(w);
    require("channels of x", x[rank - f_.n_spatial - 1], x_channels);
    require("channels of y", y[rank - f_.n_spatial - 1], y_channels);
    a.images = narrow(images, kLimit, "a batch");
    a.groups = narrow(w.groups, kAxisLimit, "a number of groups");
    a.channels = narrow(w.channels, kAxisLimit, "a number of channels");
    a.maps = narrow(w.maps, kAxisLimit, "a number of maps");
    a.x_type = static_cast<int32_t>(x_type);
    a.x_stored = narrow(kernel_.is_hwc8 ? rounded(x_channels, 8) : x_channels, kAxisLimit, "a number of channels");
    a.y_stored = narrow(kernel_.is_hwc8 ? rounded(y_channels, 8) : y_channels, kAxisLimit, "a number of maps");
    a.channel_step = narrow(channel_step(w), kAxisLimit, "a number of channels");
    a.x_plane = g.in[0] * g.in[1] * g.in[2];
    a.y_plane = g.out[0] * g.out[1] * g.out[2];
    narrow(a.x_plane, kLimit, "an image");
    narrow(a.y_plane, kLimit, "an output image");
    a.x_image = a.x_plane * a.x_stored;
    a.y_image = a.y_plane * a.y_stored;
    a.by_channel_step = Divisor(a.channel_step > 0 ? a.channel_step : 1);
    a.by_map_tiles = Divisor(map_tiles(w));
    a.by_groups = Divisor(is_direct() ? 1 : w.groups);
    a.by_maps = Divisor(w.maps);
    a.by_all_maps = Divisor(kernel_.is_hwc8 ? a.y_stored / 8 : y_channels);
    g.has_plain_rows = kernel_.kind == CudaConvolveKind::ffma && a.x_plane % 4 == 0;
    ConvolveArgs args = {};
    for (int64_t phase = 0; phase < convolve_phases(f_); ++phase) {
      set_phase(f_, g.in, g.out, phase, &args);
      int64_t step = 1, reach = 0;
      for (int i = 2; i >= 0; --i) {
        const ConvolveAxis& axis = args.axis[i];
        a.in[i] = narrow(axis.in, kAxisLimit, "an extent");
        a.out[i] = narrow(axis.out, kAxisLimit, "an output extent");
        a.in_step[i] = narrow(axis.in_step, kAxisLimit, "a stride");
        a.off_step[i] = narrow(axis.off_step, kAxisLimit, "a dilation");
        a.out_step[i] = narrow(axis.out_step, kAxisLimit, "a stride");
        narrow(axis.taps, kAxisLimit, "a kernel");
        narrow(axis.off_first, kAxisLimit / 2, "a padding");
        const int64_t covered = axis.taps * (axis.off_step < 0 ? -axis.off_step : axis.off_step);
        narrow(axis.count * axis.in_step + covered, kAxisLimit / 2, "a padded extent");
        reach += covered * step;
        step *= axis.in > 0 ? axis.in : 1;
        g.has_plain_rows &= axis.taps == 1 && axis.off_first == 0 && axis.in_step == 1 && axis.count == axis.in;
      }
      narrow(reach, kLimit, "the reach of a kernel");
      narrow(n_taps(args.axis) * (a.channel_step + 8), kAxisLimit, "a number of products");
      const int64_t outputs =
          args.axis[0].count * args.axis[1].count * args.axis[2].count * (is_direct() ? a.by_all_maps.divisor : 1);
      if (outputs > g.outputs) g.outputs = outputs;
      g.packed_bytes += bytes_of(packing(w, args.axis, x_type));
    }
    return g;
  }

  // Images of one launch: pixels and blocks are numbers below 2^31.
  int64_t slice_of(Geometry* g) const {
    const CudaConvolve& a = g->args;
    const int64_t tiles = int64_t{a.by_map_tiles.divisor} * a.by_groups.divisor;
    int64_t slice = a.images;
    const auto is_too_much = [&] {
      const int64_t blocks = slice * g->outputs / kernel_.pixels + 1;
      return slice * g->outputs > kLimit - 256 || blocks * kCudaPhases > kLimit / tiles;
    };
    while (slice > 1 && is_too_much()) slice = (slice + 1) / 2;
    if (is_too_much())
      unsupported("%lld outputs in one image; CUDA kernels count in 32 bits", static_cast<long long>(g->outputs));
    return slice;
  }

  // The next phases, from *phase on, as many as one launch takes; the blocks for them.
  uint32_t fill_phases(Geometry* g, const RawWeights& w, int64_t* phase) const {
    CudaConvolve& a = g->args;
    ConvolveArgs args = {};
    int64_t blocks = 0;
    if (*phase == 0) g->next_weights = 0;
    a.n_phases = 0;
    for (; *phase < convolve_phases(f_) && a.n_phases < kCudaPhases; ++*phase) {
      set_phase(f_, g->in, g->out, *phase, &args);
      const CudaPacking p = packing(w, args.axis, static_cast<DataType>(a.x_type));
      CudaPhase& to = a.phases[a.n_phases];
      to.weights = g->next_weights;
      g->next_weights += bytes_of(p);
      const int64_t outputs = args.axis[0].count * args.axis[1].count * args.axis[2].count;
      if (outputs == 0) continue;
      for (int i = 0; i < 3; ++i) {
        const ConvolveAxis& axis = args.axis[i];
        to.count[i] = static_cast<int32_t>(axis.count);
        to.out_first[i] = static_cast<int32_t>(axis.out_first);
        to.taps[i] = static_cast<int32_t>(axis.taps);
        to.off_first[i] = static_cast<int32_t>(axis.off_first);
        to.by_count[i] = Divisor(axis.count);
        to.by_taps[i] = Divisor(axis.taps > 0 ? axis.taps : 1);
      }
      to.slabs = static_cast<int32_t>(p.slabs);
      const int64_t pixels = a.images * outputs * (is_direct() ? a.by_all_maps.divisor : 1);
      to.pixels = static_cast<uint32_t>(pixels);
      to.first_block = static_cast<uint32_t>(blocks);
      blocks += (pixels + kernel_.pixels - 1) / kernel_.pixels * a.by_map_tiles.divisor * a.by_groups.divisor;
      ++a.n_phases;
    }
    return static_cast<uint32_t>(blocks);
  }

  const CudaConvolveKernel& kernel_;
  const ConvolveFields f_;
};

// The functions of a row.
template <class Params, bool is_transposed, const CudaConvolveKernel& kernel>
struct CudaConvolveRowOf {
  static CudaConvolveRow row(const Params& params) { return {kernel, convolve_fields(params, is_transposed)}; }
  static const char* fits(const Params& params, const Descs& inputs, const Descs& outputs) {
    return row(params).fits(inputs, outputs);
  }
  static void prepare(const Params& params, const Descs& inputs, const Descs&, const Emit& emit) {
    row(params).prepare(inputs, emit);
  }
  static uint64_t workspace(const Params& params, const Descs& inputs, const Descs&, int) {
    return row(params).workspace(inputs);
  }
  static int absorb(const Params& params, const Descs&, const Descs& outputs, const Epilogue& program) {
    return row(params).absorb(outputs, program);
  }
  static void enqueue(const Params& params, const Run& run) { row(params).enqueue(run); }

  static constexpr Row<Params> table(const char* tactic, const char* types, const char* formats) {
    Row<Params> row;
    row.tactic = tactic;
    row.needs = sm(80);
    row.types = types;
    row.formats = formats;
    row.fits = fits;
    row.prepare = prepare;
    row.workspace = workspace;
    row.replaces = inputs_bits(CudaConvolveRow::kKernel);
    row.enqueue = enqueue;
    row.absorb = absorb;
    row.traits = kCaptureSafe;
    return row;
  }
};

namespace cuda_convolve {

#define DT_KERNELS(types, pixels, maps)                                                                          \
  inline constexpr CudaConvolveKernel k_##types##_linear_##pixels##x##maps = {kind, false, pixels, maps,         \
                                                                              types##_linear_##pixels##x##maps}; \
  inline constexpr CudaConvolveKernel k_##types##_hwc8_##pixels##x##maps = {kind, true, pixels, maps,            \
                                                                            types##_hwc8_##pixels##x##maps};
namespace ffma {
constexpr CudaConvolveKind kind = CudaConvolveKind::ffma;
DOVETAIL_CUDA_CONVOLVE_TILES(DT_KERNELS, f32)
}  // namespace ffma
namespace mma {
constexpr CudaConvolveKind kind = CudaConvolveKind::mma;
DOVETAIL_CUDA_CONVOLVE_TILES(DT_KERNELS, halves)
DOVETAIL_CUDA_CONVOLVE_TILES(DT_KERNELS, int8)
}  // namespace mma
#undef DT_KERNELS
using namespace ffma;
using namespace mma;
inline constexpr CudaConvolveKernel k_direct = {CudaConvolveKind::direct, false, 256, 1, direct};
inline constexpr CudaConvolveKernel k_direct_hwc8 = {CudaConvolveKind::direct, true, 256, 8, direct_hwc8};

// Weights and bias are float32 or of x's type, as on the CPU.
constexpr const char* kFloat32 = "f32 f32 f32 -> f32";
constexpr const char* kHalves = "f16|bf16|f16|bf16 f16|bf16|f32|f32 f16|bf16|f32|f32 -> f16|bf16|f16|bf16";
constexpr const char* kInt8 = "i8 i8 f32 -> f32";
constexpr const char* kLinear = "linear";
constexpr const char* kHwc8 = "hwc8 linear linear -> hwc8";

}  // namespace cuda_convolve

DOVETAIL_CLOSE_NAMESPACE

// The rows of a layer, best first: those that fit few shapes, then the tile that serves most.
#define DOVETAIL_CUDA_CONVOLVE_ROWS(Params, is_transposed)                                            \
  DT_CUDA_FAMILY(Params, is_transposed, "gemm", "rows", f32, cuda_convolve::kFloat32)                 \
  DT_CUDA_FAMILY(Params, is_transposed, "gemm_halves", "rows_halves", halves, cuda_convolve::kHalves) \
  DT_CUDA_FAMILY(Params, is_transposed, "int8", "int8_rows", int8, cuda_convolve::kInt8)
#define DT_CUDA_FAMILY(Params, is_transposed, gemm, rows, family, types)                     \
  DT_CUDA_ROW(Params, is_transposed, rows, direct, types, cuda_convolve::kLinear)            \
  DT_CUDA_ROW(Params, is_transposed, rows "_hwc8", direct_hwc8, types, cuda_convolve::kHwc8) \
  DT_CUDA_TILE(Params, is_transposed, gemm, family, types, 128x64)                           \
  DT_CUDA_TILE(Params, is_transposed, gemm, family, types, 128x128)                          \
  DT_CUDA_TILE(Params, is_transposed, gemm, family, types, 64x64)                            \
  DT_CUDA_TILE(Params, is_transposed, gemm, family, types, 64x32)
#define DT_CUDA_TILE(Params, is_transposed, gemm, family, types, size)                                      \
  DT_CUDA_ROW(Params, is_transposed, gemm "_" #size, family##_linear_##size, types, cuda_convolve::kLinear) \
  DT_CUDA_ROW(Params, is_transposed, gemm "_" #size "_hwc8", family##_hwc8_##size, types, cuda_convolve::kHwc8)
#define DT_CUDA_ROW(Params, is_transposed, tactic, kernel, types, formats) \
  CudaConvolveRowOf<Params, is_transposed, cuda_convolve::k_##kernel>::table(tactic, types, formats),

#endif
