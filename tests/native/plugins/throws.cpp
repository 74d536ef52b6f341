// SPDX-License-Identifier: Apache-2.0
// Lets an exception out of its entry, which the boundary forbids.
#include <stdexcept>

#include "dovetail/plugin.h"

#ifdef CPP_NAME
#define LINKAGE
#else
#define LINKAGE extern "C"
#endif

LINKAGE __attribute__((visibility("default"))) const dt_plugin* dovetail_plugin_entry_v1(const dt_host*) {
#ifdef NUMBER
  throw 42;
#else
  throw std::runtime_error("no licence file");
#endif
}
