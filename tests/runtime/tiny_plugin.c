/* SPDX-License-Identifier: Apache-2.0
 * A library in C with small layers for the tests of the runtime. It tells its life cycle to the host's log, level
 * VERBOSE, one word an event. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dovetail/plugin.h"

static const dt_host* host;

typedef struct Object {
  char layer[64];
  double factor;
  int64_t value;
} Object;

static void tell(void* call, const char* event, const Object* object) {
  char line[128];
  snprintf(line, sizeof line, "%s %s", event, object->layer);
  host->log(call, DT_LOG_VERBOSE, line);
}

static int64_t volume(const dt_tensor* t) {
  int64_t n = 1;
  for (int32_t i = 0; i < t->ndim; ++i) n *= t->shape[i];
  return n;
}

/* ---- objects */

static dt_code create(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** out) {
  Object* object = calloc(1, sizeof *object);
  if (!object) return DT_OUT_OF_MEMORY;
  snprintf(object->layer, sizeof object->layer, "%s", layer);
  object->factor = 1;
  for (uint32_t i = 0; i < n; ++i) {
    if (strcmp(fields[i]->name, "factor") == 0) object->factor = *(const double*)fields[i]->data;
    if (strcmp(fields[i]->name, "value") == 0) object->value = *(const int64_t*)fields[i]->data;
    if (strcmp(fields[i]->name, "refuse") == 0) {
      free(object);
      host->raise(call, DT_PLUGIN_FAILED, "tiny", "the field says so", "tiny_plugin.c", 40);
      return DT_PLUGIN_FAILED;
    }
  }
  tell(call, "create", object);
  *out = object;
  return DT_OK;
}

static void destroy(void* object) {
  tell(NULL, "destroy", object);
  free(object);
}

static dt_code configure(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                         int32_t n_out) {
  (void)in, (void)n_in, (void)out, (void)n_out;
  tell(call, "configure", object);
  return DT_OK;
}

typedef struct Context {
  Object* object;
  int64_t n; /* elements, as shape_changed saw them */
} Context;

static dt_code make_context(void* call, void* object, void** out) {
  Context* context = calloc(1, sizeof *context);
  if (!context) return DT_OUT_OF_MEMORY;
  context->object = object;
  tell(call, "make_context", object);
  *out = context;
  return DT_OK;
}

static void drop_context(void* context) {
  tell(NULL, "drop_context", ((Context*)context)->object);
  free(context);
}

/* Has y as many elements as each input, of which there is one at least? Plans may say anything. */
static dt_code check_extents(const dt_run* run) {
  int fits = run->n_inputs > 0 && run->inputs[0] && run->n_outputs == 1;
  for (uint32_t i = 0; fits && i < run->n_inputs; ++i)
    fits = !run->inputs[i] || volume(run->inputs[i]) == volume(run->outputs[0]);
  if (fits) return DT_OK;
  host->raise(run->call, DT_SHAPE, NULL, "y must have as many elements as its inputs", NULL, 0);
  return DT_SHAPE;
}

static dt_code shape_changed(void* self, const dt_run* run) {
  Context* context = self;
  const dt_code code = check_extents(run);
  if (code != DT_OK) return code;
  context->n = volume(run->outputs[0]);
  tell(run->call, "shape_changed", context->object);
  return DT_OK;
}

/* ---- y = factor * (a + b); b may be absent */

typedef struct Slices {
  const dt_run* run;
  double factor;
  int64_t n;
  int32_t n_tasks;
} Slices;

static void add_slice(void* arg, int32_t task) {
  const Slices* s = arg;
  const float* a = s->run->inputs[0]->data;
  const float* b = s->run->n_inputs > 1 && s->run->inputs[1] ? s->run->inputs[1]->data : NULL;
  float* y = s->run->outputs[0]->data;
  for (int64_t i = s->n * task / s->n_tasks; i < s->n * (task + 1) / s->n_tasks; ++i)
    y[i] = (float)(s->factor * (a[i] + (b ? b[i] : 0)));
  if (s->run->workspace_bytes) ((unsigned char*)s->run->workspace)[task * 64] = 1;
}

static dt_code add(void* self, const dt_run* run) {
  const Context* context = self;
  Slices slices = {run, context->object->factor, context->n, run->pool ? run->pool->n_threads : 1};
  if (run->pool)
    run->pool->run(run->pool->self, slices.n_tasks, add_slice, &slices);
  else
    add_slice(&slices, 0);
  return DT_OK;
}

static dt_code add_workspace(void* call, void* object, const dt_desc* const* in, int32_t n_in,
                             const dt_desc* const* out, int32_t n_out, int32_t n_threads, uint64_t* bytes) {
  (void)call, (void)object, (void)in, (void)n_in, (void)out, (void)n_out;
  *bytes = 64 * (uint64_t)n_threads;
  return DT_OK;
}

static dt_code add_fits(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                        int32_t n_out) {
  (void)object;
  if (n_in < 1 || !in[0] || n_out != 1) {
    host->raise(call, DT_UNSUPPORTED, NULL, "one or two inputs, one output", NULL, 0);
    return DT_UNSUPPORTED;
  }
  for (int32_t i = 0; i < n_in; ++i) {
    if (!in[i]) continue;
    int same = in[i]->ndim == out[0]->ndim;
    for (int32_t d = 0; same && d < in[i]->ndim; ++d)
      same = in[i]->max[d] == out[0]->max[d] && in[i]->min[d] == out[0]->min[d];
    if (same) continue;
    host->raise(call, DT_UNSUPPORTED, NULL, "all tensors must have one shape", NULL, 0);
    return DT_UNSUPPORTED;
  }
  return DT_OK;
}

/* ---- y = x + packed[0], where packed is what prepare left in the plan */

static dt_code add_packed(void* self, const dt_run* run) {
  const Context* context = self;
  const float* x = run->inputs[0]->data;
  float* y = run->outputs[0]->data;
  if (run->packed_bytes < sizeof(float)) return DT_INVALID_ARGUMENT; /* and says nothing */
  for (int64_t i = 0; i < context->n; ++i) y[i] = x[i] + *(const float*)run->packed;
  return DT_OK;
}

/* ---- y = x + 2 * w, where twice w is packed if w is a constant */

static dt_code twice_fits(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                          int32_t n_out) {
  (void)object, (void)out;
  if (n_in == 2 && in[0] && in[1] && in[1]->ndim == 1 && n_out == 1) return DT_OK;
  host->raise(call, DT_UNSUPPORTED, NULL, "two inputs, the second one with one dim, and one output", NULL, 0);
  return DT_UNSUPPORTED;
}

static dt_code pack_twice(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                          int32_t n_out) {
  (void)object, (void)n_in, (void)out, (void)n_out;
  const float* w = in[1]->data;
  if (!w) return DT_OK;
  for (int64_t i = 0; i < in[1]->dims[0]; ++i) {
    const float twice[2] = {2 * w[i], 0}; /* a row may pack into more than it was given */
    const dt_code code = host->emit(call, twice, sizeof twice);
    if (code != DT_OK) return code;
  }
  return DT_OK;
}

/* The same bytes: the first element by give, from memory that is larger; then one by emit, and the rest by give. */
static dt_code pack_giving(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                           int32_t n_out) {
  (void)object, (void)n_in, (void)out, (void)n_out;
  const float* w = in[1]->data;
  const int64_t n = in[1]->dims[0];
  if (!w || n < 3) return DT_OK;
  float* first = host->alloc(call, (uint64_t)(2 * n + 1) * sizeof(float), 64);
  float* rest = host->alloc(call, (uint64_t)(2 * n) * sizeof(float), 64);
  if (!first || !rest) return DT_OUT_OF_MEMORY;
  first[0] = 2 * w[0];
  const float second[2] = {2 * w[1], 0};
  for (int64_t i = 2; i < n; ++i) rest[2 * (i - 2)] = 2 * w[i];
  dt_code code = host->give(call, first, 2 * sizeof(float));
  if (code == DT_OK) code = host->emit(call, second, sizeof second);
  if (code == DT_OK) code = host->give(call, rest, (uint64_t)(2 * (n - 2)) * sizeof(float));
  return code;
}

static dt_code give_all(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                        int32_t n_out) {
  (void)object, (void)n_in, (void)out, (void)n_out;
  const float* w = in[1]->data;
  float* all = host->alloc(call, (uint64_t)(2 * in[1]->dims[0]) * sizeof(float), 64);
  if (!w || !all) return DT_OUT_OF_MEMORY;
  for (int64_t i = 0; i < in[1]->dims[0]; ++i) all[2 * i] = 2 * w[i];
  return host->give(call, all, (uint64_t)(2 * in[1]->dims[0]) * sizeof(float));
}

/* Not memory of alloc, or more of it than there is. */
static dt_code give_foreign(void* call, void* object, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                            int32_t n_out) {
  static const float foreign[6] = {0};
  (void)object, (void)in, (void)n_in, (void)out, (void)n_out;
  return host->give(call, foreign, sizeof foreign);
}

static dt_code give_too_much(void* call, void* object, const dt_desc* const* in, int32_t n_in,
                             const dt_desc* const* out, int32_t n_out) {
  (void)object, (void)in, (void)n_in, (void)out, (void)n_out;
  return host->give(call, host->alloc(call, 8, 64), 1 << 20);
}

static dt_code pack_trusting(void* call, void* object, const dt_desc* const* in, int32_t n_in,
                             const dt_desc* const* out, int32_t n_out) {
  volatile float first = *(const float*)in[1]->data;
  (void)first;
  return pack_twice(call, object, in, n_in, out, n_out);
}

static dt_code add_twice(void* self, const dt_run* run) {
  const Context* context = self;
  const float *x = run->inputs[0]->data, *w = run->inputs[1]->data, *packed = run->packed;
  float* y = run->outputs[0]->data;
  if (packed && (w || run->packed_bytes < (uint64_t)context->n * 2 * sizeof(float))) return DT_INVALID_ARGUMENT;
  for (int64_t i = 0; i < context->n; ++i) y[i] = x[i] + (packed ? packed[2 * i] : 2 * w[i]);
  return DT_OK;
}

/* ---- square root that refuses negatives, works on the tensors alone */

static dt_code square_root(void* self, const dt_run* run) {
  (void)self;
  const dt_code code = check_extents(run);
  if (code != DT_OK) return code;
  const float* x = run->inputs[0]->data;
  float* y = run->outputs[0]->data;
  const int64_t n = volume(run->inputs[0]);
  for (int64_t i = 0; i < n; ++i) {
    if (x[i] < 0) {
      host->raise(run->call, DT_PLUGIN_FAILED, "domain", "a negative number", "tiny_plugin.c", 150);
      return DT_PLUGIN_FAILED;
    }
    y[i] = sqrtf(x[i]);
  }
  return DT_OK;
}

static dt_code nothing(void* self, const dt_run* run) {
  (void)self, (void)run;
  return DT_OK;
}

/* ---- an op whose object computes: fills y with a value that save keeps, plus the object's own count of runs */

static dt_code save(void* call, void* object) { return host->emit(call, &((Object*)object)->value, sizeof(int64_t)); }

static dt_code load(void* call, const char* layer, const void* bytes, uint64_t n, void** out) {
  if (n != sizeof(int64_t)) {
    host->raise(call, DT_PLUGIN_FAILED, NULL, "the state has another size", NULL, 0);
    return DT_PLUGIN_FAILED;
  }
  const dt_code code = create(call, layer, 0, NULL, out);
  if (code == DT_OK) memcpy(&((Object*)*out)->value, bytes, sizeof(int64_t));
  return code;
}

static dt_code count_outputs(void* call, void* object, int32_t n_inputs, int32_t* n) {
  (void)call, (void)object, (void)n_inputs;
  *n = 1;
  return DT_OK;
}

static dt_code infer_type(void* call, void* object, int32_t index, const int32_t* types, int32_t n, int32_t* type) {
  (void)call, (void)object, (void)index, (void)n;
  *type = types[0];
  return DT_OK;
}

static dt_code infer_dims(void* call, void* object, int32_t index, const dt_dims_exprs* const* inputs, int32_t n,
                          const dt_expr_builder* builder, dt_dims_exprs* out) {
  (void)call, (void)object, (void)index, (void)n, (void)builder;
  *out = *inputs[0];
  return DT_OK;
}

static dt_code fill(void* self, const dt_run* run) {
  const Object* object = self;
  float* y = run->outputs[0]->data;
  const int64_t n = volume(run->outputs[0]);
  for (int64_t i = 0; i < n; ++i) y[i] = (float)object->value;
  return DT_OK;
}

static dt_code supports(void* call, void* object, int32_t pos, const dt_desc* const* in_out, int32_t n_in,
                        int32_t n_out, int32_t* yes) {
  (void)call, (void)object, (void)n_in, (void)n_out;
  *yes = in_out[pos]->data_type == DT_TYPE_FLOAT && in_out[pos]->format == DT_FORMAT_LINEAR;
  return DT_OK;
}

static dt_code supports_anything(void* call, void* object, int32_t pos, const dt_desc* const* in_out, int32_t n_in,
                                 int32_t n_out, int32_t* yes) {
  (void)call, (void)object, (void)pos, (void)in_out, (void)n_in, (void)n_out;
  *yes = 1;
  return DT_OK;
}

/* ---- tables */

static const dt_row plain = {.h = DT_HDR(dt_row),
                             .tactic = "plain",
                             .types = "f32 f32 -> f32",
                             .fits = add_fits,
                             .workspace = add_workspace,
                             .enqueue = add};
static const dt_row other = {
    .h = DT_HDR(dt_row), .tactic = "alien", .needs = (uint64_t)1 << 40, .types = "f32 f32 -> f32", .enqueue = add};
static const dt_row* const add_rows[] = {&other, &plain};
static const dt_row packed_row = {
    .h = DT_HDR(dt_row), .tactic = "packed", .types = "f32 -> f32", .enqueue = add_packed};
static const dt_row* const packed_rows[] = {&packed_row};

static const dt_row twice_row = {.h = DT_HDR(dt_row),
                                 .tactic = "twice",
                                 .types = "f32 f32 -> f32",
                                 .fits = twice_fits,
                                 .prepare = pack_twice,
                                 .enqueue = add_twice,
                                 .replaces = 1 << 1};
static const dt_row never_row = {.h = DT_HDR(dt_row),
                                 .tactic = "never",
                                 .types = "f32 f32 -> f32",
                                 .fits = twice_fits,
                                 .prepare = pack_twice,
                                 .enqueue = add_twice};
/* Without fits: nothing but what the plan has keeps prepare from inputs that are not there. */
static const dt_row trusting_row = {.h = DT_HDR(dt_row),
                                    .tactic = "trusting",
                                    .types = "f32 f32 -> f32",
                                    .prepare = pack_trusting,
                                    .enqueue = add_twice,
                                    .replaces = 1 << 1};
static const dt_row older_row = {.h = {offsetof(dt_row, replaces), DT_ABI_MAJOR, 0},
                                 .tactic = "older",
                                 .types = "f32 f32 -> f32",
                                 .prepare = pack_trusting,
                                 .enqueue = add_twice};
static const dt_row giving_row = {.h = DT_HDR(dt_row),
                                  .tactic = "giving",
                                  .types = "f32 f32 -> f32",
                                  .fits = twice_fits,
                                  .prepare = pack_giving,
                                  .enqueue = add_twice,
                                  .replaces = 1 << 1};
static const dt_row given_row = {.h = DT_HDR(dt_row),
                                 .tactic = "given",
                                 .types = "f32 f32 -> f32",
                                 .fits = twice_fits,
                                 .prepare = give_all,
                                 .enqueue = add_twice,
                                 .replaces = 1 << 1};
static const dt_row foreign_row = {.h = DT_HDR(dt_row),
                                   .tactic = "foreign",
                                   .types = "f32 f32 -> f32",
                                   .fits = twice_fits,
                                   .prepare = give_foreign,
                                   .enqueue = add_twice,
                                   .replaces = 1 << 1};
static const dt_row too_much_row = {.h = DT_HDR(dt_row),
                                    .tactic = "too_much",
                                    .types = "f32 f32 -> f32",
                                    .fits = twice_fits,
                                    .prepare = give_too_much,
                                    .enqueue = add_twice,
                                    .replaces = 1 << 1};
static const dt_row* const twice_rows[] = {&twice_row,  &never_row, &trusting_row, &older_row,
                                           &giving_row, &given_row, &foreign_row,  &too_much_row};

static const dt_read read_factor = {DT_HDR(dt_read), "factor", DT_FIELD_FLOAT64, 1, "tiny_plugin.c:38"};
static const dt_read read_value = {DT_HDR(dt_read), "value", DT_FIELD_INT64, 1, "tiny_plugin.c:39"};
static const dt_read read_refuse = {DT_HDR(dt_read), "refuse", DT_FIELD_INT32, 1, "tiny_plugin.c:40"};
static const dt_read* const reads[] = {&read_factor, &read_value, &read_refuse};

#define OBJECTS create, destroy, configure, NULL, make_context, drop_context, shape_changed
static const dt_implementation add_c = {
    DT_HDR(dt_implementation), "tiny::Add@1", "c", DT_DEVICE_CPU, 0, 3, reads, 2, add_rows, NULL, OBJECTS, NULL};
static const dt_implementation packed_c = {
    DT_HDR(dt_implementation), "tiny::Packed@1", "c", DT_DEVICE_CPU, 0, 3, reads, 1, packed_rows, NULL, OBJECTS, NULL};
static const dt_implementation twice_c = {
    DT_HDR(dt_implementation), "tiny::Twice@1", "c", DT_DEVICE_CPU, 0, 3, reads, 8, twice_rows, NULL, OBJECTS, NULL};
static const dt_implementation root_c = {.h = DT_HDR(dt_implementation),
                                         .op = "tiny::Root@1",
                                         .name = "c",
                                         .device = DT_DEVICE_CPU,
                                         .supports = supports,
                                         .enqueue = square_root};
static const dt_implementation nop_c = {.h = DT_HDR(dt_implementation),
                                        .op = "tiny::Nop@1",
                                        .name = "c",
                                        .device = DT_DEVICE_CPU,
                                        .supports = supports_anything,
                                        .enqueue = nothing};
static const dt_implementation fill_v2 = {.h = DT_HDR(dt_implementation),
                                          .op = "tiny::Fill@1",
                                          .name = "v2",
                                          .device = DT_DEVICE_CPU,
                                          .traits = DT_TRAIT_OP_OBJECT,
                                          .supports = supports,
                                          .configure = configure,
                                          .enqueue = fill};

static const dt_field_spec value_field = {DT_HDR(dt_field_spec),   "value", DT_FIELD_INT64, 1, 1, 1, NULL, -1e9, 1e9,
                                          "What y is filled with."};
static const dt_field_spec* const fill_fields[] = {&value_field};
static const dt_op fill_op = {.h = DT_HDR(dt_op),
                              .name = "Fill",
                              .version = "1",
                              .doc = "y = value",
                              .n_fields = 1,
                              .fields = fill_fields,
                              .create = create,
                              .destroy = destroy,
                              .save = save,
                              .load = load,
                              .count_outputs = count_outputs,
                              .infer_type = infer_type,
                              .infer_dims = infer_dims};

static const dt_op* const ops[] = {&fill_op};
static const dt_implementation* const implementations[] = {&add_c, &packed_c, &twice_c, &root_c, &nop_c, &fill_v2};
static const dt_plugin plugin = {
    DT_HDR(dt_plugin), "tiny", "0.3", "tiny", "tests", "Apache-2.0", NULL, 0, NULL, NULL, NULL, 1, ops, 6,
    implementations,   NULL};

__attribute__((visibility("default"))) const dt_plugin* dovetail_plugin_entry_v1(const dt_host* with) {
  host = with;
  return &plugin;
}
