/* SPDX-License-Identifier: Apache-2.0
 *
 * What the runtime needs from a kind of device other than the CPU: memory, streams, events. C11.
 *
 * A library offers the table as its extension "dovetail.device/1" (dt_plugin.extension); the runtime itself links no
 * driver. libdovetail_cuda offers it for DT_DEVICE_CUDA. Rules and tags are those of plugin.h; a function that fails
 * leaves its text with dt_host.raise. Streams and events belong to the device that was current when they were made;
 * a null stream is the device's default stream.
 */
#ifndef DOVETAIL_DEVICE_H
#define DOVETAIL_DEVICE_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DT_DEVICE_EXTENSION "dovetail.device/1"

/* `h.struct_size` is set by the caller: members beyond it are left alone. */
typedef struct dt_device_info {
  dt_hdr h;
  char name[128]; /* "NVIDIA H100 80GB HBM3" */
  int32_t sm;     /* compute capability: 90 */
  int32_t multiprocessors;
  uint64_t memory_bytes;
  char bus[32]; /* PCI address, which distinguishes two cards of one model */
} dt_device_info;

typedef struct dt_device_api {
  dt_hdr h;
  int32_t device_type; /* DT_DEVICE_CUDA */
  const char* version; /* "CUDA 13.0, driver 13.0": of the library and of the driver, once count was called */
  /* How many devices can be used; DT_UNSUPPORTED and the reason if the driver is absent or too old.
   * [A; since 1.0] */
  dt_code (*count)(void* call, int32_t* n);
  dt_code (*info)(void* call, int32_t device, dt_device_info* info); /* [A; since 1.0] */
  /* The device of the calling thread. [A; since 1.0] */
  dt_code (*current)(void* call, int32_t* device);
  dt_code (*select)(void* call, int32_t device);
  /* Memory of the current device, aligned to 256; `free` takes null. [A; the caller frees; since 1.0] */
  dt_code (*alloc)(void* call, uint64_t bytes, void** memory);
  void (*free)(void* memory);
  /* Page-locked memory of the host, which asynchronous copies need. [A; the caller frees; since 1.0] */
  dt_code (*alloc_host)(void* call, uint64_t bytes, void** memory);
  void (*free_host)(void* memory);
  /* The device that owns the memory at this address; -1 for host memory, -2 for host memory that the device can
   * access, too (page-locked). [A; since 1.0] */
  dt_code (*device_of)(void* call, const void* memory, int32_t* device);
  /* Enqueues a copy; its direction follows from the two addresses. [A; since 1.0] */
  dt_code (*copy)(void* call, void* to, const void* from, uint64_t bytes, void* stream);
  dt_code (*fill)(void* call, void* to, uint8_t value, uint64_t bytes, void* stream);
  /* A stream that does not wait for the default stream. [A; the caller drops; since 1.0] */
  dt_code (*make_stream)(void* call, void** stream);
  void (*drop_stream)(void* stream);
  /* Returns when the work enqueued so far is done; DT_DEVICE_FAULT if some of it failed. [A; since 1.0] */
  dt_code (*wait_for_stream)(void* call, void* stream);
  /* Is the stream being captured into a graph? [A; since 1.0] */
  dt_code (*is_capturing)(void* call, void* stream, int32_t* yes);
  /* has_time: elapsed may be called with two such events. [A; the caller drops; since 1.0] */
  dt_code (*make_event)(void* call, int32_t has_time, void** event);
  void (*drop_event)(void* event);
  dt_code (*record)(void* call, void* event, void* stream);
  dt_code (*wait_for_event)(void* call, void* event);                      /* the host waits */
  dt_code (*stream_wait_for_event)(void* call, void* stream, void* event); /* later work of the stream waits */
  dt_code (*elapsed)(void* call, void* from, void* to, float* milliseconds);
} dt_device_api;

#ifdef __cplusplus
}
#endif
#endif
