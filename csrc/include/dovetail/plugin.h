/* SPDX-License-Identifier: Apache-2.0
 *
 * dovetail plugin interface, major 1: the boundary between the host and every library of layers.
 *
 * This header is the specification. It is C11 and needs two standard headers; a library built against it links
 * neither dovetail nor Python and exports one symbol, `dovetail_plugin_entry_v1`. plugin.hpp wraps it for authors who
 * write C++.
 *
 * How it grows
 *   The major version is part of the entry's name; the minor version is in each struct's header. Every struct starts
 *   with its own size and only grows at the end; a member exists if the size covers it and it is not null (DT_HAS).
 *   Host and library work at the lower of their two minor versions: a higher one is never a reason to refuse. A library
 *   that requires something new names it in `required_extensions`.
 *
 * Rules of the boundary
 *   - A function that can fail returns dt_code; 0 is success. The text goes to dt_host.raise before returning.
 *   - Out-parameters are untouched on failure. No exception crosses; plugin.hpp catches them in its trampolines.
 *   - Arrays hold pointers, never structs: the two sides may know different sizes of the same struct.
 *   - Strings are UTF-8, NUL-terminated, and borrowed for the call unless a comment says otherwise.
 *   - No bool, enum, long or struct by value in a signature.
 *
 * Tags. Each function ends with [class: threads; state; ownership; since].
 *   A  any thread, any time after entry
 *   B  any thread, but never two calls at once on one object
 *   C  any thread, but never two calls at once on one context; calls on several contexts of one object may overlap
 *   D  under the host's loader lock; must not call back into the loader
 */
#ifndef DOVETAIL_PLUGIN_H
#define DOVETAIL_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DT_ABI_MAJOR 1
#define DT_ABI_MINOR 1

/* First in every struct. */
typedef struct dt_hdr {
  uint32_t struct_size; /* bytes, as the side that filled it was compiled */
  uint16_t abi_major, abi_minor;
} dt_hdr;

#define DT_HDR(type) {(uint32_t)sizeof(type), DT_ABI_MAJOR, DT_ABI_MINOR}

/* True if `*p` has `member`. No other test of versions is needed. */
#define DT_HAS(type, p, member) ((p)->h.struct_size >= offsetof(type, member) + sizeof((p)->member) && (p)->member)

/* ---- codes and tables; Python reads them from here --------------------------------------------------------- */

typedef int32_t dt_code;

/* X(name, value, the exception class that Python raises) */
#define DT_CODES(X)                         \
  X(OK, 0, "")                              \
  X(INVALID_ARGUMENT, 1, "FieldValueError") \
  X(UNSUPPORTED, 2, "NoImplementation")     \
  X(OUT_OF_MEMORY, 3, "MemoryLimitError")   \
  X(DEVICE_FAULT, 4, "DeviceFault")         \
  X(PLUGIN_FAILED, 5, "PluginFailed")       \
  X(INCOMPATIBLE, 6, "LibraryRefused")      \
  X(NOT_FOUND, 7, "PluginNotFound")         \
  X(PLAN_CORRUPT, 8, "PlanCorrupt")         \
  X(PLAN_VERSION, 9, "PlanVersionError")    \
  X(SHAPE, 10, "ShapeError")                \
  X(PROFILE, 11, "ProfileError")            \
  X(BINDING, 12, "BindingError")            \
  X(CONFLICT, 13, "PluginConflict")         \
  X(INTERNAL, 14, "DovetailError")

/* X(name, value, bits, DLPack type code, short name in row types, word in log notation)
 * Values are TensorRT's. DLPack codes: 0 int, 1 uint, 2 float, 4 bfloat, 6 bool, 10 float8_e4m3fn. */
#define DT_DATA_TYPES(X)                \
  X(FLOAT, 0, 32, 2, "f32", "Float")    \
  X(HALF, 1, 16, 2, "f16", "Half")      \
  X(INT8, 2, 8, 0, "i8", "Int8")        \
  X(INT32, 3, 32, 0, "i32", "Int32")    \
  X(BOOL, 4, 8, 6, "b8", "Bool")        \
  X(UINT8, 5, 8, 1, "u8", "UInt8")      \
  X(FP8, 6, 8, 10, "f8", "FP8")         \
  X(BF16, 7, 16, 4, "bf16", "BFloat16") \
  X(INT64, 8, 64, 0, "i64", "Int64")

/* X(name, value, lanes, kind, spatial dims, name in row formats)
 *   lanes  channels stored together; the channel extent is padded up to a multiple of it
 *   kind   0  row-major, in the order of the dims
 *          1  blocked: [.., ceil(C/lanes), spatial.., lanes]
 *          2  channels last: [.., spatial.., C]
 *          3  of DLA: has a name, but no kernel uses it
 *   spatial dims  number of dims after the channel axis, which is therefore axis rank - spatial - 1
 * Values are TensorRT's. */
#define DT_TENSOR_FORMATS(X)              \
  X(LINEAR, 0, 1, 0, 0, "linear")         \
  X(CHW2, 1, 2, 1, 2, "chw2")             \
  X(HWC8, 2, 8, 2, 2, "hwc8")             \
  X(CHW4, 3, 4, 1, 2, "chw4")             \
  X(CHW16, 4, 16, 1, 2, "chw16")          \
  X(CHW32, 5, 32, 1, 2, "chw32")          \
  X(DHWC8, 6, 8, 2, 3, "dhwc8")           \
  X(CDHW32, 7, 32, 1, 3, "cdhw32")        \
  X(HWC, 8, 1, 2, 2, "hwc")               \
  X(DLA_LINEAR, 9, 1, 3, 0, "dla_linear") \
  X(DLA_HWC4, 10, 4, 3, 2, "dla_hwc4")    \
  X(HWC16, 11, 16, 2, 2, "hwc16")

/* X(name, value): operations on dimensions; values are TensorRT's. FLOOR_DIV and CEIL_DIV round down and up for
 * negative numbers too; a division by zero is an error that names the dimension. */
#define DT_DIM_OPERATIONS(X) \
  X(SUM, 0)                  \
  X(PROD, 1)                 \
  X(MAX, 2)                  \
  X(MIN, 3)                  \
  X(SUB, 4)                  \
  X(EQUAL, 5)                \
  X(LESS, 6)                 \
  X(FLOOR_DIV, 7)            \
  X(CEIL_DIV, 8)

/* X(name, value, bytes of one element): types of field values. Values are TensorRT's PluginFieldType; TENSOR is
 * dovetail's own, and its data is one dt_tensor. A string is CHAR; its length excludes the terminating NUL, which must
 * be present. */
#define DT_FIELD_TYPES(X) \
  X(FLOAT16, 0, 2)        \
  X(FLOAT32, 1, 4)        \
  X(FLOAT64, 2, 8)        \
  X(INT8, 3, 1)           \
  X(INT16, 4, 2)          \
  X(INT32, 5, 4)          \
  X(CHAR, 6, 1)           \
  X(DIMS, 7, 72)          \
  X(UNKNOWN, 8, 1)        \
  X(BF16, 9, 2)           \
  X(INT64, 10, 8)         \
  X(TENSOR, 64, 0)

/* X(name, value, number of operands, spelling in scalar formulas): operations of epilogues. They compute in float32 by
 * the rules of IEEE 754. A nan operand gives nan, also in MIN and MAX, but not in comparisons and not
 * as SELECT's condition.
 *   comparisons, AND, OR, NOT  give 1 or 0; as operands, all values other than 0 are true
 *   FLOOR_DIV                  floor(a / b)
 *   MOD, FMOD                  remainder with the sign of b, with the sign of a
 *   ROUND                      ties to even
 *   SOFTPLUS                   log(1 + exp(a)) without overflow
 *   SELECT(condition, a, b)    a where the condition is true, else b
 *   CAST                       a converted to the step's data_type: to floats by rounding; to integers by dropping the
 *                              fraction and saturating, nan as 0; to BOOL as a != 0 */
#define DT_STEP_OPERATIONS(X)    \
  X(ADD, 0, 2, "+")              \
  X(SUB, 1, 2, "-")              \
  X(MUL, 2, 2, "*")              \
  X(DIV, 3, 2, "/")              \
  X(FLOOR_DIV, 4, 2, "//")       \
  X(MOD, 5, 2, "%")              \
  X(FMOD, 6, 2, "fmod")          \
  X(POW, 7, 2, "**")             \
  X(MIN, 8, 2, "min")            \
  X(MAX, 9, 2, "max")            \
  X(EQUAL, 10, 2, "==")          \
  X(NOT_EQUAL, 11, 2, "!=")      \
  X(LESS, 12, 2, "<")            \
  X(LESS_EQUAL, 13, 2, "<=")     \
  X(GREATER, 14, 2, ">")         \
  X(GREATER_EQUAL, 15, 2, ">=")  \
  X(AND, 16, 2, "and")           \
  X(OR, 17, 2, "or")             \
  X(NOT, 18, 1, "not")           \
  X(SELECT, 19, 3, "if")         \
  X(NEG, 20, 1, "negative")      \
  X(ABS, 21, 1, "abs")           \
  X(SIGN, 22, 1, "sign")         \
  X(CEIL, 23, 1, "ceil")         \
  X(FLOOR, 24, 1, "floor")       \
  X(ROUND, 25, 1, "round")       \
  X(SQRT, 26, 1, "sqrt")         \
  X(EXP, 27, 1, "exp")           \
  X(EXPM1, 28, 1, "expm1")       \
  X(LOG, 29, 1, "log")           \
  X(LOG1P, 30, 1, "log1p")       \
  X(SIGMOID, 31, 1, "sigmoid")   \
  X(SOFTPLUS, 32, 1, "softplus") \
  X(TANH, 33, 1, "tanh")         \
  X(ERF, 34, 1, "erf")           \
  X(SIN, 35, 1, "sin")           \
  X(COS, 36, 1, "cos")           \
  X(TAN, 37, 1, "tan")           \
  X(ASIN, 38, 1, "asin")         \
  X(ACOS, 39, 1, "acos")         \
  X(ATAN, 40, 1, "atan")         \
  X(SINH, 41, 1, "sinh")         \
  X(COSH, 42, 1, "cosh")         \
  X(ASINH, 43, 1, "asinh")       \
  X(ACOSH, 44, 1, "acosh")       \
  X(ATANH, 45, 1, "atanh")       \
  X(CAST, 46, 1, "")

/* X(name, bit): instruction sets that a row may need; bit 0 is never set. amx: tiles, their products of 8-bit integers and of
 * bfloat16, and the permission of the operating system to use them. */
#define DT_CPU_FEATURES(X) \
  X(sse2, 1)               \
  X(avx2, 2)               \
  X(fma, 3)                \
  X(f16c, 4)               \
  X(avx512, 5)             \
  X(avx512vnni, 6)         \
  X(avx512bf16, 7)         \
  X(avx512fp16, 8)         \
  X(amx, 9)                \
  X(neon, 20)

#define DT_ENUM_ENTRY(name, value, ...) DT_##name = value,
#define DT_TYPE_ENTRY(name, value, ...) DT_TYPE_##name = value,
#define DT_FORMAT_ENTRY(name, value, ...) DT_FORMAT_##name = value,
#define DT_DIM_ENTRY(name, value) DT_DIM_##name = value,
#define DT_FIELD_ENTRY(name, value, bytes) DT_FIELD_##name = value,
#define DT_CPU_ENTRY(name, bit) DT_CPU_##name = bit,
#define DT_STEP_ENTRY(name, value, ...) DT_STEP_##name = value,
enum { DT_CODES(DT_ENUM_ENTRY) };
enum { DT_DATA_TYPES(DT_TYPE_ENTRY) };
enum { DT_TENSOR_FORMATS(DT_FORMAT_ENTRY) };
enum { DT_DIM_OPERATIONS(DT_DIM_ENTRY) };
enum { DT_FIELD_TYPES(DT_FIELD_ENTRY) };
enum { DT_CPU_FEATURES(DT_CPU_ENTRY) };
enum { DT_STEP_OPERATIONS(DT_STEP_ENTRY) };

#define DT_MAX_RANK 8
enum { DT_DEVICE_CPU = 1, DT_DEVICE_CUDA = 2 }; /* DLPack's numbers */
enum { DT_LOG_INTERNAL_ERROR = 0, DT_LOG_ERROR = 1, DT_LOG_WARNING = 2, DT_LOG_INFO = 3, DT_LOG_VERBOSE = 4 };

/* ---- tensors ------------------------------------------------------------------------------------------------ */

/* What DLPack cannot express. */
typedef struct dt_layout {
  dt_hdr h;
  int32_t data_type; /* DT_TYPE_* */
  int32_t format;    /* DT_FORMAT_* */
  float scale;       /* real = stored * scale for INT8; -1 if there is none */
  uint32_t flags;    /* DT_TENSOR_* */
} dt_layout;

enum { DT_TENSOR_CONSTANT = 1 }; /* same contents in every run */

/* The members of DLTensor in their order, then a pointer to dt_layout. `shape` holds logical extents (never padded).
 * `strides` is null if `layout->format` alone says where the elements are. `data` is aligned to 64 bytes on the CPU and
 * to 256 on CUDA unless it is a buffer of the user's. It is never null, even for an empty tensor, except for a constant
 * that the row `replaces`. For an absent optional input, the pointer to the dt_tensor itself is null. */
typedef struct dt_tensor {
  void* data;
  int32_t device_type, device_id;
  int32_t ndim;
  uint8_t type_code, type_bits;
  uint16_t type_lanes;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset; /* always 0 when the host calls */
  const dt_layout* layout;
} dt_tensor;

/* A tensor while planning. Unknown extents are -1 in `dims`; min, opt and max come from the profile, and are equal to
 * `dims` where the extent is known. */
typedef struct dt_desc {
  dt_hdr h;
  int32_t ndim;
  int32_t data_type, format;
  float scale;
  uint32_t flags;
  const void* data; /* contents of a constant in host memory, in `format`; else null. See dt_row.replaces */
  int64_t dims[DT_MAX_RANK], min[DT_MAX_RANK], opt[DT_MAX_RANK], max[DT_MAX_RANK];
} dt_desc;

/* ---- fields --------------------------------------------------------------------------------------------------- */

/* A value. Borrowed for the call: copy what you keep. */
typedef struct dt_field {
  dt_hdr h;
  const char* name;
  int32_t type;   /* DT_FIELD_* */
  int64_t length; /* elements */
  const void* data;
} dt_field;

/* Which values a field may have. */
typedef struct dt_field_spec {
  dt_hdr h;
  const char* name;
  int32_t type;
  int64_t min_length, max_length; /* 1, 1 for a scalar; max -1: no limit */
  int32_t required;               /* 0: if not given, default_value is used; null: it is left out */
  const dt_field* default_value;
  double low, high; /* inclusive; NaN: no bound */
  const char* doc;
} dt_field_spec;

/* A field that an implementation reads; compared with the op's fields when the library is opened. */
typedef struct dt_read {
  dt_hdr h;
  const char* name;
  int32_t type;
  int64_t max_length; /* 1: a scalar */
  const char* where;  /* "file:line", for the message if the two differ */
} dt_read;

/* ---- dims expressions ------------------------------------------------------------------------------------------ */

typedef struct dt_expr dt_expr; /* owned by the builder; must not be used after the call has returned */

typedef struct dt_dims_exprs {
  int32_t ndim; /* -1: failure */
  const dt_expr* d[DT_MAX_RANK];
} dt_dims_exprs;

typedef struct dt_expr_builder {
  dt_hdr h;
  void* self;
  /* The constant v. [B: the caller's thread; during infer_dims; owned by the builder; since 1.0] */
  const dt_expr* (*constant)(void* self, int64_t v);
  /* a op b, DT_DIM_*; null for an unknown op or a null operand. [as above] */
  const dt_expr* (*operation)(void* self, int32_t op, const dt_expr* a, const dt_expr* b);
  /* 1, and *value is set, if e is known now; else 0, and *value is untouched. [as above] */
  int32_t (*constant_value)(void* self, const dt_expr* e, int64_t* value);
  /* An extent known only after the kernel has run: output `index` is a 0-D INT32 or INT64 tensor that holds it; `opt`
   * and `upper` are expressions. Null if the host does not support this. [as above] */
  const dt_expr* (*size_tensor)(void* self, int32_t index, const dt_expr* opt, const dt_expr* upper);
} dt_expr_builder;

/* ---- what the host offers ---------------------------------------------------------------------------------------- */

typedef struct dt_host {
  dt_hdr h;
  const char* name;    /* "dovetail" */
  const char* version; /* of the distribution */
  /* Sets the message for the code that is about to be returned; `call` is the argument of that function. If called more
   * than once, the last message counts. `kind` is the class of the failure ("std::runtime_error") or null; `file` may
   * be null. [A; copies; since 1.0] */
  void (*raise)(void* call, dt_code code, const char* kind, const char* message, const char* file, int32_t line);
  /* Writes a line to the user's logger; `level` is one of DT_LOG_*. [A; copies; since 1.0] */
  void (*log)(void* call, int32_t level, const char* message);
  /* Appends n bytes to the data that this call returns. [A; copies; since 1.0] */
  dt_code (*emit)(void* call, const void* bytes, uint64_t n);
  /* Zeroed memory that the host frees when the call ends; null if memory is exhausted. [A; host owns; since 1.0] */
  void* (*alloc)(void* call, uint64_t n, uint64_t align);
  /* A table by id ("dovetail.trace/1"), or null if the host does not know it. [A; host owns; since 1.0] */
  const void* (*extension)(const char* id);
  /* As emit, of the first n bytes of memory that alloc returned in this call. Nothing may write into it any more, so
   * that the host need not copy it. [A; host owns; since 1.1] */
  dt_code (*give)(void* call, const void* memory, uint64_t n);
} dt_host;

/* Threads of the host. Only inside enqueue. */
typedef struct dt_pool {
  dt_hdr h;
  void* self;
  int32_t n_threads;
  /* Call fn(arg, task) for task in 0..n_tasks-1, spread over the threads; returns when all are done. fn must not throw
   * and must not call run again. [C: the thread that was handed the pool; since 1.0] */
  void (*run)(void* self, int32_t n_tasks, void (*fn)(void* arg, int32_t task), void* arg);
} dt_pool;

/* Where to enqueue work. kind 0: there is no stream (CPU); compute before returning. kind 1: handle is a cudaStream_t,
 * which may be null; enqueue only, never synchronise. */
typedef struct dt_stream {
  dt_hdr h;
  int32_t kind;
  int32_t device_id;
  void* handle;
} dt_stream;

/* ---- epilogues: pointwise layers that a kernel computes on its result before storing it ------------------------- */

/* Where an operand of a step comes from. */
enum {
  DT_OPERAND_RESULT = 0,   /* what the kernel computed: an element of output 0, before it is stored */
  DT_OPERAND_STEP = 1,     /* the value of the earlier step `operand_index` */
  DT_OPERAND_CONSTANT = 2, /* `operand_constant` */
  DT_OPERAND_TENSOR = 3    /* an element of the tensor `operand_index` of the program */
};

/* One operation of a program. */
typedef struct dt_step {
  dt_hdr h;
  int32_t operation; /* DT_STEP_* */
  int32_t n_operands;
  int32_t operand_kind[3]; /* DT_OPERAND_* */
  int32_t operand_index[3];
  float operand_constant[3];
  int32_t layer;     /* the absorbed layer that it belongs to, from 0; all steps of a layer are absorbed, or none */
  int32_t data_type; /* DT_TYPE_* of that layer's output; the type of output 0 if it is the last absorbed layer */
} dt_step;

/* A program that is run for each element of output 0. The value of its last step is stored. Values pass from step to
 * step as float32, without rounding to a narrower type.
 *
 * Tensors (operands)
 *   dims    as many as output 0; each extent is that of output 0, or 1, and then the tensor is broadcast along that
 *   axis type    any, independent of output 0
 *   device  that of output 0
 *   format  that of output 0 if the tensor has the same extents and is not a constant; else linear. dt_layout names it
 *   */
typedef struct dt_epilogue {
  dt_hdr h;
  uint32_t n_steps; /* 1 or more */
  const dt_step* const* steps;
  uint32_t n_tensors;
  const dt_desc* const* descs;     /* while planning; else null */
  const dt_tensor* const* tensors; /* in a run; else null */
} dt_epilogue;

/* One execution of one layer. All pointers live as long as the context; contents may change between runs. */
typedef struct dt_run {
  dt_hdr h;
  void* call; /* for dt_host.raise */
  uint32_t n_inputs, n_outputs;
  const dt_tensor* const* inputs;
  const dt_tensor* const* outputs;
  void* workspace; /* aligned as tensors are; contents undefined */
  uint64_t workspace_bytes;
  const void* packed; /* what prepare emitted, aligned to 64; null if it emitted nothing */
  uint64_t packed_bytes;
  const dt_pool* pool; /* null: one thread */
  const dt_stream* stream;
  const dt_epilogue* epilogue; /* what to compute on output 0 before it is stored; null: nothing; since 1.1 */
} dt_run;

/* ---- an op: what a layer computes -------------------------------------------------------------------------------- */

/* An input or output. types: the legal ones, "f32 f16"; for an output, "=x" is the type of input x; null: infer_type
 * decides. flags: DT_PORT_*. */
typedef struct dt_port {
  dt_hdr h;
  const char* name;
  const char* types;
  uint32_t flags;
  const char* doc;
} dt_port;

enum {
  DT_PORT_OPTIONAL = 1,
  DT_PORT_VARIADIC = 2, /* last one only: any number of tensors, none included */
  DT_PORT_WEIGHTS = 4   /* may be given as a field of the same name; becomes a constant input */
};

typedef struct dt_op {
  dt_hdr h;
  const char* name;       /* "NMS" */
  const char* version;    /* "1" */
  const char* namespace_; /* null: the plugin's */
  const char* doc;
  uint32_t n_fields;
  const dt_field_spec* const* fields;
  uint32_t n_inputs; /* ports; 0 and null where any number of tensors is taken */
  const dt_port* const* inputs;
  uint32_t n_outputs; /* 0 and null: count_outputs decides */
  const dt_port* const* outputs;
  /* An object from fields. The host has checked that each field is one of `fields`, of its type and in range, and has
   * filled in the defaults. [B; build; the caller destroys; since 1.0] */
  dt_code (*create)(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** op);
  /* A copy in the same state. Null: the host creates another object from the same fields.
   * [B; any state; the caller destroys; since 1.0] */
  dt_code (*clone)(void* call, void* op, void** copy);
  /* [B; after all its contexts were dropped; since 1.0] */
  void (*destroy)(void* op);
  /* Emit what load needs. Null: the fields are stored instead and create is called at load.
   * [B; configured; since 1.0] */
  dt_code (*save)(void* call, void* op);
  dt_code (*load)(void* call, const char* layer, const void* bytes, uint64_t n, void** op);
  /* Number of outputs. [B; created; since 1.0] */
  dt_code (*count_outputs)(void* call, void* op, int32_t n_inputs, int32_t* n_outputs);
  /* Type of output `index`, DT_TYPE_*. [B; created; since 1.0] */
  dt_code (*infer_type)(void* call, void* op, int32_t index, const int32_t* types, int32_t n_inputs, int32_t* type);
  /* Extents of output `index`. An absent optional input is null.
   * [B; created; expressions belong to the builder; since 1.0] */
  dt_code (*infer_dims)(void* call, void* op, int32_t index, const dt_dims_exprs* const* inputs, int32_t n_inputs,
                        const dt_expr_builder* builder, dt_dims_exprs* out);
} dt_op;

/* ---- an implementation: one way to compute an op on one device --------------------------------------------------- */

enum {
  DT_TRAIT_OP_OBJECT = 1,    /* works on the op's object (a V2DynamicExt class); create is null */
  DT_TRAIT_CAPTURE_SAFE = 2, /* enqueue may be captured into a CUDA graph */
  DT_TRAIT_IN_PLACE = 4,     /* output 0 may share the memory of input 0 */
  DT_TRAIT_PYTHON = 8,       /* takes the interpreter lock */
  /* Of a row: it sums products of transformed inputs, as Winograd's convolution does, so that its rounding errors are
   * several times those of plain sums; a build may be told to leave such rows out. Since 1.1 */
  DT_TRAIT_WINOGRAD = 16
};

/* One complete assignment of types and formats, and the function that computes it.
 *   types    one word per tensor, inputs "->" outputs: "f32 f32 f32 -> f32". "f32|f16 -> f32|f16" lists alternatives;
 *            all words take the alternative of the same index. A last input word "f32..." repeats. Words of absent
 *            optional inputs are skipped.
 *   formats  in the same way; null: linear for all; a single word counts for all tensors. On a device other than the
 *            CPU, "linear@cpu" means that this tensor is in host memory, as in copies between devices. */
typedef struct dt_row {
  dt_hdr h;
  const char* tactic;
  uint64_t needs;  /* 1 << DT_CPU_* for each instruction set; 0: any machine */
  int32_t min_sm;  /* CUDA: 80, 90; 0: any */
  uint32_t traits; /* DT_TRAIT_* */
  const char* types;
  const char* formats;
  /* Can this row compute these tensors? DT_OK, or DT_UNSUPPORTED with a message. Null: yes. Called while building, and
   * again when a plan is loaded, since a plan may have been changed. [B; created; since 1.0] */
  dt_code (*fits)(void* call, void* object, const dt_desc* const* inputs, int32_t n_inputs,
                  const dt_desc* const* outputs, int32_t n_outputs);
  /* Emit a packed form of the constants (desc->data), to be stored in the plan. Null: none. The same constants must
   * give the same bytes, since a row that `replaces` inputs may be asked to pack them again when a plan is loaded.
   * [B; configured; since 1.0] */
  dt_code (*prepare)(void* call, void* object, const dt_desc* const* inputs, int32_t n_inputs,
                     const dt_desc* const* outputs, int32_t n_outputs);
  /* Scratch for extents up to max. Null: 0 bytes. [B; configured; since 1.0] */
  dt_code (*workspace)(void* call, void* object, const dt_desc* const* inputs, int32_t n_inputs,
                       const dt_desc* const* outputs, int32_t n_outputs, int32_t n_threads, uint64_t* bytes);
  /* Compute. `context` is the object itself where make_context is null. [C; since 1.0] */
  dt_code (*enqueue)(void* context, const dt_run* run);
  /* Writes to *n_steps how many of the program's steps, counted from the first, enqueue can compute on output 0. Null:
   * none. In a run, dt_run.epilogue then holds those steps, or fewer, always whole layers; output 0 has the data_type
   * of the last of them. `outputs` describe the layer without the epilogue, as in all functions that plan. Called where
   * `fits` is, if the row fits. [B; created; since 1.1] */
  dt_code (*absorb)(void* call, void* object, const dt_desc* const* inputs, int32_t n_inputs,
                    const dt_desc* const* outputs, int32_t n_outputs, const dt_epilogue* program, uint32_t* n_steps);
  /* Bit 1 << i is set for each input i that enqueue does not read if it is a constant and `packed` is not null, because
   * it reads what prepare emitted instead. The plan then keeps only one of the two: the packed form unless that is
   * larger. `data` of such an input may therefore be null in dt_run, and in dt_desc except in prepare; its flag
   * DT_TENSOR_CONSTANT is still set. 0: the plan keeps both. Since 1.1 */
  uint64_t replaces;
  /* Extents became known or changed: put what follows from them (geometry, grain sizes, tables of tasks) into the
   * context, so that enqueue only computes. Called as shape_changed is, and after it; unlike it, it knows which row
   * runs. A host of 1.0 does not call it. Null: nothing to do. [C; since 1.1] */
  dt_code (*plan)(void* context, const dt_run* run);
} dt_row;

typedef struct dt_implementation {
  dt_hdr h;
  const char* op;   /* "Convolution@1", "acme::NMS@2" */
  const char* name; /* "cpu", "acme.winograd": the full id is op#name */
  int32_t device;   /* DT_DEVICE_* */
  uint32_t traits;
  uint32_t n_reads;
  const dt_read* const* reads;
  /* Rows, best first. Without rows, `supports` is called position by position, and the `enqueue` below runs. */
  uint32_t n_rows;
  const dt_row* const* rows;
  /* Sets *yes to 1 if in_out[pos] is supported together with the positions before it, else to 0. Positions after it are
   * not filled. Called where `fits` of a row is. [B; created; since 1.0] */
  dt_code (*supports)(void* call, void* object, int32_t pos, const dt_desc* const* in_out, int32_t n_inputs,
                      int32_t n_outputs, int32_t* yes);
  /* As in dt_op; both null with DT_TRAIT_OP_OBJECT. When a plan is loaded, objects are created from the fields again.
   * */
  dt_code (*create)(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** object);
  void (*destroy)(void* object);
  /* Receives the tensors, with the range of the profile, before prepare, workspace and make_context are called.
   * [B; created; since 1.0] */
  dt_code (*configure)(void* call, void* object, const dt_desc* const* inputs, int32_t n_inputs,
                       const dt_desc* const* outputs, int32_t n_outputs);
  /* Scratch if there are no rows; as in dt_row. [B; configured; since 1.0] */
  dt_code (*workspace)(void* call, void* object, const dt_desc* const* inputs, int32_t n_inputs,
                       const dt_desc* const* outputs, int32_t n_outputs, int32_t n_threads, uint64_t* bytes);
  /* Holds everything that an execution changes. Null: the object itself is used.
   * [B; configured; drop_context frees; since 1.0] */
  dt_code (*make_context)(void* call, void* object, void** context);
  void (*drop_context)(void* context);
  /* Shapes changed since the last enqueue, or this is the first; pointers in `run` may be null. [C; since 1.0] */
  dt_code (*shape_changed)(void* context, const dt_run* run);
  /* Computes if there are no rows. [C; since 1.0] */
  dt_code (*enqueue)(void* context, const dt_run* run);
} dt_implementation;

/* ---- a library --------------------------------------------------------------------------------------------------- */

typedef struct dt_plugin {
  dt_hdr h;
  const char *name, *version, *namespace_, *vendor, *license, *url; /* static storage; all but name may be null */
  uint32_t n_required_extensions;
  const char* const* required_extensions;
  /* May be called more than once; each call is followed by one of close. Null: nothing to do. [D; since 1.0] */
  dt_code (*open)(void* call);
  void (*close)(void);
  uint32_t n_ops;
  const dt_op* const* ops;
  uint32_t n_implementations;
  const dt_implementation* const* implementations;
  /* A table of the plugin's by id, or null. [A; plugin owns; since 1.0] */
  const void* (*extension)(const char* id);
} dt_plugin;

/* The one exported symbol. Returns static storage, or null if the library cannot work with this host; it then calls
 * raise first, with a null `call`. The library is opened with RTLD_NOW | RTLD_LOCAL and never unmapped.
 * [D; the host lives as long as the process; since 1.0] */
typedef const dt_plugin* (*dt_plugin_entry)(const dt_host* host);
#define DT_ENTRY_NAME "dovetail_plugin_entry_v1"

#ifdef __cplusplus
}
#endif
#endif
