/* SPDX-License-Identifier: Apache-2.0
 * A library that sets flush-to-zero, denormals-are-zero and rounding upwards wherever it is called, on every thread
 * that it is given; and a kernel that writes down the mode that it finds. x86-64. */
#include <fenv.h>
#include <xmmintrin.h>

#include "dovetail/plugin.h"

static void disturb(void) {
  _mm_setcsr(_mm_getcsr() | 0x8040);
  fesetround(FE_UPWARD);
}

/* A null pool is one thread. */
static void spread(const dt_run* run, int32_t n, void (*task)(void*, int32_t), void* arg) {
  if (run->pool) {
    run->pool->run(run->pool->self, n, task, arg);
    return;
  }
  for (int32_t i = 0; i < n; ++i) task(arg, i);
}

static void disturb_task(void* arg, int32_t task) {
  (void)arg, (void)task;
  disturb();
}

static dt_code set(void* self, const dt_run* run) {
  (void)self;
  const float* x = run->inputs[0]->data;
  float* y = run->outputs[0]->data;
  for (int64_t i = 0; i < run->inputs[0]->shape[0]; ++i) y[i] = x[i];
  disturb();
  spread(run, 64, disturb_task, NULL);
  return DT_OK;
}

static void read_task(void* arg, int32_t task) { ((float*)arg)[task] = (float)(_mm_getcsr() & ~0x3fu); }

static dt_code read_modes(void* self, const dt_run* run) {
  (void)self;
  spread(run, (int32_t)run->outputs[0]->shape[0], read_task, run->outputs[0]->data);
  return DT_OK;
}

static dt_code create(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** object) {
  (void)call, (void)layer, (void)n, (void)fields;
  static int nobody;
  disturb();
  *object = &nobody;
  return DT_OK;
}
static void destroy(void* object) {
  (void)object;
  disturb();
}
static dt_code shape_changed(void* context, const dt_run* run) {
  (void)context, (void)run;
  disturb();
  return DT_OK;
}
static dt_code open_library(void* call) {
  (void)call;
  disturb();
  return DT_OK;
}
__attribute__((constructor)) static void started(void) { disturb(); }

static const dt_row set_row = {.h = DT_HDR(dt_row), .tactic = "set", .types = "f32 -> f32", .enqueue = set};
static const dt_row read_row = {.h = DT_HDR(dt_row), .tactic = "read", .types = "f32 -> f32", .enqueue = read_modes};
static const dt_row *const set_rows[] = {&set_row}, *const read_rows[] = {&read_row};
#define MEMBERS \
  .device = DT_DEVICE_CPU, .n_rows = 1, .create = create, .destroy = destroy, .shape_changed = shape_changed
static const dt_implementation set_c = {
    .h = DT_HDR(dt_implementation), .op = "mode::Set@1", .name = "c", MEMBERS, .rows = set_rows};
static const dt_implementation read_c = {
    .h = DT_HDR(dt_implementation), .op = "mode::Read@1", .name = "c", MEMBERS, .rows = read_rows};
static const dt_implementation* const implementations[] = {&set_c, &read_c};
static const dt_plugin plugin = {.h = DT_HDR(dt_plugin),
                                 .name = "mode",
                                 .version = "1",
                                 .namespace_ = "mode",
                                 .open = open_library,
                                 .n_implementations = 2,
                                 .implementations = implementations};

__attribute__((visibility("default"))) const dt_plugin* dovetail_plugin_entry_v1(const dt_host* host) {
  (void)host;
  disturb();
  return &plugin;
}
