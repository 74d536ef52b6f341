/* SPDX-License-Identifier: Apache-2.0
 * use_runtime LIBRARY PLAN: each function of runtime.h, on the plan "open" of plans.py. Prints what the tests compare.
 */
#include <dovetail/runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(call)                                                           \
  do {                                                                       \
    if ((call) != DT_OK) return fprintf(stderr, "%s\n", dt_last_error()), 1; \
  } while (0)

static int32_t n_lines;
static void count_line(int32_t level, const char* message) { n_lines += level <= DT_LOG_VERBOSE && message[0] != 0; }

static void* read_file(const char* path, uint64_t* n) {
  FILE* file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  *n = (uint64_t)ftell(file);
  rewind(file);
  void* bytes = malloc(*n);
  if (bytes && fread(bytes, 1, *n, file) != *n) *n = 0;
  fclose(file);
  return bytes;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  printf("before: '%s'\n", dt_last_error());
  dt_engine* engine = NULL;
  printf("%d ", dt_engine_load_file(argv[2], 1, &engine));
  printf("%s\n", dt_last_error());
  MUST(dt_runtime_load_library(argv[1]));
  MUST(dt_runtime_load_library(argv[1])); /* the same file twice */
  dt_runtime_set_log(count_line);
  MUST(dt_engine_load_file(argv[2], 1, &engine));
  dt_engine_destroy(engine);
  uint64_t n = 0;
  void* bytes = read_file(argv[2], &n);
  MUST(dt_engine_load_memory(bytes, n, 2, &engine));

  int32_t n_inputs, n_outputs, n_profiles, y;
  uint64_t arena, y_bytes;
  int64_t max[DT_MAX_RANK], dims[DT_MAX_RANK];
  MUST(dt_engine_io_count(engine, &n_inputs, &n_outputs));
  MUST(dt_engine_profile_count(engine, &n_profiles));
  MUST(dt_engine_io_index(engine, "y", &y));
  MUST(dt_engine_memory_bytes(engine, 0, &arena));
  MUST(dt_engine_profile_shape(engine, 0, 0, NULL, NULL, max));
  dt_io_info info = {DT_HDR(dt_io_info), NULL, 0, 0, 0, 0, 0, {0}, 0, 0};
  MUST(dt_engine_io_info(engine, 0, &info));
  printf("%d %d %d %d %d %s %d [%lld %lld] %lld\n", n_inputs, n_outputs, n_profiles, y, arena > 0, info.name, info.ndim,
         (long long)info.dims[0], (long long)info.dims[1], (long long)max[0]);

  dt_context* context = NULL;
  MUST(dt_context_create(engine, 0, 0, &context));
  dt_engine_destroy(engine); /* the context keeps it */
  const int64_t wrong[2] = {17, 3}, right[2] = {2, 3};
  printf("%d ", dt_context_set_input_shape(context, 0, 2, wrong));
  printf("%s\n", dt_last_error());
  MUST(dt_context_set_input_shape(context, 0, 2, right));
  MUST(dt_context_tensor_shape(context, y, &n_outputs, dims));
  MUST(dt_context_tensor_bytes(context, y, &y_bytes));
  printf("%d [%lld] %llu\n", n_outputs, (long long)dims[0], (unsigned long long)y_bytes);
  float x[6] = {1, 2, 3, 4, 5, 6}, result[6] = {0};
  MUST(dt_context_set_address(context, 0, x, sizeof x));
  MUST(dt_context_set_address(context, y, result, 4));
  char* memory = malloc(arena + 64);
  MUST(dt_context_set_memory(context, memory + (64 - (uintptr_t)memory % 64), arena));
  printf("%d ", dt_context_execute(context, NULL));
  printf("%s\n", dt_last_error());
  MUST(dt_context_set_address(context, y, result, sizeof result));
  const dt_stream none = {DT_HDR(dt_stream), 0, 0, NULL};
  MUST(dt_context_execute(context, &none));
  for (int i = 0; i < 6; ++i) printf("%g ", result[i]);
  printf("\n%d %d %d %s\n", dt_context_set_profile(context, 1), dt_context_execute(NULL, NULL),
         dt_engine_load_memory(bytes, n - 1, 1, &engine), n_lines > 0 ? "logged" : "silent");
  dt_context_destroy(context);
  dt_context_destroy(NULL);
  dt_engine_destroy(NULL);
  free(memory);
  free(bytes);
  return 0;
}
