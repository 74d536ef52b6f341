// SPDX-License-Identifier: Apache-2.0
// Plan files taken apart and put together again, and the layers of a library offered to engines.
#ifndef DOVETAIL_TESTS_PLANS_HPP
#define DOVETAIL_TESTS_PLANS_HPP

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "runtime/checksum.hpp"
#include "runtime/library.hpp"

namespace dovetail::tests {

inline constexpr size_t kAlign = 64;

struct Parts {
  nlohmann::json header;
  std::string data;
};

inline Parts split(const std::string& file) {
  uint64_t n = 0;
  std::memcpy(&n, file.data(), sizeof n);
  return {nlohmann::json::parse(file.substr(8, n)), file.substr(8 + n)};
}

// A file with these parts and the right checksum: only the contents can be refused.
inline std::string join(nlohmann::json header, const std::string& data) {
  header["__metadata__"]["checksum"] = std::string(kChecksumDigits, '0');
  std::string text = header.dump();
  text.append((kAlign - (8 + text.size()) % kAlign) % kAlign, ' ');
  uint64_t n = text.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &n, sizeof n);
  file += text + data;
  const std::string key = "\"checksum\":\"";
  file.replace(file.find(key) + key.size(), kChecksumDigits, hex_digits(checksum(file.data(), file.size())));
  return file;
}

// Of a plan without constants.
inline std::string file_of(const nlohmann::json& plan) {
  return join({{"__metadata__", {{"format", "dovetail.plan"}, {"plan", plan.dump()}}}}, "");
}

inline std::shared_ptr<Library> offer(const std::string& path) {
  std::shared_ptr<Library> library = open_library(path);
  for (uint32_t i = 0; i < library->plugin->n_implementations; ++i) {
    ImplementationEntry entry;
    entry.implementation = library->plugin->implementations[i];
    entry.id = std::string(entry.implementation->op) + "#" + entry.implementation->name;
    for (uint32_t o = 0; o < library->plugin->n_ops; ++o)
      if (op_id(*library->plugin, *library->plugin->ops[o]) == entry.implementation->op)
        entry.op = library->plugin->ops[o];
    register_implementation(entry);
  }
  return library;
}

}  // namespace dovetail::tests

#endif
