// SPDX-License-Identifier: Apache-2.0
// Elementwise@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "dovetail/format.hpp"
#include "elementwise.hpp"

using namespace dovetail;

namespace {

// Extents in the order of storage, lanes of a blocked format last.
struct Stored {
  int rank = 0;
  int64_t dims[kElementwiseRank];
  void add(int64_t extent) { dims[rank++] = extent; }
};

Stored stored(const FormatView& view, const Tensor& t) {
  Stored s;
  for (int i = 0; i < t.rank(); ++i) {
    if (view.kind == 0 || i != view.axis) s.add(t.extent(i));
    if (view.kind == 1 && i == view.axis) s.add(view.padded / view.lanes);
  }
  if (view.kind == 1) s.add(view.lanes);
  if (view.kind == 2) s.add(view.padded);
  return s;
}

// Joins axes along which both inputs run on without a gap: most cases end as one or two axes.
void set_rows(ElementwiseArgs* args, const Stored& a, const Stored& b) {
  struct Axis {
    int64_t n, a, b;
  } axes[kElementwiseRank + 1];
  int n_axes = 0;  // innermost first
  int64_t a_step = 1, b_step = 1;
  for (int i = a.rank - 1; i >= 0; --i) {
    const int64_t n = a.dims[i] == 1 ? b.dims[i] : a.dims[i];
    const Axis axis = {n, a.dims[i] == 1 ? 0 : a_step, b.dims[i] == 1 ? 0 : b_step};
    a_step *= a.dims[i];
    b_step *= b.dims[i];
    if (n == 1) continue;
    Axis* last = n_axes > 0 ? &axes[n_axes - 1] : nullptr;
    if (last && axis.a == last->a * last->n && axis.b == last->b * last->n) {
      last->n *= n;
    } else {
      axes[n_axes++] = axis;
    }
  }
  if (n_axes == 0) axes[n_axes++] = {1, 1, 1};
  if (n_axes == 1) axes[n_axes++] = {1, 0, 0};
  args->columns = axes[0].n;
  args->a_column = axes[0].a;
  args->b_column = axes[0].b;
  args->rank = n_axes - 1;
  for (int i = 1; i < n_axes; ++i) {
    args->dims[n_axes - 1 - i] = axes[i].n;
    args->a_stride[n_axes - 1 - i] = axes[i].a;
    args->b_stride[n_axes - 1 - i] = axes[i].b;
  }
}

const char* fits(const ElementwiseParams& params, const Descs& inputs, const Descs& outputs) {
  const bool is_logical = params.op == kAnd || params.op == kOr || params.op == kXor;
  const bool gives_bool = is_logical || params.op == kEqual || params.op == kGreater || params.op == kLess;
  const bool takes_bool = inputs[0].type() == DataType::kBOOL;
  if (is_logical && !takes_bool) return "AND, OR and XOR take BOOL";
  if (takes_bool && !is_logical && params.op != kEqual) return "BOOL takes AND, OR, XOR and EQUAL";
  if (gives_bool != (outputs[0].type() == DataType::kBOOL)) return "only comparisons and logical ops give BOOL";
  const FormatTraits traits = traits_of(static_cast<int32_t>(outputs[0].format()));
  if (traits.kind == 0) return nullptr;
  const int a_axis = inputs[0].rank() - traits.spatial - 1, b_axis = inputs[1].rank() - traits.spatial - 1;
  if (a_axis != b_axis) return "the inputs' ranks differ";
  if (inputs[0].extent(a_axis) < 0 || inputs[0].extent(a_axis) != inputs[1].extent(b_axis)) {
    return "channels are not equal, and only the linear format repeats them";
  }
  return nullptr;
}

template <void (*kernel)(const ElementwiseArgs&, int64_t, int64_t, int64_t, int64_t)>
void enqueue(const ElementwiseParams& params, const Run& run) {
  const Tensor a = run.input(0), b = run.input(1), y = run.output(0);
  const FormatView view = view_of(y);
  if (view.stored() == 0) return;
  ElementwiseArgs args = {};
  args.a = a.data<void>();
  args.b = b.data<void>();
  args.y = y.data<void>();
  args.kind = params.op;
  args.type = static_cast<int32_t>(a.type());
  set_rows(&args, stored(view_of(a), a), stored(view_of(b), b));
  int64_t rows = 1;
  for (int i = 0; i < args.rank; ++i) rows *= args.dims[i];
  const int64_t work = params.op == kPow ? 100 : 12;
  if (rows >= 4 * run.n_threads()) {
    parallel_ranges(run, rows, work * args.columns, 1,
                    [&](int64_t first, int64_t last) { kernel(args, first, last, 0, args.columns); });
  } else {
    parallel_ranges(run, args.columns, work * rows, 64,
                    [&](int64_t first, int64_t last) { kernel(args, 0, rows, first, last); });
  }
  zero_padding(view, args.y, size_of(y.type()));
}

#define ARITHMETIC "f32|f16|bf16|i32|i64"
#define COMPARED "f32|f16|bf16|i32|i64|b8"
#define SAME(types) types " " types " -> " types
#define TO_BOOL COMPARED " " COMPARED " -> b8|b8|b8|b8|b8|b8"
#define ELEMENTWISE_ROW(isa, features, format) \
  {.tactic = format "_" #isa,                  \
   .needs = features,                          \
   .types = SAME(ARITHMETIC),                  \
   .formats = format,                          \
   .fits = fits,                               \
   .enqueue = enqueue<isa::elementwise>},      \
      {.tactic = format "_bool_" #isa,         \
       .needs = features,                      \
       .types = TO_BOOL,                       \
       .formats = format,                      \
       .fits = fits,                           \
       .enqueue = enqueue<isa::elementwise>},

// clang-format off
constexpr Row<ElementwiseParams> kRows[] = {
#if defined(__x86_64__)
    DOVETAIL_EACH_FORMAT(ELEMENTWISE_ROW, avx512, kAvx512)
    DOVETAIL_EACH_FORMAT(ELEMENTWISE_ROW, avx2, kAvx2)
#endif
    DOVETAIL_EACH_FORMAT(ELEMENTWISE_ROW, scalar, 0)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("ElementWise@1#cpu", ElementwiseParams, kRows)
