// SPDX-License-Identifier: Apache-2.0
// Reads untrusted JSON: parsing is bounded, and values know their path and check their type.
#ifndef DOVETAIL_RUNTIME_JSON_READER_HPP
#define DOVETAIL_RUNTIME_JSON_READER_HPP

#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dovetail {

inline constexpr int kMaxJsonDepth = 64;
inline constexpr size_t kMaxJsonBytes = size_t{64} << 20;

// Held by pointer, so that only json_reader.cpp has to know what it is: the library takes seconds to compile.
using JsonDocument = std::shared_ptr<const nlohmann::json>;

// Throws Failure (DT_PLAN_CORRUPT) that names `field` if the text is too long, too deep or not JSON.
JsonDocument parse_json(std::string_view text, const char* field);

// A value in a document. Every getter throws Failure (DT_PLAN_CORRUPT) with the path that leads to the value, what is
// expected and what is there; the path is looked for only then. The document must outlive it.
class JsonValue {
 public:
  // `path` leads to the root.
  JsonValue(const nlohmann::json& root, std::string path) : value_(&root), root_(&root), path_(std::move(path)) {}

  std::string path() const;
  bool is_null() const;
  bool is_object() const;
  bool is_array() const;
  bool is_number() const;
  bool is_integer() const;
  bool is_string() const;

  bool has(const char* key) const;
  JsonValue at(const char* key) const;  // of an object
  size_t size() const;                  // of a list
  // Of an object: names and values, whose paths are `before` and the name.
  std::vector<std::pair<std::string, JsonValue>> members(const char* before) const;
  JsonValue at(size_t index) const;                        // of a list
  JsonValue at(size_t index, size_t expected_size) const;  // and the list must have this size

  int64_t integer(int64_t low = std::numeric_limits<int64_t>::min(),
                  int64_t high = std::numeric_limits<int64_t>::max()) const;
  int32_t index(size_t n, bool may_be_none = false) const;  // 0..n-1, or -1 for none
  double number() const;  // also "inf", "-inf" and "nan", which JSON has no numbers for
  bool boolean() const;
  const std::string& text() const;
  std::vector<int64_t> integers(int64_t low = std::numeric_limits<int64_t>::min(),
                                int64_t high = std::numeric_limits<int64_t>::max()) const;

  std::string json() const;  // the value as JSON

  // "expected", and the value itself, shortened, as what is there.
  [[noreturn]] void fail(const std::string& expected) const;
  [[noreturn]] void fail(const std::string& expected, const std::string& got) const;

 private:
  JsonValue(const nlohmann::json& value, const JsonValue& within)
      : value_(&value), root_(within.root_), path_(within.path_) {}

  const nlohmann::json* value_;
  const nlohmann::json* root_;
  std::string path_;  // of the root
};

}  // namespace dovetail

#endif
