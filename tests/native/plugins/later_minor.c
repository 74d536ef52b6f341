/* SPDX-License-Identifier: Apache-2.0
 * A library of interface 1.7: its structs have members behind those that minor 0 knows. */
#include <stddef.h>

#include "dovetail/plugin.h"

#define LATER(type) {(uint32_t)sizeof(type), DT_ABI_MAJOR, 7}

typedef struct {
  dt_row known;
  void* unknown[3];
} later_row;
typedef struct {
  dt_implementation known;
  const char* unknown;
} later_implementation;
typedef struct {
  dt_op known;
  int64_t unknown[5];
} later_op;
typedef struct {
  dt_plugin known;
  void* unknown;
} later_plugin;

static dt_code create(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** op) {
  (void)call, (void)layer, (void)n, (void)fields;
  *op = NULL;
  return DT_OK;
}
static dt_code infer_dims(void* call, void* op, int32_t index, const dt_dims_exprs* const* inputs, int32_t n,
                          const dt_expr_builder* b, dt_dims_exprs* out) {
  (void)call, (void)op, (void)n, (void)b;
  *out = *inputs[index];
  return DT_OK;
}
static dt_code enqueue(void* context, const dt_run* run) {
  (void)context;
  *(float*)run->outputs[0]->data = 7.0f;
  return DT_OK;
}

static const dt_port x = {DT_HDR(dt_port), "x", "f32", 0, NULL};
static const dt_port* const ports[] = {&x};
static const later_op op = {{LATER(later_op), "Later", "1", NULL, NULL, 0, NULL, 1, ports, 1, ports, create, NULL, NULL,
                             NULL, NULL, NULL, NULL, infer_dims},
                            {1, 2, 3, 4, 5}};
static const dt_op* const ops[] = {&op.known};
static const later_row row = {
    .known = {.h = LATER(later_row), .tactic = "later", .types = "f32 -> f32", .formats = "", .enqueue = enqueue}};
static const dt_row* const rows[] = {&row.known};
static const later_implementation implementation = {
    {LATER(later_implementation), "Later@1", "cpu", DT_DEVICE_CPU, 0, 0, NULL, 1, rows, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL},
    "unknown"};
static const dt_implementation* const implementations[] = {&implementation.known};
static const later_plugin plugin = {
    {LATER(later_plugin), "later", "1", NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 1, ops, 1, implementations, NULL},
    NULL};

__attribute__((visibility("default"))) const dt_plugin* dovetail_plugin_entry_v1(const dt_host* host) {
  (void)host;
  return &plugin.known;
}
