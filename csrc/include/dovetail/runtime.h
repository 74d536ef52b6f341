/* SPDX-License-Identifier: Apache-2.0
 *
 * dovetail runtime: run a stored plan without Python. C11; link libdovetail. runtime.hpp wraps it for C++.
 *
 *   dt_runtime_load_library("libdovetail_cpu.so");           plugins that the plan needs
 *   dt_engine_load_file("net.plan", 0, &engine);
 *   dt_context_create(engine, 0, 1, &context);
 *   dt_context_set_input_shape(context, 0, 2, dims);         only where the plan leaves extents open
 *   dt_context_set_address(context, 0, x, sizeof x);         inputs first, then outputs, counted from 0
 *   dt_context_set_address(context, 1, y, sizeof y);
 *   dt_context_execute(context, NULL);
 *
 * Every function returns DT_OK or an error code of plugin.h; dt_last_error() then returns the text. Out-parameters are
 * untouched on failure. An engine may be used by many threads at once, a context by one at a time: a call on a context
 * that another thread is using returns DT_BINDING and changes nothing. A context keeps its engine.
 */
#ifndef DOVETAIL_RUNTIME_H
#define DOVETAIL_RUNTIME_H

#include "plugin.h"

#if defined(_WIN32)
#define DT_API
#else
#define DT_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dt_engine dt_engine;
typedef struct dt_context dt_context;

/* An input or output. `h.struct_size` is set by the caller: members beyond it are left alone. */
typedef struct dt_io_info {
  dt_hdr h;
  const char* name; /* lives as long as the engine */
  int32_t is_input;
  int32_t data_type, format; /* DT_TYPE_*, DT_FORMAT_* */
  float scale;
  int32_t ndim;
  int64_t dims[DT_MAX_RANK]; /* -1: open, set by dt_context_set_input_shape or computed */
  int32_t device_type;       /* DT_DEVICE_*: the device that its memory must be on */
  int32_t device_id;
} dt_io_info;

/* ---- the process */

DT_API const char* dt_runtime_version(void);
/* Text of the last failure in this thread: a sentence, facts, what to do; "" if there was none. Valid until the next
 * failure. */
DT_API const char* dt_last_error(void);
/* Opens a library of plugins and registers its implementations for plans that are loaded later. Loading the same file
 * again is not an error. If another library has registered one of the implementations, the result is DT_CONFLICT and
 * nothing is registered. */
DT_API dt_code dt_runtime_load_library(const char* path);
/* Sets the function that receives log lines (DT_LOG_*). Null: warnings and errors go to stderr. `sink` may be called by
 * any thread. */
DT_API void dt_runtime_set_log(void (*sink)(int32_t level, const char* message));

/* ---- engines */

/* The file is mapped and must not change while the engine lives. n_threads 0: DOVETAIL_NUM_THREADS, or all cores. A
 * plan for CUDA goes to the calling thread's current device and needs libdovetail_cuda.so, loaded before. */
DT_API dt_code dt_engine_load_file(const char* path, int32_t n_threads, dt_engine** engine);
/* The bytes must live and stay as they are while the engine lives. At an address that is a multiple of 64 they are used
 * in place, else copied once. */
DT_API dt_code dt_engine_load_memory(const void* bytes, uint64_t n, int32_t n_threads, dt_engine** engine);
DT_API void dt_engine_destroy(dt_engine* engine); /* contexts may outlive it; null is fine */
DT_API dt_code dt_engine_io_count(const dt_engine* engine, int32_t* n_inputs, int32_t* n_outputs);
/* DT_DEVICE_* and the index that the engine was loaded for. */
DT_API dt_code dt_engine_device(const dt_engine* engine, int32_t* device_type, int32_t* device_id);
DT_API dt_code dt_engine_io_info(const dt_engine* engine, int32_t io, dt_io_info* info);
DT_API dt_code dt_engine_io_index(const dt_engine* engine, const char* name, int32_t* io);
DT_API dt_code dt_engine_profile_count(const dt_engine* engine, int32_t* n_profiles);
/* Legal extents of an input; each array has room for DT_MAX_RANK and may be null. */
DT_API dt_code dt_engine_profile_shape(const dt_engine* engine, int32_t profile, int32_t input, int64_t* min,
                                       int64_t* opt, int64_t* max);
/* What a context needs for this profile. */
DT_API dt_code dt_engine_memory_bytes(const dt_engine* engine, int32_t profile, uint64_t* bytes);

/* ---- contexts */

/* own_memory 0: call dt_context_set_memory before executing. */
DT_API dt_code dt_context_create(const dt_engine* engine, int32_t profile, int32_t own_memory, dt_context** context);
DT_API void dt_context_destroy(dt_context* context); /* null is fine */
/* Open extents of the inputs are unknown afterwards. */
DT_API dt_code dt_context_set_profile(dt_context* context, int32_t profile);
/* Aligned to 64 (on CUDA 256), at least dt_engine_memory_bytes of the present profile; kept for profiles that need no
 * more. Null removes it. */
DT_API dt_code dt_context_set_memory(dt_context* context, void* memory, uint64_t bytes);
DT_API dt_code dt_context_set_input_shape(dt_context* context, int32_t input, int32_t ndim, const int64_t* dims);
/* dims has room for DT_MAX_RANK; -1 stands where nothing is known yet. */
DT_API dt_code dt_context_tensor_shape(dt_context* context, int32_t io, int32_t* ndim, int64_t* dims);
/* Size of the tensor in its format, with padding, for the present shapes; an error if it is known only after the
 * layers have run. */
DT_API dt_code dt_context_tensor_bytes(dt_context* context, int32_t io, uint64_t* bytes);
/* The largest size that it can have for the present shapes: what to allocate for an output with data-dependent
 * extents. */
DT_API dt_code dt_context_max_bytes(dt_context* context, int32_t io, uint64_t* bytes);
/* Sets two functions for an output. In each execution, as soon as the extents of the output are known, `reallocate` is
 * called; it returns at least `bytes` bytes at this alignment, which then belong to the output; null is a failure. Then
 * `notify` is called with the extents. Null `reallocate` removes both. */
typedef void* dt_reallocate_output(void* user, int32_t output, uint64_t bytes, uint64_t alignment);
typedef void dt_notify_shape(void* user, int32_t output, int32_t ndim, const int64_t* dims);
DT_API dt_code dt_context_set_output_allocator(dt_context* context, int32_t output, dt_reallocate_output* reallocate,
                                               dt_notify_shape* notify, void* user);
/* Sets the user's memory that execute reads or writes. If `bytes` is less than the tensor then needs, execute fails.
 * bytes 0: the size is not checked. Null removes the address. */
DT_API dt_code dt_context_set_address(dt_context* context, int32_t io, void* address, uint64_t bytes);
/* Null stream: compute before returning. A plan for CUDA also takes a stream of kind 1, on which everything is
 * enqueued. The context can be used on after a failure. */
DT_API dt_code dt_context_execute(dt_context* context, const dt_stream* stream);

#ifdef __cplusplus
}
#endif
#endif
