// SPDX-License-Identifier: Apache-2.0
// Rows of recurrent layers on the CPU: one product of the input for all steps, then a small product and the gates for
// each step. For rows files.
#ifndef DOVETAIL_KERNELS_RECURRENT_CPU_ROWS_HPP
#define DOVETAIL_KERNELS_RECURRENT_CPU_ROWS_HPP

#include "kernels/gemm/cpu_rows.hpp"
#include "kernels/layout/shares.hpp"
#include "kernels/recurrent/fields.hpp"

DOVETAIL_OPEN_NAMESPACE

struct RecurrentKernels {
  const GemmKernels& gemm;
  decltype(&scalar::recurrent_reset) reset;
  decltype(&scalar::recurrent_cell) cell;
};

#define DT_RECURRENT_KERNELS(isa, needs) \
  inline constexpr RecurrentKernels isa##_recurrent = {isa##_gemm, isa::recurrent_reset, isa::recurrent_cell};
DOVETAIL_EACH_ISA(DT_RECURRENT_KERNELS)
#undef DT_RECURRENT_KERNELS

// y[m][n] = bias[n] + sum over k of a[m][k] * w[n][k] in float32, by the kernels of matrix products. w is packed first.
class PackedProduct {
 public:
  static constexpr int64_t kPacked = 4 << 10;  // floats of a that are packed at once: more than a panel of any kernel
  static constexpr int64_t kSums = 4 << 10;    // of y, that are added up apart where k is very long
  static constexpr int64_t kScratch = kPacked + kSums;

  PackedProduct(const GemmKernels& kernels, int64_t n, int64_t k)
      : kernels_(kernels), n_(n), k_(k), panels_((n + kernels.tile - 1) / kernels.tile) {}

  int64_t floats() const { return panels_ * k_ * kernels_.tile; }

  void pack(const void* w, int32_t type, float* to) const {
    if (floats() == 0) return;
    const GemmArgs args = set(nullptr, type, 1, w, type, nullptr, nullptr);
    GemmPacked packed = {};
    packed.panels = to;
    packed.last_batch = 1;
    packed.last_panel = panels_;
    kernels_.pack(args, packed, 0, panels_);
  }

  // For m rows of a that follow each other, on the calling thread, with kScratch floats.
  void multiply(const void* a, int32_t a_type, int64_t m, const float* w, const float* bias, float* y,
                float* scratch) const {
    if (m * n_ == 0) return;
    const GemmArgs args = set(a, a_type, m, nullptr, DT_TYPE_FLOAT, bias, y);
    const GemmPacked packed = set_packed(m, w, 1);
    if (is_few(m, a_type)) return kernels_.few(args, packed, 0, few_items(), scratch);
    kernels_.tiles(args, packed, 0, blocks(m, packed) * packed.splits, scratch);
  }
  // The same on the host's threads, with kScratch floats for each of them.
  void multiply(const Run& run, const void* a, int32_t a_type, int64_t m, const float* w, const float* bias, float* y,
                float* scratch) const {
    if (m * n_ == 0) return;
    const GemmArgs args = set(a, a_type, m, nullptr, DT_TYPE_FLOAT, bias, y);
    const double products = static_cast<double>(m) * static_cast<double>(n_) * static_cast<double>(k_);
    int64_t pieces = products / 4e5 < run.n_threads() ? static_cast<int64_t>(products / 4e5) : run.n_threads();
    if (pieces < 1) pieces = 1;
    GemmPacked packed = set_packed(m, w, pieces);
    if (is_few(m, a_type)) {
      const int64_t all = few_items();
      if (pieces > all) pieces = all;
      return run.parallel_for(pieces, [&](int32_t piece) {
        kernels_.few(args, packed, all * piece / pieces, all * (piece + 1) / pieces, scratch + piece * kScratch);
      });
    }
    int64_t items = blocks(m, packed);
    // Some for each thread, so that one that is done can help another; a is packed again for each part of w.
    constexpr int64_t kEach = 4, kFewest = 4;  // panels
    const int64_t wanted = pieces == 1 ? 1 : (kEach * pieces + items - 1) / items;
    const int64_t even = (pieces + items - 1) / items, most = panels_ / kFewest;
    const int64_t splits = wanted < most ? wanted : most < even ? even : most;
    if (packed.splits < splits) packed.splits = splits;
    if (packed.splits > panels_) packed.splits = panels_;
    items *= packed.splits;
    if (pieces > items) pieces = items;
    const int64_t each = (items + pieces - 1) / pieces;
    const Pieces shares = {items, each, static_cast<int32_t>((items + each - 1) / each)};
    run_shares(run, shares, 1, [&](int32_t piece, int64_t first, int64_t last) {
      kernels_.tiles(args, packed, first, last, scratch + piece * kScratch);
    });
  }

 private:
  // Few rows are read where they lie, and each weight once.
  static bool is_few(int64_t m, int32_t a_type) { return m <= kGemmFewRows && a_type == DT_TYPE_FLOAT; }
  int64_t few_items() const { return (panels_ + kGemmFewPanels - 1) / kGemmFewPanels; }
  GemmArgs set(const void* a, int32_t a_type, int64_t m, const void* w, int32_t w_type, const float* bias,
               float* y) const {
    GemmAxes axes;
    GemmAxis* axis = axes.add(m, false);
    axis->lies(kGemmA, k_);
    axis->lies(kGemmY, n_);
    axis = axes.add(n_, false);
    axis->lies(kGemmB, k_);
    axis->lies(kGemmY, 1);
    axis = axes.add(k_, false);
    axis->lies(kGemmA, 1);
    axis->lies(kGemmB, 1);
    GemmArgs args = {};
    set_groups(&args, axes);
    args.a = a;
    args.b = w;
    args.y = y;
    args.bias = bias;
    args.type = args.bias_type = DT_TYPE_FLOAT;
    args.a_type = a_type;
    args.b_type = w_type;
    args.bias_step = 1;
    return args;
  }
  GemmPacked set_packed(int64_t m, const float* w, int64_t threads) const {
    GemmPacked packed = {};
    packed.panels = const_cast<float*>(w);
    packed.last_batch = 1;
    packed.last_panel = panels_;
    packed.block = kPacked / DT_ISA::gemm_row_floats(k_ < kGemmDepth ? k_ : kGemmDepth);
    const int64_t even = (m + threads - 1) / threads;
    if (packed.block > even) packed.block = even;
    packed.splits = 1;
    const int64_t pieces = (k_ + kGemmDepth - 1) / kGemmDepth;
    if (pieces > kGemmPieces) {
      packed.group = kGemmPieces;
      packed.sums_at = kPacked;
      const int64_t rows = (packed.block + kernels_.panel - 1) / kernels_.panel * kernels_.panel;
      const int64_t fit = kSums / (rows * kernels_.tile);
      packed.splits = (panels_ + fit - 1) / fit;
    }
    return packed;
  }
  static int64_t blocks(int64_t m, const GemmPacked& packed) { return (m + packed.block - 1) / packed.block; }

  const GemmKernels& kernels_;
  int64_t n_, k_, panels_;
};

// The functions of a row.
template <class Params, const RecurrentKernels& kernels>
struct RecurrentRow {
  // The products of one direction: w, r, and what a GRU multiplies by the state that was reset.
  struct Products {
    PackedProduct w, r, late;
    int64_t late_rows;  // rows of r in front of that part
    Products(const Params& params, const RecurrentDims& d)
        : w(kernels.gemm, d.gates * d.hidden, d.inputs),
          r(kernels.gemm, (d.gates - params.is_reset_first()) * d.hidden, d.hidden),
          late(kernels.gemm, params.is_reset_first() ? d.hidden : 0, d.hidden),
          late_rows((d.gates - 1) * d.hidden) {}
    int64_t floats() const { return w.floats() + r.floats() + late.floats(); }

    void pack(const Params& params, const RecurrentDims& d, const void* of_w, const void* of_r, int32_t type,
              float* to) const {
      const int64_t bytes = type == DT_TYPE_FLOAT ? 4 : 2, rows = d.gates * d.hidden;
      for (int64_t i = 0; i < d.directions; ++i) {
        const char* const r_here = static_cast<const char*>(of_r) + i * rows * d.hidden * bytes;
        w.pack(static_cast<const char*>(of_w) + i * rows * d.inputs * bytes, type, to);
        r.pack(r_here, type, to + w.floats());
        if (params.is_reset_first()) {
          late.pack(r_here + late_rows * d.hidden * bytes, type, to + w.floats() + r.floats());
        }
        to += floats();
      }
    }
  };

  // Where things lie in the workspace.
  struct Place {
    float *packed, *bias, *late_bias, *peepholes, *x, *r, *h, *c, *reset, *scratch;
    Place(const Params& params, const RecurrentDims& d, bool is_packed, int threads, Carver* carver) {
      const int64_t states = d.directions * d.batch * d.hidden;
      packed = carver->take<float>(is_packed ? 0 : d.directions * Products(params, d).floats());
      bias = carver->take<float>(d.directions * d.gates * d.hidden);
      late_bias = carver->take<float>(params.linear_before_reset ? d.directions * d.hidden : 0);
      peepholes = carver->take<float>(Params::kCell == kLstmCell ? d.directions * 3 * d.hidden : 0);
      x = carver->take<float>(d.directions * d.steps * d.batch * d.gates * d.hidden);
      r = carver->take<float>(states * d.gates);
      h = carver->take<float>(states);
      c = carver->take<float>(Params::kCell == kLstmCell ? states : 0);
      reset = carver->take<float>(params.is_reset_first() ? 2 * states : 0);
      scratch = carver->take<float>(threads * PackedProduct::kScratch);
    }
  };

  static void prepare(const Params& params, const Descs& inputs, const Descs&, const Emit& emit) {
    const RecurrentDims d = params.dims(inputs);
    const Desc w = inputs[kW], r = inputs[kR];
    if (w.data<void>() == nullptr || r.data<void>() == nullptr) return;
    const Products products(params, d);
    const uint64_t floats = static_cast<uint64_t>(d.directions * products.floats());
    float* const to = emit.alloc<float>(floats + 1);
    products.pack(params, d, w.data<void>(), r.data<void>(), static_cast<int32_t>(w.type()), to);
    emit.give(to, (floats + 1) * sizeof(float));  // never nothing, which would mean that nothing was packed
  }

  static uint64_t workspace(const Params& params, const Descs& inputs, const Descs&, int n_threads) {
    Carver carver(nullptr, 0);
    const bool is_packed = inputs[kW].is_constant() && inputs[kR].is_constant();
    Place(params, params.dims(inputs), is_packed, n_threads > 0 ? n_threads : 1, &carver);
    return carver.taken();
  }

  static void enqueue(const Params& params, const Run& run) {
    const RecurrentDims d = params.dims(run);
    if (d.batch == 0 || d.hidden == 0) return;
    const Products products(params, d);
    const int32_t type = static_cast<int32_t>(run.input(kX).type());
    const bool is_packed = run.packed() != nullptr;
    const int64_t floats = d.directions * products.floats(), n = d.gates * d.hidden;
    if (is_packed && run.packed_bytes() != static_cast<uint64_t>(floats + 1) * sizeof(float)) {
      fail(DT_SHAPE, "the packed matrices have %llu bytes, these extents need %lld",
           static_cast<unsigned long long>(run.packed_bytes()), static_cast<long long>((floats + 1) * 4));
    }
    Carver carver(run.workspace(), run.workspace_bytes());
    const Place place(params, d, is_packed, run.n_threads(), &carver);
    if (!is_packed) {
      products.pack(params, d, run.input(kW).data<void>(), run.input(kR).data<void>(), type, place.packed);
    }
    const float* const packed = is_packed ? run.packed<float>() : place.packed;
    set_biases(params, run, d, place);
    if (Params::kCell == kLstmCell && run.has_input(kPeepholes)) {
      DT_ISA::load_floats(run.input(kPeepholes).data<void>(), type, 0, place.peepholes, d.directions * 3 * d.hidden);
    }
    each_state(params, run, d, place, true);
    for (int64_t i = 0; i < d.directions; ++i) {
      products.w.multiply(run, run.input(kX).data<void>(), type, d.steps * d.batch, packed + i * products.floats(),
                          place.bias + i * n, place.x + i * d.steps * d.batch * n, place.scratch);
    }
    // Elements of the batch go their own ways, so threads meet but at the end, unless there is one only and much to do.
    const int64_t all = d.directions * d.batch;
    const double work = static_cast<double>(d.steps) * static_cast<double>(n) * static_cast<double>(d.hidden);
    const double worth = work * static_cast<double>(all) / 4e5;
    int64_t parts = worth < run.n_threads() ? static_cast<int64_t>(worth) : run.n_threads();
    parts = (parts + d.directions - 1) / d.directions;
    if (parts > d.batch) parts = d.batch;
    if (parts < 1) parts = 1;
    const auto part = [&](int64_t item, const Run* splits, float* scratch) {
      const int64_t i = item / parts, first = d.batch * (item % parts) / parts;
      Steps{params, run, d, products, place, packed + i * products.floats(), i, type, splits, scratch}.walk(
          first, d.batch * (item % parts + 1) / parts);
    };
    const int64_t items = d.directions * parts;
    const bool in_turn = items > run.n_threads() || (items < run.n_threads() && worth > 2.0 * run.n_threads());
    if (in_turn || run.n_threads() == 1) {
      for (int64_t item = 0; item < items; ++item) part(item, run.n_threads() > 1 ? &run : nullptr, place.scratch);
    } else {
      run.parallel_for(items,
                       [&](int32_t item) { part(item, nullptr, place.scratch + item * PackedProduct::kScratch); });
    }
    each_state(params, run, d, place, false);
  }

 private:
  // Those of w and r are added; that of the product which q multiplies stays alone.
  static void set_biases(const Params& params, const Run& run, const RecurrentDims& d, const Place& place) {
    const int64_t n = d.gates * d.hidden, late = params.linear_before_reset ? (d.gates - 1) * d.hidden : n;
    for (int64_t i = 0; i < d.directions; ++i) {
      for (int64_t k = 0; k < n; ++k) {
        float of_w = 0, of_r = 0;
        if (run.has_input(kB)) {
          const Tensor b = run.input(kB);
          of_w = read_float(b.data<void>(), static_cast<int32_t>(b.type()), (2 * i) * n + k);
          of_r = read_float(b.data<void>(), static_cast<int32_t>(b.type()), (2 * i + 1) * n + k);
        }
        place.bias[i * n + k] = k < late ? of_w + of_r : of_w;
        if (k >= late) place.late_bias[i * d.hidden + k - late] = of_r;
      }
    }
  }

  // Reads the initial states, or writes the last ones.
  static void each_state(const Params&, const Run& run, const RecurrentDims& d, const Place& place, bool reads) {
    float* const states[] = {place.h, place.c};
    for (int which = 0; which < (Params::kCell == kLstmCell ? 2 : 1); ++which) {
      const int port = kInitialH + which;
      for (int64_t i = 0; i < d.directions; ++i) {
        for (int64_t n = 0; n < d.batch; ++n) {
          float* const state = states[which] + (i * d.batch + n) * d.hidden;
          if (!reads) {
            const Tensor to = run.output(1 + which);
            DT_ISA::store_floats(state, to.data<void>(), static_cast<int32_t>(to.type()), d.at(i, n), d.hidden);
          } else if (run.has_input(port)) {
            const Tensor from = run.input(port);
            DT_ISA::load_floats(from.data<void>(), static_cast<int32_t>(from.type()), d.at(i, n), state, d.hidden);
          } else {
            std::memset(state, 0, static_cast<size_t>(d.hidden) * sizeof(float));
          }
        }
      }
    }
  }

  // All steps of one direction, for a part of the batch.
  struct Steps {
    const Params& params;
    const Run& run;
    const RecurrentDims& d;
    const Products& products;
    const Place& place;
    const float* packed;
    int64_t direction;
    int32_t type;
    const Run* splits;  // where its threads share each product
    float* scratch;

    void multiply(const PackedProduct& product, const float* a, int64_t m, const float* w, float* y) const {
      if (splits) {
        product.multiply(*splits, a, DT_TYPE_FLOAT, m, w, nullptr, y, scratch);
      } else {
        product.multiply(a, DT_TYPE_FLOAT, m, w, nullptr, y, scratch);
      }
    }

    void walk(int64_t first, int64_t last) const {
      const int64_t n = d.gates * d.hidden, hidden = d.hidden, before = direction * d.batch, m = last - first;
      RecurrentCellArgs args = params.cell_args(direction, hidden);
      if (Params::kCell == kLstmCell && run.has_input(kPeepholes))
        args.peepholes = place.peepholes + direction * 3 * hidden;
      if (params.linear_before_reset) args.late_bias = place.late_bias + direction * hidden;
      const int32_t* const lengths = run.has_input(kLengths) ? run.input(kLengths).data<const int32_t>() : nullptr;
      const bool is_backward = params.is_backward(direction), is_reset_first = params.is_reset_first();
      const Tensor y = run.output(0);
      const int64_t bytes = type == DT_TYPE_FLOAT ? 4 : 2;
      float *const h = place.h + (before + first) * hidden, *const r = place.r + (before + first) * n;
      float* const c = place.c + (before + first) * hidden;
      float* const reset = place.reset + (before + first) * 2 * hidden;
      float* const late = reset + m * hidden;
      const int64_t r_step = is_reset_first ? n - hidden : n;
      const auto at = [&](int64_t i, int64_t step) {  // of x and y; -1 behind the end
        const int64_t length = lengths == nullptr             ? d.steps
                               : lengths[first + i] < 0       ? 0
                               : lengths[first + i] < d.steps ? lengths[first + i]
                                                              : d.steps;
        return step >= length ? -1 : is_backward ? length - 1 - step : step;
      };
      const auto x_of = [&](int64_t i, int64_t step) {
        return place.x + (direction * d.steps * d.batch + d.row(step, first + i)) * n;
      };
      for (int64_t step = 0; step < d.steps; ++step) {
        multiply(products.r, h, m, packed + products.w.floats(), r);
        if (is_reset_first) {
          for (int64_t i = 0; i < m; ++i) {
            const int64_t now = at(i, step);
            if (now < 0) std::memset(reset + i * hidden, 0, static_cast<size_t>(hidden) * sizeof(float));
            if (now >= 0) kernels.reset(args, x_of(i, now), r + i * r_step, h + i * hidden, reset + i * hidden);
          }
          multiply(products.late, reset, m, packed + products.w.floats() + products.r.floats(), late);
        }
        for (int64_t i = 0; i < m; ++i) {
          const int64_t now = at(i, step);
          if (now < 0) {
            std::memset(y.data<char>() + d.at(step, direction, first + i) * bytes, 0,
                        static_cast<size_t>(hidden * bytes));
            continue;
          }
          float* const gates = r + i * r_step;
          kernels.cell(args, x_of(i, now), gates, is_reset_first ? late + i * hidden : gates + 2 * hidden,
                       h + i * hidden, c + i * hidden);
          DT_ISA::store_floats(h + i * hidden, y.data<void>(), type, d.at(now, direction, first + i), hidden);
        }
      }
    }
  };
};

DOVETAIL_CLOSE_NAMESPACE

// The rows of a layer.
#define DT_RECURRENT_ROW(isa, features, Params, types_)           \
  {.tactic = "gemm_" #isa,                                        \
   .needs = features,                                             \
   .types = types_,                                               \
   .formats = "linear",                                           \
   .prepare = RecurrentRow<Params, isa##_recurrent>::prepare,     \
   .workspace = RecurrentRow<Params, isa##_recurrent>::workspace, \
   .enqueue = RecurrentRow<Params, isa##_recurrent>::enqueue,     \
   .replaces = inputs_bits(kW, kR)},
#define DOVETAIL_RECURRENT_ROWS(Params, types) DOVETAIL_EACH_ISA_WITH(DT_RECURRENT_ROW, Params, types)

#endif
