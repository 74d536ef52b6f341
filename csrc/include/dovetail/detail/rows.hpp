// SPDX-License-Identifier: Apache-2.0
// Rows: a table of kernel functions, one line per kernel, that implements the op with the given id.
//
//   static constexpr dovetail::Row<SoftmaxParams> kRows[] = {
//       {.tactic = "rows_avx2", .needs = dovetail::kAvx2, .types = "f32 -> f32", .enqueue = avx2::softmax},
//       {.tactic = "rows_scalar", .types = "f32 -> f32", .enqueue = scalar::softmax},
//   };
//   DOVETAIL_IMPLEMENTS("Softmax@1#cpu", SoftmaxParams, kRows)
//
// Params also checks its values and the extents of the tensors: see shapes.hpp.
//
// A row may have a state: `plan` is called when extents become known or change and computes everything that depends on
// them, and `enqueue` only runs. Each context has its own state, and many contexts may run at once:
//
//   struct Split {
//     int64_t n_rows, length, rows_a_task;
//   };
//   Split plan(const SoftmaxParams& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup);
//   void softmax(const SoftmaxParams& params, Split& split, const Run& run);
//
//   static constexpr dovetail::Row<SoftmaxParams, Split> kSplitRows[] = {
//       {.tactic = "split", .types = "f32 -> f32", .enqueue = softmax, .plan = plan},
//   };
//
// The rows of one table have one type of state. An implementation may have several tables, in order, best rows first:
//
//   DOVETAIL_IMPLEMENTS("Softmax@1#cpu", SoftmaxParams, kSplitRows, kRows)
#ifndef DOVETAIL_DETAIL_ROWS_HPP
#define DOVETAIL_DETAIL_ROWS_HPP

#include <utility>

#include "dovetail/detail/fields.hpp"
#include "dovetail/detail/isa.hpp"
#include "dovetail/detail/shapes.hpp"
#include "dovetail/detail/views.hpp"

DOVETAIL_OPEN_NAMESPACE

constexpr uint64_t kAvx2 = DT_NEEDS_AVX2;
constexpr uint64_t kAvx512 = DT_NEEDS_AVX512;
constexpr uint64_t kAvx512Vnni = kAvx512 | DT_CPU_BIT(avx512vnni);
constexpr uint64_t kAvx512Bf16 = kAvx512 | DT_CPU_BIT(avx512bf16);
constexpr uint64_t kAvx512Fp16 = kAvx512 | DT_CPU_BIT(avx512fp16);
constexpr uint64_t kAmx = DT_NEEDS_AMX;
constexpr uint64_t kNeon = DT_CPU_BIT(neon);
// `.needs = sm(80)`: compute capability 8.0 or later. Encoded in the top bits of `needs`; becomes dt_row.min_sm.
constexpr uint64_t sm(int capability) { return static_cast<uint64_t>(capability) << 48; }

// Traits of a row; see DT_TRAIT_*.
constexpr uint32_t kCaptureSafe = DT_TRAIT_CAPTURE_SAFE;
constexpr uint32_t kInPlace = DT_TRAIT_IN_PLACE;
constexpr uint32_t kWinograd = DT_TRAIT_WINOGRAD;

// `.replaces = inputs_bits(1, 2)`: the second and the third input.
template <class... Index>
constexpr uint64_t inputs_bits(Index... index) {
  return (uint64_t{0} | ... | (uint64_t{1} << index));
}

namespace detail {

// The types of a row's functions that depend on its State.
template <class Params, class State>
struct RowFunctions {
  typedef State (*Plan)(const Params& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup);
  typedef void (*Enqueue)(const Params& params, State& state, const Run& run);
};
template <class Params>
struct RowFunctions<Params, void> {
  typedef std::nullptr_t Plan;
  typedef void (*Enqueue)(const Params& params, const Run& run);
};

}  // namespace detail

// One kernel: its name, what it needs, its types and formats, and its functions. Only enqueue is required, and plan if
// there is a State. All of them may throw dovetail::Error. Members have the meaning of those of dt_row.
template <class Params, class State = void>
struct Row {
  static_assert(std::is_same<State, typename std::remove_cv<typename std::remove_reference<State>::type>::type>::value,
                "a Row owns its State: write Row<Params, State>, without const and without &");
  const char* tactic = nullptr;
  uint64_t needs = 0;  // kAvx2 ...; or sm(80)
  const char* types = nullptr;
  const char* formats = nullptr;
  // Returns null if the row can compute these tensors, else the reason; it may also call unsupported("... %d", n).
  const char* (*fits)(const Params& params, const Descs& inputs, const Descs& outputs) = nullptr;
  // Packs constants while building: emit(bytes, n).
  void (*prepare)(const Params& params, const Descs& inputs, const Descs& outputs, const Emit& emit) = nullptr;
  // Bytes of scratch for the extents up to max().
  uint64_t (*workspace)(const Params& params, const Descs& inputs, const Descs& outputs, int n_threads) = nullptr;
  // enqueue(params, run), with a State enqueue(params, state, run). It should not allocate: let plan allocate, or use
  // the workspace. It may change the state, for example to store the addresses of a run.
  typename detail::RowFunctions<Params, State>::Enqueue enqueue = nullptr;
  uint32_t traits = 0;
  int32_t min_sm = 0;  // the same as needs = sm(n)
  // How many steps of the program `enqueue` can compute on output 0. `absorbed` of dovetail/epilogue.hpp returns how
  // many its helpers can compute. In a run, the steps are in run.epilogue().
  int (*absorb)(const Params& params, const Descs& inputs, const Descs& outputs, const Epilogue& program) = nullptr;
  // Constant inputs that `enqueue` does not read because it has packed(): inputs_bits(1, 2). Their data is null then.
  uint64_t replaces = 0;
  // plan(params, inputs, outputs, setup) makes the State of a context when the extents become known, and another one
  // when they change, before any kernel runs with them. All extents are known; contents are not, not even those of
  // constants, since an engine may be refitted. What it throws is an error that names the layer.
  typename detail::RowFunctions<Params, State>::Plan plan = nullptr;
};

namespace detail {

// "Softmax@1#cpu" in two strings.
template <size_t n>
struct ImplementationId {
  char op[n] = {};
  char name[n] = {};
  constexpr explicit ImplementationId(const char (&id)[n]) {
    size_t i = 0, k = 0;
    for (; id[i] != '#' && i + 1 < n; ++i) op[i] = id[i];
    for (++i; i + 1 < n; ++i) name[k++] = id[i];
  }
  constexpr bool is_complete() const { return op[0] != 0 && name[0] != 0; }
  constexpr bool is_cuda() const {
    return name[0] == 'c' && name[1] == 'u' && name[2] == 'd' && name[3] == 'a' && name[4] == 0;
  }
};

// What dt_implementation.create makes.
template <class Params>
struct RowObject {
  TensorCopies copies;
  Params params{};
};

template <class Params>
const Params& params_of(void* object) {
  return static_cast<const RowObject<Params>*>(object)->params;
}

// The result of dt_implementation.make_context if a row has a state.
template <class Params>
struct RowContext {
  const Params& params;
  void* state = nullptr;          // of the row that runs
  void (*drop)(void*) = nullptr;  // deletes it
  // The row's `plan` in the C table, if it made the state for the present extents.
  dt_code (*planned_by)(void* context, const dt_run* run) = nullptr;

  explicit RowContext(const Params& of) : params(of) {}
  ~RowContext() { drop_state(); }
  RowContext(const RowContext&) = delete;
  RowContext& operator=(const RowContext&) = delete;

  void drop_state() {
    planned_by = nullptr;
    if (state) drop(state);
    state = nullptr;
  }
};

template <class Params>
using FitsFunction = decltype(Row<Params>::fits);

// Throws DT_UNSUPPORTED if a row cannot compute these tensors, which includes extents that do not fit the fields.
template <class Params>
void expect_fit(FitsFunction<Params> fits, const Params& params, const Descs& inputs, const Descs& outputs) {
  if constexpr (HasShapeRule<Params>::value) {
    const Shapes in(inputs), out(outputs);
    if (in.are_known() && out.are_known()) {
      try {
        params.check_shapes(in, out);
      } catch (const Error& error) {
        throw Error(DT_UNSUPPORTED, error.what(), error.file(), error.line());
      }
    }
  }
  const char* reason = fits ? fits(params, inputs, outputs) : nullptr;
  if (reason) throw Error(DT_UNSUPPORTED, reason);
}

// One for all rows that have the same function: there may be hundreds of rows.
template <class Params, FitsFunction<Params> row_fits>
dt_code fits_trampoline(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                        int32_t n_out) noexcept {
  return guard(call, "", [&] { expect_fit(row_fits, params_of<Params>(object), Descs(in, n_in), Descs(out, n_out)); });
}

// True if a function is given. By template matching, because under sanitizers the address of an inline function can be
// compared with null only at run time.
template <class Function>
struct Given {
  template <Function function, class Always = void>
  struct Is : std::true_type {};
  template <class Always>
  struct Is<nullptr, Always> : std::false_type {};
};

// Does the compiler know the rows? They may also be computed while the library is loaded.
template <const auto& rows, class Enable = void>
struct AreConstant : std::false_type {};
template <const auto& rows>
struct AreConstant<rows,
                   std::void_t<typename Given<std::decay_t<decltype(rows[0].enqueue)>>::template Is<rows[0].enqueue>>>
    : std::true_type {};

template <class Given, class Trampoline>
Trampoline* if_given(Given given, Trampoline* trampoline) {
  return given ? trampoline : nullptr;
}

// What a table holds.
template <class Table>
struct TableOf;
template <class P, class S, size_t n>
struct TableOf<const Row<P, S> (&)[n]> {
  typedef P Params;
  typedef S State;
  static constexpr size_t kRows = n;
  static constexpr bool kHasState = !std::is_void<S>::value;
};

// The functions of one row as the C table has them. `has_contexts`: the implementation makes contexts, because this row
// or another one of it has a state; else its objects serve.
template <const auto& rows, size_t i, bool has_contexts>
struct RowTrampolines {
  typedef typename TableOf<decltype(rows)>::Params Params;
  typedef typename TableOf<decltype(rows)>::State State;
  static constexpr bool kHasState = TableOf<decltype(rows)>::kHasState;
  typedef RowContext<Params> Context;

  static dt_code fits(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                      int32_t n_out) noexcept {
    return guard(call, "",
                 [&] { expect_fit(rows[i].fits, params_of<Params>(object), Descs(in, n_in), Descs(out, n_out)); });
  }
  static dt_code prepare(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                         int32_t n_out) noexcept {
    return guard(call, rows[i].tactic,
                 [&] { rows[i].prepare(params_of<Params>(object), Descs(in, n_in), Descs(out, n_out), Emit(call)); });
  }
  static dt_code workspace(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                           int32_t n_out, int32_t n_threads, uint64_t* bytes) noexcept {
    return guard(call, rows[i].tactic, [&] {
      *bytes = rows[i].workspace(params_of<Params>(object), Descs(in, n_in), Descs(out, n_out), n_threads);
    });
  }
  static dt_code absorb(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                        int32_t n_out, const dt_epilogue* program, uint32_t* n_steps) noexcept {
    return guard(call, rows[i].tactic, [&] {
      const int n = rows[i].absorb(params_of<Params>(object), Descs(in, n_in), Descs(out, n_out), Epilogue(program));
      *n_steps = n > 0 ? static_cast<uint32_t>(n) : 0;
    });
  }
  static dt_code plan(void* context, const dt_run* run) noexcept {
    return guard(run->call, rows[i].tactic, [&] { make_state(*static_cast<Context*>(context), run); });
  }
  static dt_code enqueue(void* context, const dt_run* run) noexcept {
    return guard(run->call, rows[i].tactic, [&] {
      if constexpr (kHasState) {
        Context& own = *static_cast<Context*>(context);
        if (own.planned_by != plan) make_state(own, run);  // hosts of 1.0 call shape_changed only
        rows[i].enqueue(own.params, *static_cast<State*>(own.state), Run(run));
      } else if constexpr (has_contexts) {
        rows[i].enqueue(static_cast<Context*>(context)->params, Run(run));
      } else {
        rows[i].enqueue(params_of<Params>(context), Run(run));
      }
    });
  }
  static __attribute__((noinline, cold)) void make_state(Context& context, const dt_run* run) {
    if constexpr (kHasState) {
      typename RowFunctions<Params, State>::Plan make = rows[i].plan;
      if (!make) fail(DT_INTERNAL, nowhere("the row has a State and no plan"));
      context.drop_state();
      const RunDescs inputs(run->inputs, run->n_inputs), outputs(run->outputs, run->n_outputs);
      context.state = new State(make(context.params, inputs.all(), outputs.all(), RunSetup(run)));
      context.drop = [](void* state) { delete static_cast<State*>(state); };
      context.planned_by = plan;
    }
  }
  static dt_row table() {
    const auto& row = rows[i];
    const int32_t capability = static_cast<int32_t>(row.needs >> 48);
    dt_row t = {};
    t.h = DT_HDR(dt_row);
    t.tactic = row.tactic;
    t.needs = row.needs & ((uint64_t{1} << 48) - 1);
    t.min_sm = capability > row.min_sm ? capability : row.min_sm;
    t.traits = row.traits;
    t.types = row.types;
    t.formats = row.formats;
    t.replaces = row.replaces;
    if constexpr (kHasState) t.plan = plan;
    constexpr bool has_rule = HasShapeRule<Params>::value;
    if constexpr (AreConstant<rows>::value) {  // what is not given has no trampoline to be compiled
      typedef Row<Params, State> R;
      constexpr bool has_fits = Given<decltype(R::fits)>::template Is<rows[i].fits>::value;
      if constexpr (has_fits || has_rule) t.fits = fits_trampoline<Params, rows[i].fits>;
      if constexpr (Given<decltype(R::prepare)>::template Is<rows[i].prepare>::value) t.prepare = prepare;
      if constexpr (Given<decltype(R::workspace)>::template Is<rows[i].workspace>::value) t.workspace = workspace;
      if constexpr (Given<decltype(R::enqueue)>::template Is<rows[i].enqueue>::value) t.enqueue = enqueue;
      if constexpr (Given<decltype(R::absorb)>::template Is<rows[i].absorb>::value) t.absorb = absorb;
      if constexpr (kHasState)
        static_assert(Given<decltype(R::plan)>::template Is<rows[i].plan>::value,
                      "a row with a State has a function that makes it: .plan = ...");
    } else {
      t.fits = if_given(row.fits || has_rule, fits);
      t.prepare = if_given(row.prepare, prepare);
      t.workspace = if_given(row.workspace, workspace);
      t.enqueue = if_given(row.enqueue, enqueue);
      t.absorb = if_given(row.absorb, absorb);
    }
    return t;
  }
};

// True if DOVETAIL_READS was written for Params.
template <class Params, class Enable = void>
struct HasReads : std::false_type {};
template <class Params>
struct HasReads<Params, std::void_t<decltype(dovetail_n_reads(static_cast<const Params*>(nullptr)))>> : std::true_type {
};

// The C tables of one DOVETAIL_IMPLEMENTS, listed as soon as the library is loaded. `tables` are arrays of rows.
template <class Params, const auto&... tables>
class RowsImplementation {
  static_assert((std::is_same<typename TableOf<decltype(tables)>::Params, Params>::value && ...),
                "tables of an implementation are arrays of Row<Params> or Row<Params, State>, with its Params");
  static_assert(HasReads<Params>::value,
                "say DOVETAIL_READS(Params, member, ...) after the struct of parameters, in its namespace; without "
                "members, DOVETAIL_READS(Params), if no field is read");

 public:
  // device 0: the one that the name says
  template <size_t n>
  RowsImplementation(const ImplementationId<n>& id, int32_t device) {
    size_t n_listed = 0;
    (list<tables>(&n_listed, std::make_index_sequence<TableOf<decltype(tables)>::kRows>()), ...);
    dovetail_reads(static_cast<const Params*>(nullptr), ListReads{reads_});
    for (int k = 0; k < kReads; ++k) read_pointers_[k] = &reads_[k];
    table_.h = DT_HDR(dt_implementation);
    table_.op = id.op;
    table_.name = id.name;
    table_.device = device != 0 ? device : id.is_cuda() ? DT_DEVICE_CUDA : DT_DEVICE_CPU;
    table_.n_reads = kReads;
    table_.reads = read_pointers_;
    table_.n_rows = kRows;
    table_.rows = row_pointers_;
    table_.create = create;
    table_.destroy = destroy;
    if constexpr (kHasContexts) table_.make_context = make_context;
    if constexpr (kHasContexts) table_.drop_context = drop_context;
    if constexpr (kHasContexts || HasShapeRule<Params>::value) table_.shape_changed = shape_changed;
    implementations.add(&node_, implementation_before);
  }
  RowsImplementation(const RowsImplementation&) = delete;
  RowsImplementation& operator=(const RowsImplementation&) = delete;

 private:
  static constexpr int kReads = dovetail_n_reads(static_cast<const Params*>(nullptr));
  static constexpr size_t kRows = (TableOf<decltype(tables)>::kRows + ...);
  static constexpr bool kHasContexts = (TableOf<decltype(tables)>::kHasState || ...);

  template <const auto& rows, size_t... i>
  void list(size_t* n, std::index_sequence<i...>) {
    ((rows_[*n + i] = RowTrampolines<rows, i, kHasContexts>::table(), row_pointers_[*n + i] = &rows_[*n + i]), ...);
    *n += sizeof...(i);
  }
  static dt_code create(void* call, const char*, uint32_t n, const dt_field* const* fields, void** object) noexcept {
    RowObject<Params>* made = nullptr;
    const dt_code code = guard(call, "", [&] {
      made = new RowObject<Params>();
      dovetail_reads(static_cast<const Params*>(nullptr), FillFields<Params>{made->params, n, fields, made->copies});
      if constexpr (HasFieldRule<Params>::value) made->params.check_fields();
    });
    if (code == DT_OK) {
      *object = made;
    } else {
      delete made;
    }
    return code;
  }
  static void destroy(void* object) noexcept { delete static_cast<RowObject<Params>*>(object); }
  static dt_code make_context(void* call, void* object, void** context) noexcept {
    return guard(call, "", [&] { *context = new RowContext<Params>(params_of<Params>(object)); });
  }
  static void drop_context(void* context) noexcept { delete static_cast<RowContext<Params>*>(context); }
  static const Params& params_in(void* context) {
    if constexpr (kHasContexts) return static_cast<const RowContext<Params>*>(context)->params;
    return params_of<Params>(context);
  }
  static dt_code shape_changed(void* context, const dt_run* run) noexcept {
    return guard(run->call, "", [&] {
      if constexpr (kHasContexts) static_cast<RowContext<Params>*>(context)->planned_by = nullptr;
      if constexpr (HasShapeRule<Params>::value)
        params_in(context).check_shapes(Shapes(run->inputs, run->n_inputs), Shapes(run->outputs, run->n_outputs));
    });
  }

  dt_row rows_[kRows];
  const dt_row* row_pointers_[kRows];
  dt_read reads_[kReads + 1] = {};
  const dt_read* read_pointers_[kReads + 1] = {};
  dt_implementation table_ = {};
  Listed<dt_implementation> node_ = {&table_, nullptr};
};

}  // namespace detail

DOVETAIL_CLOSE_NAMESPACE

// DOVETAIL_IMPLEMENTS("Softmax@1#cpu", SoftmaxParams, kRows): lists an implementation of the op. Its device is CUDA if
// its name is "cuda", else the CPU; DOVETAIL_IMPLEMENTS_ON(DT_DEVICE_CUDA, "Softmax@1#acme.fast", ...) says otherwise.
// One table of rows or more: kSplitRows, kRows.
#define DOVETAIL_IMPLEMENTS(id, Params, ...) DOVETAIL_IMPLEMENTS_(0, id, Params, __LINE__, __VA_ARGS__)
#define DOVETAIL_IMPLEMENTS_ON(device, id, Params, ...) DOVETAIL_IMPLEMENTS_(device, id, Params, __LINE__, __VA_ARGS__)
#define DOVETAIL_IMPLEMENTS_(device, id, Params, line, ...)                                                        \
  DOVETAIL_NEEDS_LIBRARY                                                                                           \
  namespace {                                                                                                      \
  constexpr ::dovetail::detail::ImplementationId<sizeof(id)> DOVETAIL_JOIN(dovetail_id_, line){id};                \
  static_assert(DOVETAIL_JOIN(dovetail_id_, line).is_complete(),                                                   \
                "an implementation is named op#name, such as \"Softmax@1#cpu\"");                                  \
  const ::dovetail::detail::RowsImplementation<Params, __VA_ARGS__> DOVETAIL_JOIN(dovetail_implementation_, line){ \
      DOVETAIL_JOIN(dovetail_id_, line), device};                                                                  \
  }

#endif
