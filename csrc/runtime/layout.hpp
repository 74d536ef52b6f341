// SPDX-License-Identifier: Apache-2.0
// Types and formats by number, and how many bytes a tensor takes in one.
#ifndef DOVETAIL_RUNTIME_LAYOUT_HPP
#define DOVETAIL_RUNTIME_LAYOUT_HPP

#include <cstdint>
#include <string>

#include "dovetail/plugin.h"

namespace dovetail {

inline constexpr uint64_t kAlignment = 64;                // of tensors, constants and workspaces on the CPU
inline constexpr uint64_t kDeviceAlignment = 256;         // the same on CUDA
inline constexpr uint64_t kMaxBytes = uint64_t{1} << 47;  // no tensor or arena is larger: what a process can map

struct TypeInfo {
  const char* name;  // "FLOAT"
  int bits;
  uint8_t dlpack_code;
  const char* word;  // "Float"
};
struct FormatInfo {
  const char* name;  // "CHW4"
  int lanes, kind, n_spatial;
  const char* word;  // "chw4"
};

constexpr int64_t alignment_on(int32_t device) {
  return static_cast<int64_t>(device == DT_DEVICE_CUDA ? kDeviceAlignment : kAlignment);
}

// Null for a number that is not in the table of plugin.h.
const TypeInfo* type_info(int64_t data_type);
const FormatInfo* format_info(int64_t format);

constexpr uint64_t round_up(uint64_t n, uint64_t step) { return (n + step - 1) / step * step; }

// Bytes of a tensor with its padded channels; 0 for an empty one. False: an extent is negative, the rank is too small
// for the format, the format is one that is never computed with, or the size is above kMaxBytes.
bool tensor_bytes(const int64_t* dims, int rank, int data_type, int format, uint64_t* bytes);

// "[1, 3, 224, 224]"; an unknown extent (-1) prints as "?".
std::string dims_text(const int64_t* dims, int rank);
// "Float [1, 3, 224, 224] chw4"; the format is left out where it is linear.
std::string tensor_text(int data_type, int format, const int64_t* dims, int rank);

}  // namespace dovetail

#endif
