// SPDX-License-Identifier: Apache-2.0
// Rows of matrix products on CUDA; the kernels take the groups of args.hpp. For rows files.
#ifndef DOVETAIL_KERNELS_GEMM_CUDA_ROWS_HPP
#define DOVETAIL_KERNELS_GEMM_CUDA_ROWS_HPP

#include "dovetail/cuda.hpp"
#include "dovetail/epilogue.hpp"
#include "kernels/cuda/ending.hpp"
#include "kernels/gemm/axes.hpp"

DOVETAIL_OPEN_NAMESPACE

// The parameter of every kernel.
struct CudaGemm : GemmArgs {
  int64_t m_tiles, n_tiles;
  bool a_in_pieces, b_in_pieces;  // 8 neighbours in k can be copied at once (kernels of halves)
  bool y_in_pairs;                // 2 neighbours in n can be stored at once
  CudaEnding ending;              // what to compute on y; of integers nothing
  Divider by_channels;            // an element of y, its channel being the rest
};

struct CudaGemmKernel {
  int32_t rows, columns;  // of a block's tile; 0: one output a thread (columns 0) or a warp (columns 1)
  void (*launch)(const Run& run, const CudaGemm& args, uint32_t blocks);
  bool copies_pieces = false;  // of 8 neighbours in k, which a constant b has once it is turned
};

// Defined in the cuda_*.cu files beside this one.
namespace cuda_gemm {
void f32_128x128(const Run& run, const CudaGemm& args, uint32_t blocks);
void f32_64x64(const Run& run, const CudaGemm& args, uint32_t blocks);
void f32_32x32(const Run& run, const CudaGemm& args, uint32_t blocks);
void halves_128x128(const Run& run, const CudaGemm& args, uint32_t blocks);
void halves_64x64(const Run& run, const CudaGemm& args, uint32_t blocks);
void halves_32x32(const Run& run, const CudaGemm& args, uint32_t blocks);
void threads(const Run& run, const CudaGemm& args, uint32_t blocks);
void warps(const Run& run, const CudaGemm& args, uint32_t blocks);

inline constexpr CudaGemmKernel k_f32_128x128 = {128, 128, f32_128x128};
inline constexpr CudaGemmKernel k_f32_64x64 = {64, 64, f32_64x64};
inline constexpr CudaGemmKernel k_f32_32x32 = {32, 32, f32_32x32};
inline constexpr CudaGemmKernel k_halves_128x128 = {128, 128, halves_128x128, true};
inline constexpr CudaGemmKernel k_halves_64x64 = {64, 64, halves_64x64, true};
inline constexpr CudaGemmKernel k_halves_32x32 = {32, 32, halves_32x32, true};
inline constexpr CudaGemmKernel k_threads = {0, 0, threads};
inline constexpr CudaGemmKernel k_warps = {0, 1, warps};

constexpr int64_t kMostBlocks = (int64_t{1} << 31) - 1;

// Blocks of the grid; kernels without tiles go round.
inline int64_t blocks_of(const CudaGemmKernel& kernel, const GemmArgs& args) {
  const int64_t outputs = args.batch.n * args.m.n * args.n.n;
  if (kernel.rows == 0) return blocks_for(kernel.columns == 0 ? outputs : outputs * 32);
  return args.batch.n * divide_up(args.m.n, kernel.rows) * divide_up(args.n.n, kernel.columns);
}

// Is k whole pieces of 8 neighbours, and are all other strides multiples of 8?
inline bool in_pieces(const GemmArgs& args, const GemmGroup& index, int t, const void* data) {
  if (args.k.n % 8 != 0 || !DT_ISA::gemm_is_unit(args.k, t) || !is_aligned(16, data)) return false;
  for (const GemmGroup* g : {&args.batch, &index}) {
    for (int i = 0; i < g->rank; ++i) {
      if (g->stride[t][i] % 8 != 0) return false;
    }
  }
  return true;
}

inline bool in_pairs(const GemmArgs& args) {
  if (!DT_ISA::gemm_is_unit(args.n, kGemmY) || !is_aligned(4, args.y)) return false;
  for (const GemmGroup* g : {&args.batch, &args.m}) {
    for (int i = 0; i < g->rank; ++i) {
      if (g->stride[kGemmY][i] % 2 != 0) return false;
    }
  }
  return true;
}

// Lets b lie with its summed axes innermost. False if it does already, or if these are not whole pieces.
inline bool turn_b(GemmAxes* axes) {
  int64_t summed = 1, step = 1;
  bool is_turned = false;
  const auto is_summed = [](const GemmAxis& axis) { return !axis.is_of[kGemmY]; };
  for (int i = 0; i < axes->n; ++i) {
    const GemmAxis& axis = axes->axis[i];
    if (!axis.is_of[kGemmB] || axis.n == 1) continue;
    if (is_summed(axis)) summed *= axis.n;
    is_turned = is_turned || (axis.stride[kGemmB] == 1 && !is_summed(axis));
  }
  if (!is_turned || summed % 8 != 0) return false;
  for (const bool innermost : {true, false}) {
    for (int i = axes->n - 1; i >= 0; --i) {
      GemmAxis& axis = axes->axis[i];
      if (!axis.is_of[kGemmB] || is_summed(axis) != innermost) continue;
      axis.stride[kGemmB] = step;
      step *= axis.n;
    }
  }
  return true;
}

// Copies b from the places of `before` to those of `after`.
inline void turn_elements(const GemmAxes& before, const GemmAxes& after, const uint16_t* from, uint16_t* to) {
  int64_t at[2 * kGemmRank] = {}, source = 0, target = 0;
  for (bool is_done = false; !is_done;) {
    to[target] = from[source];
    is_done = true;
    for (int i = before.n - 1; i >= 0 && is_done; --i) {
      const GemmAxis& axis = before.axis[i];
      if (!axis.is_of[kGemmB]) continue;
      source += axis.stride[kGemmB];
      target += after.axis[i].stride[kGemmB];
      is_done = ++at[i] == axis.n;
      if (!is_done) break;
      source -= axis.n * axis.stride[kGemmB];
      target -= axis.n * after.axis[i].stride[kGemmB];
      at[i] = 0;
    }
  }
}

// Launches a product whose groups, tensors, type, scale, bias and ending are set.
inline void start(const Run& run, const CudaGemmKernel& kernel, CudaGemm args) {
  if (args.batch.n * args.m.n * args.n.n == 0) return;
  if (kernel.rows > 0) {
    args.m_tiles = divide_up(args.m.n, kernel.rows);
    args.n_tiles = divide_up(args.n.n, kernel.columns);
  }
  args.a_in_pieces = in_pieces(args, args.m, kGemmA, args.a);
  args.b_in_pieces = in_pieces(args, args.n, kGemmB, args.b);
  args.y_in_pairs = in_pairs(args);
  const int64_t blocks = blocks_of(kernel, args);
  if (blocks > kMostBlocks) fail(DT_SHAPE, "%lld blocks, more than a grid has", static_cast<long long>(blocks));
  kernel.launch(run, args, static_cast<uint32_t>(blocks));
}

// Sets the operations on y after the product. The kernels themselves add a bias along the columns.
inline void set_ending(const Run& run, int channel_axis, CudaGemm* args) {
  EpilogueProgram program = epilogue_program(run, channel_axis);
  const Tensor y = run.output(0);
  const int64_t channels = channel_axis >= 0 && y.rank() > 0 ? y.extent(channel_axis) : 1;
  args->by_channels = Divider(channels > 0 ? channels : 1, y.volume());
  const bool are_columns = DT_ISA::gemm_is_unit(args->n, kGemmY) && args->n.n == channels;
  if (args->bias == nullptr && are_columns) {
    const CudaBias bias = taken_bias(&program);
    args->bias = bias.data;
    args->bias_type = bias.type;
    args->bias_step = 1;
  }
  args->ending = ending_of(program);
}

inline void run_gemm(const Run& run, const CudaGemmKernel& kernel, GemmAxes axes, const void* bias, DataType bias_type,
                     int channel_axis) {
  const Tensor a = run.input(kGemmA);
  if (kernel.copies_pieces && run.packed() != nullptr) turn_b(&axes);
  const bool has_b = run.has_input(kGemmB), is_swapped = is_turned(axes);
  if (is_swapped) swap_inputs(&axes);
  CudaGemm args = {};
  set_groups(&args, axes);
  const void* b_data = nullptr;  // an input alone is multiplied by nothing
  if (has_b) b_data = run.packed() != nullptr ? run.packed() : run.input(kGemmB).data<void>();
  args.a = is_swapped ? b_data : a.data<void>();
  args.b = is_swapped ? a.data<void>() : b_data;
  args.y = run.output(0).data<void>();
  args.type = static_cast<int32_t>(a.type());
  args.scale = has_b ? a.scale() * run.input(kGemmB).scale() : 1.0f;
  args.bias = bias;
  args.bias_type = static_cast<int32_t>(bias_type);
  args.bias_step = is_swapped ? 0 : 1;
  set_ending(run, channel_axis, &args);
  start(run, kernel, args);
}
}  // namespace cuda_gemm

// The functions of a row; Rule as for GemmRow of cpu_rows.hpp.
template <class Params, class Rule, const CudaGemmKernel& kernel>
struct CudaGemmRow {
  static const char* fits(const Params& params, const Descs& inputs, const Descs& outputs) {
    GemmAxes axes;
    const char* reason = Rule::axes(params, inputs, outputs, &axes);
    if (reason) return reason;
    GemmArgs args = {};
    set_groups(&args, axes);
    const bool has_b = inputs.has(kGemmB);
    if (!has_b && kernel.rows + kernel.columns > 0) return "one input, which is not a product";
    if (has_b && inputs[kGemmB].type() != inputs[kGemmA].type() && !inputs[kGemmB].is_constant()) {
      return "b is of another type than a, and is not a constant";
    }
    return cuda_gemm::blocks_of(kernel, args) > cuda_gemm::kMostBlocks ? "more tiles than a grid has blocks" : nullptr;
  }
  // Constant weights become what the kernels multiply: of the type of a, and turned so that they are copied in pieces.
  static void prepare(const Params& params, const Descs& inputs, const Descs& outputs, const Emit& emit) {
    if (!inputs.has(kGemmB) || inputs[kGemmA].type() == DataType::kFLOAT) return;
    const Desc b = inputs[kGemmB];
    if (b.data<void>() == nullptr || size_of(inputs[kGemmA].type()) != 2) return;
    GemmAxes before, after;
    if (Rule::axes(params, inputs, outputs, &before) != nullptr) return;
    after = before;
    const bool is_converted = b.type() == DataType::kFLOAT;
    const bool is_turned = kernel.copies_pieces && b.max_volume() > 0 && cuda_gemm::turn_b(&after);
    if (!is_converted && !is_turned) return;
    const uint64_t n = static_cast<uint64_t>(b.max_volume() > 0 ? b.max_volume() : 1);
    uint16_t* const converted = is_converted ? emit.alloc<uint16_t>(n) : nullptr;
    if (is_converted)
      DT_ISA::store_floats(b.data<float>(), converted, static_cast<int32_t>(inputs[kGemmA].type()), 0, b.max_volume());
    const uint16_t* made = converted;
    if (is_turned) {
      uint16_t* const turned = emit.alloc<uint16_t>(n);
      cuda_gemm::turn_elements(before, after, is_converted ? converted : b.data<uint16_t>(), turned);
      made = turned;
    }
    emit(made, n * 2);
  }
  static int absorb(const Params& params, const Descs&, const Descs& outputs, const Epilogue& program) {
    return outputs[0].rank() > 0 ? absorbed(program, outputs[0], Rule::channel_axis(params, outputs[0])) : 0;
  }
  static void enqueue(const Params& params, const Run& run) {
    GemmAxes axes;
    const char* reason = Rule::axes(params, run, &axes);
    if (reason) fail(DT_SHAPE, "%s", reason);
    if (run.has_input(kGemmB)) {
      const Tensor b = run.input(kGemmB);
      const bool is_converted = b.type() != run.input(kGemmA).type() || run.packed() != nullptr;
      const uint64_t bytes = static_cast<uint64_t>(b.volume() * size_of(run.input(kGemmA).type()));
      if (is_converted && run.packed_bytes() < bytes) {
        fail(DT_UNSUPPORTED, "b is of another type than a and was not converted while building");
      }
    } else if (kernel.rows + kernel.columns > 0) {
      fail(DT_UNSUPPORTED, "one input, which is not a product");
    }
    const bool has_bias = Rule::kBias > 0 && run.has_input(Rule::kBias);
    const detail::RunDesc y(*run.output(0).raw());
    cuda_gemm::run_gemm(run, kernel, axes, has_bias ? run.input(Rule::kBias).template data<void>() : nullptr,
                        has_bias ? run.input(Rule::kBias).type() : DataType::kFLOAT,
                        Rule::channel_axis(params, y.desc()));
  }
};

DOVETAIL_CLOSE_NAMESPACE

// The rows of a layer, best first.
#define DOVETAIL_CUDA_GEMM_ROWS(Params, Rule)                                         \
  DT_CUDA_GEMM_ROW(Params, Rule, "gemm_128x128", f32_128x128, kFloat32Types)          \
  DT_CUDA_GEMM_ROW(Params, Rule, "gemm_64x64", f32_64x64, kFloat32Types)              \
  DT_CUDA_GEMM_ROW(Params, Rule, "gemm_32x32", f32_32x32, kFloat32Types)              \
  DT_CUDA_GEMM_ROW(Params, Rule, "gemm_halves_128x128", halves_128x128, kHalvesTypes) \
  DT_CUDA_GEMM_ROW(Params, Rule, "gemm_halves_64x64", halves_64x64, kHalvesTypes)     \
  DT_CUDA_GEMM_ROW(Params, Rule, "gemm_halves_32x32", halves_32x32, kHalvesTypes)     \
  DT_CUDA_GEMM_ROW(Params, Rule, "warps", warps, kFloatTypes)                         \
  DT_CUDA_GEMM_ROW(Params, Rule, "threads", threads, kFloatTypes)
#define DT_CUDA_GEMM_ROW(Params, Rule, name, kernel, types_)             \
  {.tactic = name,                                                       \
   .needs = kBuiltSm,                                                    \
   .types = types_,                                                      \
   .formats = "linear",                                                  \
   .fits = CudaGemmRow<Params, Rule, cuda_gemm::k_##kernel>::fits,       \
   .prepare = CudaGemmRow<Params, Rule, cuda_gemm::k_##kernel>::prepare, \
   .enqueue = CudaGemmRow<Params, Rule, cuda_gemm::k_##kernel>::enqueue, \
   .traits = kCaptureSafe,                                               \
   .absorb = CudaGemmRow<Params, Rule, cuda_gemm::k_##kernel>::absorb,   \
   .replaces = inputs_bits(kGemmB)},

#endif
