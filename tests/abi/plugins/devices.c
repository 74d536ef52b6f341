/* SPDX-License-Identifier: Apache-2.0
 * A library that offers a device and nothing else. It is never used, so that one function serves for all.
 *   TYPE      of the device
 *   WITHOUT   a function that the table lacks
 *   OLD       a table that is shorter than any interface had it */
#include <string.h>

#include "dovetail/device.h"

#ifndef TYPE
#define TYPE DT_DEVICE_CUDA
#endif

static dt_code count(void* call, int32_t* n) {
  (void)call;
  *n = 0;
  return DT_UNSUPPORTED;
}
static dt_code info(void* call, int32_t device, dt_device_info* facts) {
  (void)call, (void)device, (void)facts;
  return DT_UNSUPPORTED;
}
static dt_code ask(void* call, int32_t* answer) {
  (void)call, (void)answer;
  return DT_UNSUPPORTED;
}
static dt_code select(void* call, int32_t device) {
  (void)call, (void)device;
  return DT_UNSUPPORTED;
}
static dt_code alloc(void* call, uint64_t bytes, void** memory) {
  (void)call, (void)bytes, (void)memory;
  return DT_UNSUPPORTED;
}
static dt_code device_of(void* call, const void* memory, int32_t* device) {
  (void)call, (void)memory, (void)device;
  return DT_UNSUPPORTED;
}
static dt_code copy(void* call, void* to, const void* from, uint64_t bytes, void* stream) {
  (void)call, (void)to, (void)from, (void)bytes, (void)stream;
  return DT_UNSUPPORTED;
}
static dt_code fill(void* call, void* to, uint8_t value, uint64_t bytes, void* stream) {
  (void)call, (void)to, (void)value, (void)bytes, (void)stream;
  return DT_UNSUPPORTED;
}
static dt_code make(void* call, void** made) {
  (void)call, (void)made;
  return DT_UNSUPPORTED;
}
static dt_code make_event(void* call, int32_t has_time, void** event) {
  (void)call, (void)has_time, (void)event;
  return DT_UNSUPPORTED;
}
static dt_code on(void* call, void* one) {
  (void)call, (void)one;
  return DT_UNSUPPORTED;
}
static dt_code on_two(void* call, void* one, void* other) {
  (void)call, (void)one, (void)other;
  return DT_UNSUPPORTED;
}
static dt_code is_capturing(void* call, void* stream, int32_t* yes) {
  (void)call, (void)stream, (void)yes;
  return DT_UNSUPPORTED;
}
static dt_code elapsed(void* call, void* from, void* to, float* milliseconds) {
  (void)call, (void)from, (void)to, (void)milliseconds;
  return DT_UNSUPPORTED;
}
static void drop(void* one) { (void)one; }

static dt_device_api table = {.h = DT_HDR(dt_device_api),
                              .device_type = TYPE,
                              .version = "none",
                              .count = count,
                              .info = info,
                              .current = ask,
                              .select = select,
                              .alloc = alloc,
                              .free = drop,
                              .alloc_host = alloc,
                              .free_host = drop,
                              .device_of = device_of,
                              .copy = copy,
                              .fill = fill,
                              .make_stream = make,
                              .drop_stream = drop,
                              .wait_for_stream = on,
                              .is_capturing = is_capturing,
                              .make_event = make_event,
                              .drop_event = drop,
                              .record = on_two,
                              .wait_for_event = on,
                              .stream_wait_for_event = on_two,
                              .elapsed = elapsed};

static const void* extension(const char* id) {
#ifdef WITHOUT
  table.WITHOUT = 0;
#endif
#ifdef OLD
  table.h.struct_size = 16;
#endif
  return strcmp(id, DT_DEVICE_EXTENSION) == 0 ? &table : 0;
}

static const dt_plugin plugin = {
    .h = DT_HDR(dt_plugin), .name = "devices", .version = "0.1", .namespace_ = "abi", .extension = extension};

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const dt_plugin* dovetail_plugin_entry_v1(const dt_host* host);

const dt_plugin* dovetail_plugin_entry_v1(const dt_host* host) {
  (void)host;
  return &plugin;
}
