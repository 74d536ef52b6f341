/* SPDX-License-Identifier: Apache-2.0
 * acme::Scale@1: y = x * factor. Everything that a table can have, in C.
 *   #rows   rows in two types; packs the factor, books a workspace, spreads its work over the pool
 *   #op     works on the op's object and is asked position by position
 *   #rude   fails in the member that the field `fail` names */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dovetail/plugin.h"

#ifndef VERSION
#define VERSION "1.2.3"
#endif
#define EXPORT __attribute__((visibility("default")))
#define MEMBER_COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

static const dt_host* host;
static int n_objects = 0, n_contexts = 0;

typedef struct {
  float factor;
  int32_t axes[4];
  int64_t n_axes;
  char fail[32];
  int configured;
} scale;

static dt_code say(void* call, dt_code code, const char* text) {
  host->raise(call, code, "acme_error", text, __FILE__, __LINE__);
  return code;
}

static dt_code fails(void* call, const scale* s, const char* member) {
  return strcmp(s->fail, member) == 0 ? say(call, DT_PLUGIN_FAILED, "as it was told") : DT_OK;
}

/* ---- the op */

static dt_code create(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** op) {
  (void)layer;
  scale* s = calloc(1, sizeof *s);
  s->factor = 2;
  for (uint32_t i = 0; i < n; ++i) {
    const dt_field* f = fields[i];
    if (strcmp(f->name, "factor") == 0) s->factor = *(const float*)f->data;
    if (strcmp(f->name, "fail") == 0) strncpy(s->fail, f->data, sizeof s->fail - 1);
    if (strcmp(f->name, "axes") == 0) {
      s->n_axes = f->length;
      memcpy(s->axes, f->data, sizeof(int32_t) * (size_t)f->length);
    }
  }
  dt_code code = fails(call, s, "create");
  if (code) {
    free(s);
    return code;
  }
  ++n_objects;
  *op = s;
  return DT_OK;
}

static void destroy(void* op) {
  --n_objects;
  free(op);
}

static dt_code clone(void* call, void* op, void** copy) {
  dt_code code = fails(call, op, "clone");
  if (code) return code;
  scale* s = malloc(sizeof *s);
  memcpy(s, op, sizeof *s);
  ++n_objects;
  *copy = s;
  return DT_OK;
}

static dt_code save(void* call, void* op) {
  dt_code code = fails(call, op, "save");
  return code ? code : host->emit(call, op, sizeof(scale));
}

static dt_code load(void* call, const char* layer, const void* bytes, uint64_t n, void** op) {
  (void)layer;
  if (n != sizeof(scale)) return say(call, DT_INVALID_ARGUMENT, "a blob of another size");
  scale* s = malloc(sizeof *s);
  memcpy(s, bytes, sizeof *s);
  ++n_objects;
  *op = s;
  return DT_OK;
}

static dt_code count_outputs(void* call, void* op, int32_t n_inputs, int32_t* n_outputs) {
  dt_code code = fails(call, op, "count_outputs");
  if (code) return code;
  *n_outputs = strcmp(((scale*)op)->fail, "count_negative") == 0 ? -3 : n_inputs;
  return DT_OK;
}

static dt_code infer_type(void* call, void* op, int32_t index, const int32_t* types, int32_t n, int32_t* type) {
  (void)n;
  dt_code code = fails(call, op, "infer_type");
  if (code) return code;
  *type = strcmp(((scale*)op)->fail, "type_unknown") == 0 ? 99 : types[index];
  return DT_OK;
}

/* Extents of the input, the last one as (d + d) / 2, and then, in case of a "ramp", divided by zero. */
static dt_code infer_dims(void* call, void* op, int32_t index, const dt_dims_exprs* const* inputs, int32_t n,
                          const dt_expr_builder* b, dt_dims_exprs* out) {
  (void)n;
  scale* s = op;
  dt_code code = fails(call, s, "infer_dims");
  if (code) return code;
  if (strcmp(s->fail, "silent") == 0) return DT_OUT_OF_MEMORY;
  if (strcmp(s->fail, "strange_code") == 0) return 4711;
  if (strcmp(s->fail, "no_rank") == 0) return DT_OK;
  *out = *inputs[index];
  const int last = out->ndim - 1;
  const dt_expr* twice = b->operation(b->self, DT_DIM_SUM, out->d[last], out->d[last]);
  int64_t two = 2;
  b->constant_value(b->self, b->constant(b->self, strcmp(s->fail, "by_zero") == 0 ? 0 : 2), &two);
  out->d[last] = b->operation(b->self, DT_DIM_FLOOR_DIV, twice, b->constant(b->self, two));
  if (strcmp(s->fail, "bad_operation") == 0) out->d[last] = b->operation(b->self, 77, twice, twice);
  return out->d[last] || strcmp(s->fail, "by_zero") != 0 ? DT_OK : say(call, DT_SHAPE, "no extent");
}

/* ---- implementations */

static dt_code supports(void* call, void* object, int32_t pos, const dt_desc* const* in_out, int32_t n_inputs,
                        int32_t n_outputs, int32_t* yes) {
  (void)n_inputs, (void)n_outputs;
  dt_code code = fails(call, object, "supports");
  if (code) return code;
  *yes = in_out[pos]->format == DT_FORMAT_LINEAR && in_out[pos]->data_type == DT_TYPE_FLOAT;
  return DT_OK;
}

static dt_code fits(void* call, void* object, const dt_desc* const* ins, int32_t n_inputs, const dt_desc* const* outs,
                    int32_t n_outputs) {
  (void)outs, (void)n_inputs, (void)n_outputs;
  dt_code code = fails(call, object, "fits");
  if (code) return code;
  return ins[0]->ndim > 4 ? say(call, DT_UNSUPPORTED, "takes rank 4 at most") : DT_OK;
}

static dt_code configure(void* call, void* object, const dt_desc* const* ins, int32_t n_inputs,
                         const dt_desc* const* outs, int32_t n_outputs) {
  (void)ins, (void)outs, (void)n_inputs, (void)n_outputs;
  dt_code code = fails(call, object, "configure");
  if (!code) ((scale*)object)->configured = 1;
  return code;
}

static dt_code prepare(void* call, void* object, const dt_desc* const* ins, int32_t n_inputs,
                       const dt_desc* const* outs, int32_t n_outputs) {
  (void)ins, (void)outs, (void)n_inputs, (void)n_outputs;
  dt_code code = fails(call, object, "prepare");
  return code ? code : host->emit(call, &((scale*)object)->factor, sizeof(float));
}

static dt_code workspace(void* call, void* object, const dt_desc* const* ins, int32_t n_inputs,
                         const dt_desc* const* outs, int32_t n_outputs, int32_t n_threads, uint64_t* bytes) {
  (void)outs, (void)n_inputs, (void)n_outputs;
  dt_code code = fails(call, object, "workspace");
  if (code) return code;
  *bytes = (uint64_t)ins[0]->max[0] * 4 + (uint64_t)n_threads;
  return DT_OK;
}

static dt_code make_context(void* call, void* object, void** context) {
  dt_code code = fails(call, object, "make_context");
  if (code) return code;
  ++n_contexts;
  *context = object;
  return DT_OK;
}

static void drop_context(void* context) {
  (void)context;
  --n_contexts;
}

static dt_code shape_changed(void* context, const dt_run* run) { return fails(run->call, context, "shape_changed"); }

typedef struct {
  const dt_run* run;
  float factor;
  int64_t n;
} task;

static void one_task(void* arg, int32_t i) {
  const task* t = arg;
  const int64_t begin = t->n * i / 4, end = t->n * (i + 1) / 4;
  const float* x = t->run->inputs[0]->data;
  float* y = t->run->outputs[0]->data;
  for (int64_t j = begin; j < end; ++j) y[j] = x[j] * t->factor;
}

static dt_code enqueue(void* context, const dt_run* run) {
  dt_code code = fails(run->call, context, "enqueue");
  if (code) return code;
  if (run->workspace_bytes && (uintptr_t)run->workspace % 64) return say(run->call, DT_INTERNAL, "crooked workspace");
  if (run->workspace) memset(run->workspace, 1, run->workspace_bytes);
  if (run->packed && (uintptr_t)run->packed % 64) return say(run->call, DT_INTERNAL, "crooked packed blob");
  char* scratch = host->alloc(run->call, 100, 256);
  if (!scratch || (uintptr_t)scratch % 256 || scratch[99]) return say(run->call, DT_INTERNAL, "crooked memory");
  task t = {run, run->packed ? *(const float*)run->packed : ((scale*)context)->factor, 1};
  for (int32_t i = 0; i < run->inputs[0]->ndim; ++i) t.n *= run->inputs[0]->shape[i];
  if (run->pool) {
    run->pool->run(run->pool->self, 4, one_task, &t);
  } else {
    for (int32_t i = 0; i < 4; ++i) one_task(&t, i);
  }
  return DT_OK;
}

/* Second row: how many contexts and objects there are, as int32, for the tests of ownership. */
static dt_code count_living(void* context, const dt_run* run) {
  (void)context;
  int32_t* y = run->outputs[0]->data;
  y[0] = n_objects;
  y[1] = n_contexts;
  return DT_OK;
}

/* ---- the tables */

static const float two = 2.0f;
static const dt_field factor_default = {DT_HDR(dt_field), "factor", DT_FIELD_FLOAT32, 1, &two};
static const dt_field_spec factor = {
    DT_HDR(dt_field_spec), "factor", DT_FIELD_FLOAT32, 1, 1, 0, &factor_default, 0, NAN, "What x is multiplied by."};
static const dt_field_spec axes = {DT_HDR(dt_field_spec), "axes", DT_FIELD_INT32, 0, 4, 0, NULL, NAN, NAN, "Not used."};
static const dt_field_spec fail = {DT_HDR(dt_field_spec), "fail", DT_FIELD_CHAR, 0, -1, 0, NULL, NAN, NAN,
                                   "Who fails."};
static const dt_field_spec weights = {
    DT_HDR(dt_field_spec), "weights", DT_FIELD_TENSOR, 1, 1, 0, NULL, NAN, NAN, "Not used."};
static const dt_field_spec* const fields[] = {&factor, &axes, &fail, &weights};
static const dt_port x = {DT_HDR(dt_port), "x", "f32 i32", 0, "What is scaled."};
static const dt_port y = {DT_HDR(dt_port), "y", "=x", 0, "The product."};
static const dt_port* const inputs[] = {&x};
static const dt_port* const outputs[] = {&y};

static const dt_op scale_op = {DT_HDR(dt_op), "Scale", "1",    NULL, "y = x * factor", MEMBER_COUNT(fields),
                               fields,        1,       inputs, 1,    outputs,          create,
                               clone,         destroy, save,   load, count_outputs,    infer_type,
                               infer_dims};

/* A second op: no clone, no save, its outputs counted by a function, another namespace. */
static const dt_op bare_op = {
    DT_HDR(dt_op), "Bare", "2",     "acme.deep", NULL, MEMBER_COUNT(fields), fields,     0,         NULL, 0, NULL,
    create,        NULL,   destroy, NULL,        NULL, count_outputs,        infer_type, infer_dims};
static const dt_op* const ops[] = {&scale_op, &bare_op};

static const dt_row float_row = {.h = DT_HDR(dt_row),
                                 .tactic = "threads",
                                 .types = "f32 -> f32",
                                 .fits = fits,
                                 .prepare = prepare,
                                 .workspace = workspace,
                                 .enqueue = enqueue};
static const dt_row count_row = {.h = DT_HDR(dt_row),
                                 .tactic = "count",
                                 .needs = 1ull << DT_CPU_sse2,
                                 .min_sm = 80,
                                 .traits = DT_TRAIT_IN_PLACE,
                                 .types = "i32|i8 -> i32|i8",
                                 .formats = "linear",
                                 .enqueue = count_living};
static const dt_row* const rows[] = {&float_row, &count_row};
static const dt_read read_factor = {DT_HDR(dt_read), "factor", DT_FIELD_FLOAT32, 1, "scale.c:1"};
static const dt_read* const reads[] = {&read_factor};
static const dt_implementation with_rows = {DT_HDR(dt_implementation),
                                            "acme::Scale@1",
                                            "rows",
                                            DT_DEVICE_CPU,
                                            DT_TRAIT_IN_PLACE,
                                            1,
                                            reads,
                                            2,
                                            rows,
                                            NULL,
                                            create,
                                            destroy,
                                            configure,
                                            NULL,
                                            make_context,
                                            drop_context,
                                            shape_changed,
                                            NULL};
static const dt_implementation on_op = {DT_HDR(dt_implementation),
                                        "acme::Scale@1",
                                        "op",
                                        DT_DEVICE_CPU,
                                        DT_TRAIT_OP_OBJECT,
                                        0,
                                        NULL,
                                        0,
                                        NULL,
                                        supports,
                                        NULL,
                                        NULL,
                                        configure,
                                        workspace,
                                        NULL,
                                        NULL,
                                        NULL,
                                        enqueue};
static const dt_implementation rude = {DT_HDR(dt_implementation),
                                       "acme::Scale@1",
                                       "rude",
                                       DT_DEVICE_CPU,
                                       0,
                                       0,
                                       NULL,
                                       0,
                                       NULL,
                                       supports,
                                       create,
                                       destroy,
                                       configure,
                                       workspace,
                                       make_context,
                                       drop_context,
                                       shape_changed,
                                       enqueue};
static const dt_implementation* const implementations[] = {&with_rows, &on_op, &rude};

static dt_code open_once(void* call) {
  static int opened = 0;
  if (opened++) return say(call, DT_INTERNAL, "opened twice");
  host->log(call, DT_LOG_INFO, "acme was opened");
  return DT_OK;
}

static const dt_plugin plugin = {DT_HDR(dt_plugin),
                                 "acme",
                                 VERSION,
                                 "acme",
                                 "Acme",
                                 "MIT",
                                 "https://acme.example",
                                 0,
                                 NULL,
                                 open_once,
                                 NULL,
                                 2,
                                 ops,
                                 3,
                                 implementations,
                                 NULL};

EXPORT const dt_plugin* dovetail_plugin_entry_v1(const dt_host* h) {
  host = h;
  return &plugin;
}
