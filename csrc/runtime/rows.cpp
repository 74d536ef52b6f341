// SPDX-License-Identifier: Apache-2.0
// The words of rows: "f32|f16 i32... -> f32|f16".
#include <algorithm>
#include <span>
#include <string_view>

#include "runtime/object.hpp"

namespace dovetail {
namespace {

const char* const kTypeWords[] = {
#define DT_TYPE_WORD(name, value, bits, dlpack, word, log) word,
    DT_DATA_TYPES(DT_TYPE_WORD)
#undef DT_TYPE_WORD
};
const char* const kFormatWords[] = {
#define DT_FORMAT_WORD(name, value, lanes, kind, spatial, word) word,
    DT_TENSOR_FORMATS(DT_FORMAT_WORD)
#undef DT_FORMAT_WORD
};

constexpr std::string_view kOnCpu = "@cpu";

// The tables are dense from 0, so the place is the value.
template <size_t N>
int32_t place_of(const std::string& word, const char* const (&words)[N]) {
  for (size_t i = 0; i < N; ++i) {
    if (word == words[i]) return static_cast<int32_t>(i);
  }
  return -1;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  size_t first = 0;
  for (size_t end; (end = text.find(at, first)) != std::string::npos; first = end + 1)
    parts.push_back(text.substr(first, end - first));
  parts.push_back(text.substr(first));
  return parts;
}

bool parse_side(std::string text, bool formats, RowSide* side, std::string* error) {
  for (std::string word : split(text, ' ')) {
    if (word.empty()) continue;
    if (side->repeats_last) {
      *error = "'...' stands before '" + word + "', only the last input may repeat";
      return false;
    }
    if (word.size() > 3 && word.ends_with("...")) {
      side->repeats_last = true;
      word.resize(word.size() - 3);
    }
    const bool on_cpu = formats && word.ends_with(kOnCpu);
    if (on_cpu) word.resize(word.size() - kOnCpu.size());
    side->on_cpu.push_back(on_cpu);
    std::vector<int32_t> alternatives;
    for (const std::string& part : split(word, '|')) {
      const int32_t value = formats ? place_of(part, kFormatWords) : place_of(part, kTypeWords);
      if (value < 0) {
        *error = "'" + part + "' is not a " + (formats ? "format" : "type") + "; known are";
        for (const char* known : formats ? std::span<const char* const>(kFormatWords) : kTypeWords)
          *error += std::string(" ") + known;
        return false;
      }
      alternatives.push_back(value);
    }
    side->words.push_back(std::move(alternatives));
  }
  return true;
}

}  // namespace

bool parse_row(const std::string& text, bool formats, RowSide* inputs, RowSide* outputs, std::string* error) {
  const size_t arrow = text.find("->");
  if (arrow == std::string::npos) {
    if (parse_side(text, formats, inputs, error) && inputs->words.size() == 1) {
      inputs->repeats_last = true;
      *outputs = *inputs;
      return true;
    }
    if (error->empty()) *error = "no '->' between inputs and outputs";
    return false;
  }
  if (!parse_side(text.substr(0, arrow), formats, inputs, error)) return false;
  if (!parse_side(text.substr(arrow + 2), formats, outputs, error)) return false;
  if (outputs->repeats_last) {
    *error = "an output cannot repeat";
    return false;
  }
  size_t count = 1;  // of alternatives: the same wherever there is more than one
  for (const RowSide* side : {inputs, outputs}) {
    for (const auto& word : side->words) {
      if (word.size() > 1 && count > 1 && word.size() != count) {
        *error = "alternatives of " + std::to_string(count) + " and of " + std::to_string(word.size()) + " words";
        return false;
      }
      count = std::max(count, word.size());
    }
  }
  return true;
}

}  // namespace dovetail
