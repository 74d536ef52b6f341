/* SPDX-License-Identifier: Apache-2.0
 * use_in_threads LIBRARY PLAN: calls on a context while it runs, from another thread and from within; the plan has
 * x [batch, 3] and y [3 * batch]. The output allocator is called in the execution, so nothing depends on time. */
#include <dovetail/runtime.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static dt_context* context;
static float x[6] = {1, 2, 3, 4, 5, 6}, y[6], shared[12];

static void say(dt_code code) {
  const char* text = dt_last_error();
  printf("%d %.*s\n", (int)code, (int)strcspn(text, "\n"), code ? text : "");
}

static void* disturb(void* unused) {
  const int64_t dims[2] = {1, 3};
  (void)unused;
  say(dt_context_set_input_shape(context, 0, 2, dims));
  say(dt_context_set_address(context, 0, y, sizeof y));
  say(dt_context_execute(context, NULL));
  return NULL;
}

static void* reallocate(void* user, int32_t output, uint64_t bytes, uint64_t alignment) {
  pthread_t other;
  (void)user, (void)output, (void)bytes, (void)alignment;
  pthread_create(&other, NULL, disturb, NULL);
  pthread_join(other, NULL);
  disturb(NULL);
  return y;
}

int main(int argc, char** argv) {
  const int64_t dims[2] = {2, 3};
  dt_engine* engine;
  int i;
  if (argc != 3 || dt_runtime_load_library(argv[1]) || dt_engine_load_file(argv[2], 1, &engine)) return 2;
  if (dt_context_create(engine, 0, 1, &context)) return 2;
  say(dt_context_set_input_shape(context, 0, 2, dims));
  say(dt_context_set_address(context, 0, x, sizeof x));
  say(dt_context_set_output_allocator(context, 1, reallocate, NULL, NULL));
  say(dt_context_execute(context, NULL));
  for (i = 0; i < 6; ++i) printf("%g ", y[i]);
  printf("\n");
  say(dt_context_set_output_allocator(context, 1, NULL, NULL, NULL));
  say(dt_context_set_address(context, 1, shared, 24));
  say(dt_context_set_address(context, 0, shared + 5, 24));
  say(dt_context_execute(context, NULL)); /* x is read by the first step alone, y written by the second: fine */
  dt_context_destroy(context);
  dt_engine_destroy(engine);
  return 0;
}
