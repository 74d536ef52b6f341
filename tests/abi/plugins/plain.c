/* SPDX-License-Identifier: Apache-2.0
 * A plugin in C11 on plugin.h alone: plain::Negate@1, one op and one implementation with two rows. */
#include <stdlib.h>
#include <string.h>

#include "dovetail/plugin.h"

static const dt_host* host;

struct negate {
  double scale;
};

static dt_code negate_create(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** op) {
  struct negate* made = calloc(1, sizeof *made);
  (void)layer;
  if (!made) {
    host->raise(call, DT_OUT_OF_MEMORY, NULL, "no memory", __FILE__, __LINE__);
    return DT_OUT_OF_MEMORY;
  }
  made->scale = 1.0;
  for (uint32_t i = 0; i < n; ++i) {
    if (strcmp(fields[i]->name, "scale") == 0) memcpy(&made->scale, fields[i]->data, sizeof made->scale);
  }
  *op = made;
  return DT_OK;
}

static void negate_destroy(void* op) { free(op); }

static dt_code negate_count(void* call, void* op, int32_t n_inputs, int32_t* n_outputs) {
  (void)call, (void)op, (void)n_inputs;
  *n_outputs = 1;
  return DT_OK;
}

static dt_code negate_type(void* call, void* op, int32_t index, const int32_t* types, int32_t n, int32_t* type) {
  (void)call, (void)op, (void)index, (void)n;
  *type = types[0];
  return DT_OK;
}

static dt_code negate_dims(void* call, void* op, int32_t index, const dt_dims_exprs* const* inputs, int32_t n,
                           const dt_expr_builder* builder, dt_dims_exprs* out) {
  (void)call, (void)op, (void)index, (void)n, (void)builder;
  *out = *inputs[0];
  return DT_OK;
}

static dt_code negate_enqueue(void* context, const dt_run* run) {
  const struct negate* self = context;
  const float* x = run->inputs[0]->data;
  float* y = run->outputs[0]->data;
  int64_t n = 1;
  for (int32_t i = 0; i < run->inputs[0]->ndim; ++i) n *= run->inputs[0]->shape[i];
  for (int64_t i = 0; i < n; ++i) y[i] = (float)(-self->scale * x[i]);
  return DT_OK;
}

static const double kOne = 1.0;
static const dt_field kScaleDefault = {DT_HDR(dt_field), "scale", DT_FIELD_FLOAT64, 1, &kOne};
static const dt_field_spec kScale = {
    DT_HDR(dt_field_spec),    "scale", DT_FIELD_FLOAT64, 1, 1, 0, &kScaleDefault, -100.0, 100.0,
    "Factor before the sign."};
static const dt_field_spec* const kFields[] = {&kScale};
static const dt_port kX = {DT_HDR(dt_port), "x", "f32", 0, "Any shape."};
static const dt_port kY = {DT_HDR(dt_port), "y", "=x", 0, "Dims of x."};
static const dt_port *const kInputs[] = {&kX}, *const kOutputs[] = {&kY};

static const dt_op kNegate = {.h = DT_HDR(dt_op),
                              .name = "Negate",
                              .version = "1",
                              .doc = "y = -scale * x",
                              .n_fields = 1,
                              .fields = kFields,
                              .n_inputs = 1,
                              .inputs = kInputs,
                              .n_outputs = 1,
                              .outputs = kOutputs,
                              .create = negate_create,
                              .destroy = negate_destroy,
                              .count_outputs = negate_count,
                              .infer_type = negate_type,
                              .infer_dims = negate_dims};

static const dt_read kReadScale = {DT_HDR(dt_read), "scale", DT_FIELD_FLOAT64, 1, "plain.c:10"};
static const dt_read* const kReads[] = {&kReadScale};
static const dt_row kPlain = {.h = DT_HDR(dt_row),
                              .tactic = "loop",
                              .traits = DT_TRAIT_IN_PLACE,
                              .types = "f32 -> f32",
                              .enqueue = negate_enqueue};
static const dt_row kRow16 = {.h = DT_HDR(dt_row),
                              .tactic = "loop_chw16",
                              .needs = UINT64_C(1) << DT_CPU_avx2,
                              .types = "f32 -> f32",
                              .formats = "chw16",
                              .enqueue = negate_enqueue};
static const dt_row* const kRows[] = {&kPlain, &kRow16};
static const dt_implementation kNegateCpu = {.h = DT_HDR(dt_implementation),
                                             .op = "plain::Negate@1",
                                             .name = "cpu",
                                             .device = DT_DEVICE_CPU,
                                             .n_reads = 1,
                                             .reads = kReads,
                                             .n_rows = 2,
                                             .rows = kRows,
                                             .create = negate_create,
                                             .destroy = negate_destroy};

static const dt_op* const kOps[] = {&kNegate};
static const dt_implementation* const kImplementations[] = {&kNegateCpu};
static const dt_plugin kPlugin = {.h = DT_HDR(dt_plugin),
                                  .name = "plain",
                                  .version = "0.1",
                                  .namespace_ = "plain",
                                  .n_ops = 1,
                                  .ops = kOps,
                                  .n_implementations = 1,
                                  .implementations = kImplementations};

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const dt_plugin* dovetail_plugin_entry_v1(const dt_host* given);

const dt_plugin* dovetail_plugin_entry_v1(const dt_host* given) {
  host = given;
  return &kPlugin;
}
