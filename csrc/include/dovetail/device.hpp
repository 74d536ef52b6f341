// SPDX-License-Identifier: Apache-2.0
// For libraries in C++ that offer a kind of device: the table of device.h, and what its functions need.
//
//   dt_code alloc(void* call, uint64_t bytes, void** memory) {
//     return dovetail::run_guarded(call, [&] { *memory = take(bytes); });  // may throw
//   }
//   const dt_device_api table = {DT_HDR(dt_device_api), DT_DEVICE_CUDA, "board 1.0", ...};
//   DOVETAIL_EXTENSION(DT_DEVICE_EXTENSION, &table)
#ifndef DOVETAIL_DEVICE_HPP
#define DOVETAIL_DEVICE_HPP

#include "dovetail/device.h"
#include "dovetail/plugin.hpp"

DOVETAIL_OPEN_NAMESPACE

// Runs `body` in a function of a C table: what it throws becomes the code that is returned, and its text goes
// to the host.
template <class Body>
dt_code run_guarded(void* call, const Body& body) noexcept {
  return detail::guard(call, "", body);
}

DOVETAIL_CLOSE_NAMESPACE

#endif
