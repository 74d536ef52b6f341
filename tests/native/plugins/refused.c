/* SPDX-License-Identifier: Apache-2.0
 * A library that is right in everything but what the macros change. */
#include <math.h>
#include <stddef.h>

#include "dovetail/plugin.h"

#define EXPORT __attribute__((visibility("default")))

#ifndef ENTRY
#define ENTRY dovetail_plugin_entry_v1
#endif
#ifndef PLUGIN_NAME
#define PLUGIN_NAME "refused"
#endif
#ifndef PLUGIN_SIZE
#define PLUGIN_SIZE sizeof(dt_plugin)
#endif
#ifndef MAJOR
#define MAJOR DT_ABI_MAJOR
#endif
#ifndef OP_SIZE
#define OP_SIZE sizeof(dt_op)
#endif
#ifndef IMPLEMENTED
#define IMPLEMENTED "refused::Op@1"
#endif
#ifndef IMPLEMENTATION
#define IMPLEMENTATION "plain"
#endif
#ifndef IMPLEMENTATION_TRAITS
#define IMPLEMENTATION_TRAITS 0
#endif
#ifndef TYPES
#define TYPES "f32 f16... -> f32"
#endif
#ifndef REPLACES
#define REPLACES 0
#endif
#ifndef FORMATS
#define FORMATS "linear"
#endif
#ifndef ENQUEUE
#define ENQUEUE enqueue
#endif
#ifndef OPS
#define OPS &op
#endif
#ifndef IMPLEMENTATIONS
#define IMPLEMENTATIONS &implementation
#endif
#ifndef OUTPUT_TYPES
#define OUTPUT_TYPES "=x"
#endif
#ifndef DEFAULT_TYPE
#define DEFAULT_TYPE DT_FIELD_INT32
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef N_OPS
#define N_OPS sizeof(ops) / sizeof(ops[0])
#endif
#ifndef N_FIELDS
#define N_FIELDS 1
#endif
#ifndef FIELD_NAME
#define FIELD_NAME "mode"
#endif
#ifndef FIELD_DOC
#define FIELD_DOC NULL
#endif
#ifndef LENGTHS
#define LENGTHS 1, 1
#endif
#ifndef RANGE
#define RANGE NAN, NAN
#endif
#ifndef DEFAULT_LENGTH
#define DEFAULT_LENGTH 1
#endif
#ifndef NEEDS
#define NEEDS 0
#endif
#ifndef EXTENSIONS
#define N_EXTENSIONS 0
#define EXTENSIONS NULL
#else
#define N_EXTENSIONS 2
#endif
#ifndef OPEN_CODE
#define OPEN_CODE DT_OK
#endif

static const dt_host* host;

static inline dt_code create(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** op) {
  (void)call, (void)layer, (void)n, (void)fields;
  *op = NULL;
  return DT_OK;
}
static void destroy(void* op) { (void)op; }
static dt_code infer_dims(void* call, void* op, int32_t index, const dt_dims_exprs* const* inputs, int32_t n,
                          const dt_expr_builder* b, dt_dims_exprs* out) {
  (void)call, (void)op, (void)index, (void)n, (void)b;
  *out = *inputs[0];
  return DT_OK;
}
static inline dt_code enqueue(void* context, const dt_run* run) {
  (void)context, (void)run;
  return DT_OK;
}
static dt_code open_it(void* call) {
  if (OPEN_CODE) host->raise(call, OPEN_CODE, NULL, "the licence has run out", "shop.c", 12);
  return OPEN_CODE;
}

static const int32_t one = 1;
static const dt_field value = {DT_HDR(dt_field), "mode", DEFAULT_TYPE, DEFAULT_LENGTH, &one};
static const dt_field_spec mode = {
    DT_HDR(dt_field_spec), FIELD_NAME, DT_FIELD_INT32, LENGTHS, 0, &value, RANGE, FIELD_DOC};
static const dt_field_spec* const fields[] = {&mode};
static const dt_port x = {DT_HDR(dt_port), "x", "f32 f16", 0, NULL};
static const dt_port y = {DT_HDR(dt_port), "y", OUTPUT_TYPES, 0, NULL};
static const dt_port* const inputs[] = {&x};
static const dt_port* const outputs[] = {&y};
static const dt_op op = {{OP_SIZE, DT_ABI_MAJOR, 0},
                         "Op",
                         "1",
                         NULL,
                         NULL,
                         N_FIELDS,
                         fields,
                         1,
                         inputs,
                         1,
                         outputs,
                         CREATE,
                         NULL,
                         destroy,
                         NULL,
                         NULL,
                         NULL,
                         NULL,
                         infer_dims};
static const dt_op* const ops[] = {OPS};
static const dt_row row = {.h = DT_HDR(dt_row),
                           .tactic = "only",
                           .needs = NEEDS,
                           .types = TYPES,
                           .formats = FORMATS,
                           .enqueue = ENQUEUE,
                           .replaces = REPLACES};
static const dt_row* const rows[] = {&row};
static const dt_implementation implementation = {DT_HDR(dt_implementation),
                                                 IMPLEMENTED,
                                                 IMPLEMENTATION,
                                                 DT_DEVICE_CPU,
                                                 IMPLEMENTATION_TRAITS,
                                                 0,
                                                 NULL,
                                                 1,
                                                 rows,
                                                 NULL,
                                                 CREATE,
                                                 destroy,
                                                 NULL,
                                                 NULL,
                                                 NULL,
                                                 NULL,
                                                 NULL,
                                                 NULL};
static const dt_implementation* const implementations[] = {IMPLEMENTATIONS};
static const char* const extensions[] = {"dovetail.future/1", "dovetail.trace/9"};
static const void* const used[] = {extensions, ops, implementations, &op, &implementation};

static const dt_plugin plugin = {{PLUGIN_SIZE, MAJOR, 0},
                                 PLUGIN_NAME,
                                 "1",
                                 "refused",
                                 NULL,
                                 NULL,
                                 NULL,
                                 N_EXTENSIONS,
                                 EXTENSIONS,
                                 open_it,
                                 NULL,
                                 N_OPS,
                                 ops,
                                 sizeof(implementations) / sizeof(implementations[0]),
                                 implementations,
                                 NULL};

EXPORT const dt_plugin* ENTRY(const dt_host* h) {
  host = h;
#ifdef RETURN_NULL
  h->raise(NULL, DT_INCOMPATIBLE, "acme_error", "needs 64 cores", "acme.c", 7);
  return NULL;
#endif
  return used[0] ? &plugin : NULL;
}
