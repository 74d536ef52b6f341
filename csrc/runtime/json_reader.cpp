// SPDX-License-Identifier: Apache-2.0
#include "runtime/json_reader.hpp"

#include <nlohmann/json.hpp>

#include "runtime/status.hpp"

namespace dovetail {
namespace {

using nlohmann::json;

// Deepest nesting of brackets outside strings; the parser itself would follow any depth.
int nesting(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

// A value shortened for messages, in ASCII.
std::string shown(const json& value) {
  if (value.is_array()) return "a list of " + std::to_string(value.size());
  if (value.is_object()) return "an object of " + std::to_string(value.size()) + " members";
  std::string text = value.is_string() && value.get_ref<const std::string&>().size() > 60
                         ? "a text of " + std::to_string(value.get_ref<const std::string&>().size()) + " bytes"
                         : value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text;
}

std::string range_text(int64_t low, int64_t high) {
  const bool is_open = high == std::numeric_limits<int64_t>::max();
  if (low == std::numeric_limits<int64_t>::min() && is_open) return "an integer of 64 bits";
  return "an integer " + std::to_string(low) + ".." + (is_open ? "" : std::to_string(high));
}

// False if the value is not an integer of 64 bits. A huge literal is parsed as unsigned or as a float.
bool get_integer(const json& value, int64_t* out) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) return false;
  *out = value.get<int64_t>();
  return true;
}

std::string joined(const std::string& path, const std::string& key) { return path.empty() ? key : path + "." + key; }

// Adds what leads from `from` to the value itself. False if it is not there.
bool find_path(const json& from, const json* value, std::string* path) {
  if (&from == value) return true;
  const size_t before = path->size();
  if (from.is_object()) {
    for (const auto& [key, member] : from.items()) {
      *path = joined(*path, key);
      if (find_path(member, value, path)) return true;
      path->resize(before);
    }
  } else if (from.is_array()) {
    for (size_t i = 0; i < from.size(); ++i) {
      *path += "[" + std::to_string(i) + "]";
      if (find_path(from[i], value, path)) return true;
      path->resize(before);
    }
  }
  return false;
}

}  // namespace

JsonDocument parse_json(std::string_view text, const char* field) {
  if (text.size() > kMaxJsonBytes)
    throw status::plan_corrupt(field, "at most " + std::to_string(kMaxJsonBytes) + " bytes",
                               std::to_string(text.size()));
  if (nesting(text) > kMaxJsonDepth)
    throw status::plan_corrupt(field, "nesting of at most " + std::to_string(kMaxJsonDepth), "a deeper one");
  auto document = std::make_shared<json>(json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false));
  if (document->is_discarded()) throw status::plan_corrupt(field, "JSON text", "something else");
  return document;
}

std::string JsonValue::path() const {
  std::string path = path_;
  find_path(*root_, value_, &path);
  return path;
}

bool JsonValue::is_null() const { return value_->is_null(); }
bool JsonValue::is_object() const { return value_->is_object(); }
bool JsonValue::is_array() const { return value_->is_array(); }
bool JsonValue::is_number() const { return value_->is_number(); }
bool JsonValue::is_integer() const { return value_->is_number_integer(); }
bool JsonValue::is_string() const { return value_->is_string(); }

bool JsonValue::has(const char* key) const { return value_->is_object() && value_->contains(key); }

std::vector<std::pair<std::string, JsonValue>> JsonValue::members(const char* before) const {
  if (!value_->is_object()) fail("an object");
  std::vector<std::pair<std::string, JsonValue>> list;
  for (const auto& [name, value] : value_->items()) list.emplace_back(name, JsonValue(value, before + name));
  return list;
}

JsonValue JsonValue::at(const char* key) const {
  if (!value_->is_object()) fail("an object");
  const auto found = value_->find(key);
  if (found == value_->end()) throw status::plan_corrupt(joined(path(), key), "a value", "nothing");
  return JsonValue(*found, *this);
}

size_t JsonValue::size() const {
  if (!value_->is_array()) fail("a list");
  return value_->size();
}

JsonValue JsonValue::at(size_t index) const {
  if (index >= size()) fail("a list of more than " + std::to_string(index));
  return JsonValue((*value_)[index], *this);
}

JsonValue JsonValue::at(size_t index, size_t expected_size) const {
  if (size() != expected_size) fail("a list of " + std::to_string(expected_size));
  return at(index);
}

int64_t JsonValue::integer(int64_t low, int64_t high) const {
  int64_t value = 0;
  if (!get_integer(*value_, &value) || value < low || value > high) fail(range_text(low, high));
  return value;
}

int32_t JsonValue::index(size_t n, bool may_be_none) const {
  int64_t value = 0;
  if (!get_integer(*value_, &value) || value < (may_be_none ? -1 : 0) || value >= static_cast<int64_t>(n))
    fail("0.." + std::to_string(static_cast<int64_t>(n) - 1) + (may_be_none ? ", or -1 for none" : ""));
  return static_cast<int32_t>(value);
}

double JsonValue::number() const {
  if (value_->is_number()) return value_->get<double>();
  if (value_->is_string()) {
    const std::string& word = value_->get_ref<const std::string&>();
    if (word == "inf") return std::numeric_limits<double>::infinity();
    if (word == "-inf") return -std::numeric_limits<double>::infinity();
    if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
  }
  fail("a number");
}

bool JsonValue::boolean() const {
  if (!value_->is_boolean()) fail("true or false");
  return value_->get<bool>();
}

std::string JsonValue::json() const { return value_->dump(-1, ' ', true, json::error_handler_t::replace); }

const std::string& JsonValue::text() const {
  if (!value_->is_string()) fail("a text");
  const auto& text = value_->get_ref<const std::string&>();
  // Names go to plugins as C strings.
  if (text.find('\0') != std::string::npos) fail("a text without NUL", "one with NUL");
  return text;
}

std::vector<int64_t> JsonValue::integers(int64_t low, int64_t high) const {
  std::vector<int64_t> values(size());
  for (size_t i = 0; i < values.size(); ++i)
    if (!get_integer((*value_)[i], &values[i]) || values[i] < low || values[i] > high)
      at(i).fail(range_text(low, high));
  return values;
}

void JsonValue::fail(const std::string& expected) const { fail(expected, shown(*value_)); }

void JsonValue::fail(const std::string& expected, const std::string& got) const {
  const std::string at = path();
  throw status::plan_corrupt(at.empty() ? "plan" : at, expected, got);
}

}  // namespace dovetail
