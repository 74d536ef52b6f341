// SPDX-License-Identifier: Apache-2.0
// Kernels in C for an op that is described elsewhere, in what 1.0 of the interface had: y = 2 * x.
#include "dovetail/plugin.h"

static dt_code enqueue(void* context, const dt_run* run) {
  (void)context;
  const dt_tensor *x = run->inputs[0], *y = run->outputs[0];
  int64_t n = 1;
  for (int32_t axis = 0; axis < x->ndim; ++axis) n *= x->shape[axis];
  for (int64_t i = 0; i < n; ++i) ((float*)y->data)[i] = 2 * ((const float*)x->data)[i];
  return DT_OK;
}

static const dt_row row = {.h = DT_HDR(dt_row), .tactic = "plain", .types = "f32 -> f32", .enqueue = enqueue};
static const dt_row* const rows[] = {&row};
static const dt_implementation implementation = {.h = DT_HDR(dt_implementation),
                                                 .op = "older::Twice@1",
                                                 .name = "c",
                                                 .device = DT_DEVICE_CPU,
                                                 .n_rows = 1,
                                                 .rows = rows};
static const dt_implementation* const implementations[] = {&implementation};
static const dt_plugin plugin = {.h = DT_HDR(dt_plugin),
                                 .name = "older",
                                 .version = "1",
                                 .n_implementations = 1,
                                 .implementations = implementations};

__attribute__((visibility("default"))) const dt_plugin* dovetail_plugin_entry_v1(const dt_host* host);
const dt_plugin* dovetail_plugin_entry_v1(const dt_host* host) {
  (void)host;
  return &plugin;
}
