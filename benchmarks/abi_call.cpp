// SPDX-License-Identifier: Apache-2.0
// abi_call LIBRARY: what one call across the plugin interface costs, beside a direct call of the same work.
// Prints "name minimum median", nanoseconds a call, one line a way of calling. The ways take turns, so that whatever
// else the machine does falls on all of them.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "dovetail/plugin.h"

namespace {

__attribute__((noinline)) void direct(const float* x, float* y) {
  *y = *x + 1.0f;
  asm volatile("" ::: "memory");
}

void drop_text(void*, dt_code, const char*, const char*, const char*, int32_t) {}

struct Way {
  std::string name;
  int n_calls;
  dt_code (*enqueue)(void*, const dt_run*);  // null: the direct call
  void* context;
  std::vector<double> ns;
};

const dt_row* row_named(const dt_plugin* plugin, const char* tactic, const dt_implementation** owner) {
  for (uint32_t i = 0; i < plugin->n_implementations; ++i) {
    const dt_implementation* implementation = plugin->implementations[i];
    for (uint32_t k = 0; k < implementation->n_rows; ++k) {
      if (std::strcmp(implementation->rows[k]->tactic, tactic) == 0) {
        *owner = implementation;
        return implementation->rows[k];
      }
    }
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: abi_call LIBRARY\n"), 2;
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) return std::fprintf(stderr, "%s\n", dlerror()), 1;
  const auto enter = reinterpret_cast<dt_plugin_entry>(dlsym(library, DT_ENTRY_NAME));
  dt_host host = {};
  host.h = DT_HDR(dt_host);
  host.name = "abi_call";
  host.version = "1";
  host.raise = drop_text;
  const dt_plugin* plugin = enter ? enter(&host) : nullptr;
  if (!plugin) return std::fprintf(stderr, "%s does not open\n", argv[1]), 1;

  alignas(64) float x[16] = {1}, y[16] = {};
  int64_t dims[1] = {1};
  dt_layout layout = {DT_HDR(dt_layout), DT_TYPE_FLOAT, DT_FORMAT_LINEAR, -1.0f, 0};
  dt_tensor in = {}, out = {};
  in.data = x;
  in.device_type = DT_DEVICE_CPU;
  in.ndim = 1;
  in.type_code = 2;
  in.type_bits = 32;
  in.type_lanes = 1;
  in.shape = dims;
  in.layout = &layout;
  out = in;
  out.data = y;
  const dt_tensor *inputs[] = {&in}, *outputs[] = {&out};
  dt_stream stream = {DT_HDR(dt_stream), 0, 0, nullptr};
  dt_run run = {};
  run.h = DT_HDR(dt_run);
  run.n_inputs = run.n_outputs = 1;
  run.inputs = inputs;
  run.outputs = outputs;
  run.stream = &stream;

  std::vector<Way> ways = {{"direct call", 1000000, nullptr, nullptr, {}}};
  const char* const tactics[][2] = {
      {"add_one_in_c", "C table"}, {"add_one", "C++ row, trampoline"}, {"throws", "C++ row that throws"}};
  for (const auto& [tactic, name] : tactics) {
    const dt_implementation* owner = nullptr;
    const dt_row* row = row_named(plugin, tactic, &owner);
    void* object = nullptr;
    if (!row || (owner->create && owner->create(nullptr, "layer", 0, nullptr, &object) != DT_OK)) {
      return std::fprintf(stderr, "no tactic %s\n", tactic), 1;
    }
    ways.push_back({name, std::strcmp(tactic, "throws") ? 1000000 : 10000, row->enqueue, object, {}});
  }
  for (int round = 0; round < 31; ++round) {
    for (Way& way : ways) {
      const auto start = std::chrono::steady_clock::now();
      if (way.enqueue) {
        // The pointer is read anew for every call, as an executor reads it from its list of steps.
        dt_code (*volatile enqueue)(void*, const dt_run*) = way.enqueue;
        for (int i = 0; i < way.n_calls; ++i) enqueue(way.context, &run);
      } else {
        for (int i = 0; i < way.n_calls; ++i) direct(x, y);
      }
      const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
      way.ns.push_back(spent.count() / way.n_calls);
    }
    if (y[0] != 2.0f) return std::fprintf(stderr, "wrong result\n"), 1;
  }
  for (Way& way : ways) {
    std::sort(way.ns.begin(), way.ns.end());
    std::printf("%s\t%.3f\t%.3f\n", way.name.c_str(), way.ns.front(), way.ns[way.ns.size() / 2]);
  }
}
