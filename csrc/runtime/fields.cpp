// SPDX-License-Identifier: Apache-2.0
// FieldArray: values in their wire types.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <optional>

#include "runtime/layout.hpp"
#include "runtime/object.hpp"

namespace dovetail {
namespace {

std::string field_type_name(int32_t type) {
  switch (type) {
#define DT_FIELD_CASE(name, value, bytes) \
  case value:                             \
    return #name;
    DT_FIELD_TYPES(DT_FIELD_CASE)
#undef DT_FIELD_CASE
  }
  return "unknown type " + std::to_string(type);
}

// The runtime does not use iostreams: locales are shared by the process, and fail if another library has its own copy
// of libstdc++.
std::string shown(int64_t value) { return std::to_string(value); }
std::string shown(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

// Bits of `value` rounded to nearest even in a format with these bits of exponent and mantissa; nothing if a finite
// value would become infinite.
std::optional<uint32_t> small_float(double value, int exponent_bits, int mantissa_bits) {
  const uint32_t sign = std::signbit(value) ? 1u << (exponent_bits + mantissa_bits) : 0;
  const uint32_t all_ones = ((1u << exponent_bits) - 1) << mantissa_bits;
  if (std::isnan(value)) return sign | all_ones | (1u << (mantissa_bits - 1));
  if (std::isinf(value)) return sign | all_ones;
  if (value == 0) return sign;
  const int lowest = 2 - (1 << (exponent_bits - 1));  // exponent of the smallest normal number
  int exponent = std::max(std::ilogb(value), lowest);
  uint64_t steps = static_cast<uint64_t>(std::nearbyint(std::ldexp(std::fabs(value), mantissa_bits - exponent)));
  if (steps == uint64_t{2} << mantissa_bits) {  // rounded up to the next power of two
    steps /= 2;
    ++exponent;
  }
  if (steps < uint64_t{1} << mantissa_bits) return sign | static_cast<uint32_t>(steps);
  const uint32_t bits = (static_cast<uint32_t>(exponent - lowest + 1) << mantissa_bits) +
                        static_cast<uint32_t>(steps - (uint64_t{1} << mantissa_bits));
  if (bits >= all_ones) return std::nullopt;
  return sign | bits;
}

template <typename T>
void store(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

template <typename T>
bool store_integer(std::byte* at, int64_t value) {
  if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) return false;
  store(at, static_cast<T>(value));
  return true;
}

// One number in its wire type. Returns what is wrong, or "".
std::string store_number(std::byte* at, int32_t type, int64_t value) {
  bool fits = false;
  switch (type) {
    case DT_FIELD_INT8:
      fits = store_integer<int8_t>(at, value);
      break;
    case DT_FIELD_INT16:
      fits = store_integer<int16_t>(at, value);
      break;
    case DT_FIELD_INT32:
      fits = store_integer<int32_t>(at, value);
      break;
    default:
      fits = store_integer<int64_t>(at, value);
  }
  return fits ? "" : shown(value) + " does not fit";
}

std::string store_number(std::byte* at, int32_t type, double value) {
  if (type == DT_FIELD_FLOAT64) {
    store(at, value);
    return "";
  }
  if (type == DT_FIELD_FLOAT32) {
    const float narrow = static_cast<float>(value);
    if (std::isinf(narrow) && !std::isinf(value)) return shown(value) + " does not fit";
    store(at, narrow);
    return "";
  }
  const auto bits = type == DT_FIELD_BF16 ? small_float(value, 8, 7) : small_float(value, 5, 10);
  if (!bits) return shown(value) + " does not fit";
  store(at, static_cast<uint16_t>(*bits));
  return "";
}

int64_t bytes_of(int32_t type) {
  switch (type) {
#define DT_FIELD_BYTES(name, value, bytes) \
  case value:                              \
    return bytes;
    DT_FIELD_TYPES(DT_FIELD_BYTES)
#undef DT_FIELD_BYTES
  }
  return 0;
}

bool is_integer(int32_t type) {
  return type == DT_FIELD_INT8 || type == DT_FIELD_INT16 || type == DT_FIELD_INT32 || type == DT_FIELD_INT64;
}

bool is_float(int32_t type) {
  return type == DT_FIELD_FLOAT16 || type == DT_FIELD_FLOAT32 || type == DT_FIELD_FLOAT64 || type == DT_FIELD_BF16;
}

}  // namespace

struct FieldArray::Slot {
  dt_field field{};
  std::string name;
  std::unique_ptr<std::byte[]> storage;
  dt_tensor tensor{};
  dt_layout layout{};
  std::vector<int64_t> dims;
  std::shared_ptr<const void> keep;

  // Each returns what is wrong, or "".
  std::string fill(const FieldValue& given) {
    name = given.name;
    field.h = DT_HDR(dt_field);
    field.name = name.c_str();
    field.type = given.type;
    if (const auto* integers = std::get_if<std::vector<int64_t>>(&given.value)) return fill_integers(*integers);
    if (const auto* floats = std::get_if<std::vector<double>>(&given.value)) return fill_floats(*floats);
    if (const auto* text = std::get_if<std::string>(&given.value)) return fill_text(*text);
    return fill_tensor(std::get<TensorValue>(given.value));
  }

 private:
  std::byte* reserve(int64_t length, int64_t bytes) {
    field.length = length;
    storage.reset(new std::byte[static_cast<size_t>(length * bytes) + 1]());
    field.data = storage.get();
    return storage.get();
  }

  template <typename T>
  std::string fill_numbers(const std::vector<T>& values) {
    const int64_t bytes = bytes_of(field.type);
    std::byte* at = reserve(static_cast<int64_t>(values.size()), bytes);
    for (const T value : values) {
      std::string wrong = store_number(at, field.type, value);
      if (!wrong.empty()) return wrong;
      at += bytes;
    }
    return "";
  }

  std::string fill_integers(const std::vector<int64_t>& values) {
    if (is_integer(field.type)) return fill_numbers(values);
    if (is_float(field.type)) {
      for (const int64_t value : values) {
        if (static_cast<__int128>(static_cast<double>(value)) != value) return shown(value) + " does not fit";
      }
      return fill_numbers(std::vector<double>(values.begin(), values.end()));
    }
    if (field.type == DT_FIELD_DIMS) {  // one value: a count, then DT_MAX_RANK extents
      if (values.size() > DT_MAX_RANK) return std::to_string(values.size()) + " extents, 8 are the most";
      std::byte* at = reserve(1, bytes_of(DT_FIELD_DIMS));
      store(at, static_cast<int64_t>(values.size()));
      if (!values.empty()) std::memcpy(at + 8, values.data(), 8 * values.size());
      return "";
    }
    return "got integers";
  }

  std::string fill_floats(const std::vector<double>& values) {
    if (is_float(field.type)) return fill_numbers(values);
    if (values.empty() && is_integer(field.type)) return fill_integers({});
    return "got floats";
  }

  std::string fill_text(const std::string& text) {
    if (field.type != DT_FIELD_CHAR && field.type != DT_FIELD_UNKNOWN) return "got text";
    if (field.type == DT_FIELD_CHAR && text.find('\0') != std::string::npos) return "a NUL inside the text";
    std::byte* at = reserve(static_cast<int64_t>(text.size()), 1);  // reserve leaves a zero byte behind: the NUL
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    return "";
  }

  std::string fill_tensor(const TensorValue& value) {
    if (field.type != DT_FIELD_TENSOR) return "got a tensor";
    const TypeInfo* type = type_info(value.data_type);
    if (!type) return "data type " + std::to_string(value.data_type) + " is none of DT_DATA_TYPES";
    if (value.dims.size() > DT_MAX_RANK) return "rank " + std::to_string(value.dims.size()) + ", 8 is the most";
    dims = value.dims;
    dims.reserve(1);  // a pointer even for rank 0
    keep = value.keep;
    storage.reset(new std::byte[1]());
    layout = {DT_HDR(dt_layout), value.data_type, DT_FORMAT_LINEAR, -1.0f, DT_TENSOR_CONSTANT};
    tensor.data = const_cast<void*>(value.data ? value.data : storage.get());
    tensor.device_type = DT_DEVICE_CPU;
    tensor.ndim = static_cast<int32_t>(dims.size());
    tensor.type_code = type->dlpack_code;
    tensor.type_bits = static_cast<uint8_t>(type->bits);
    tensor.type_lanes = 1;
    tensor.shape = dims.data();
    tensor.layout = &layout;
    field.length = 1;
    field.data = &tensor;
    return "";
  }
};

FieldArray::FieldArray(const std::vector<FieldValue>& values, const std::string& subject) {
  Failure failure{DT_INVALID_ARGUMENT, (subject.empty() ? "a plugin" : subject) + " cannot take these fields", {}, ""};
  for (const FieldValue& value : values) {
    auto slot = std::make_unique<Slot>();
    const std::string wrong = slot->fill(value);
    if (!wrong.empty()) failure.facts.emplace_back(value.name, "takes " + field_type_name(value.type) + ": " + wrong);
    pointers_.push_back(&slot->field);
    slots_.push_back(std::move(slot));
  }
  if (!failure.facts.empty()) {
    failure.attributes = {{"op", subject}, {"field", failure.facts.front().first}};
    throw failure;
  }
}

FieldArray::~FieldArray() = default;

}  // namespace dovetail
