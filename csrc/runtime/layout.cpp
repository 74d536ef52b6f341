// SPDX-License-Identifier: Apache-2.0
#include "runtime/layout.hpp"

#include <iterator>

namespace dovetail {
namespace {

constexpr TypeInfo kTypes[] = {
#define DT_TYPE(name, value, bits, dlpack, word, log) {#name, bits, dlpack, log},
    DT_DATA_TYPES(DT_TYPE)
#undef DT_TYPE
};
constexpr FormatInfo kFormats[] = {
#define DT_FORMAT(name, value, lanes, kind, spatial, word) {#name, lanes, kind, spatial, word},
    DT_TENSOR_FORMATS(DT_FORMAT)
#undef DT_FORMAT
};
// The tables are indexed by value.
#define DT_TYPE(name, value, ...) static_assert(value < std::size(kTypes));
DT_DATA_TYPES(DT_TYPE)
#undef DT_TYPE
#define DT_FORMAT(name, value, ...) static_assert(value < std::size(kFormats));
DT_TENSOR_FORMATS(DT_FORMAT)
#undef DT_FORMAT

constexpr int kNeverComputed = 3;  // `kind` of the DLA formats

}  // namespace

const TypeInfo* type_info(int64_t data_type) {
  return data_type >= 0 && data_type < int64_t{std::size(kTypes)} ? &kTypes[data_type] : nullptr;
}

const FormatInfo* format_info(int64_t format) {
  return format >= 0 && format < int64_t{std::size(kFormats)} ? &kFormats[format] : nullptr;
}

bool tensor_bytes(const int64_t* dims, int rank, int data_type, int format, uint64_t* bytes) {
  const TypeInfo* type = type_info(data_type);
  const FormatInfo* layout = format_info(format);
  if (!type || !layout || layout->kind == kNeverComputed || rank < 0 || rank > DT_MAX_RANK) return false;
  const int channel = layout->kind == 0 ? -1 : rank - layout->n_spatial - 1;
  if (layout->kind != 0 && channel < 0) return false;
  uint64_t total = static_cast<uint64_t>(type->bits) / 8;
  bool is_empty = false;
  for (int i = 0; i < rank; ++i) {
    if (dims[i] < 0 || static_cast<uint64_t>(dims[i]) > kMaxBytes) return false;
    uint64_t extent = static_cast<uint64_t>(dims[i]);
    if (i == channel) extent = round_up(extent, static_cast<uint64_t>(layout->lanes));
    // The product of the other extents of an empty tensor must also fit into a stride.
    if (extent == 0) is_empty = true;
    if (__builtin_mul_overflow(total, extent ? extent : 1, &total) || total > kMaxBytes) return false;
  }
  *bytes = is_empty ? 0 : total;
  return true;
}

std::string dims_text(const int64_t* dims, int rank) {
  std::string text = "[";
  for (int i = 0; i < rank; ++i) {
    if (i) text += ", ";
    text += dims[i] < 0 ? std::string("?") : std::to_string(dims[i]);
  }
  return text + "]";
}

std::string tensor_text(int data_type, int format, const int64_t* dims, int rank) {
  const TypeInfo* type = type_info(data_type);
  std::string text = std::string(type ? type->word : "?") + " " + dims_text(dims, rank);
  const FormatInfo* layout = format_info(format);
  if (format != DT_FORMAT_LINEAR) text += std::string(" ") + (layout ? layout->word : "?");
  return text;
}

}  // namespace dovetail
