// SPDX-License-Identifier: Apache-2.0
// Properties of a shared object, read without running its code.
#ifndef DOVETAIL_RUNTIME_ELF_HPP
#define DOVETAIL_RUNTIME_ELF_HPP

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace dovetail {

struct ElfReport {
  std::vector<std::pair<std::string, std::string>> problems;  // (what, why) lines; empty: it may be opened here
  bool has_symbols = false;                                   // whether `exports` could be read
  std::vector<std::string> exports;                           // defined dynamic symbols, sorted
};

// Never reads outside [bytes, bytes + n), whatever the bytes are.
ElfReport inspect_elf(const unsigned char* bytes, size_t n);

}  // namespace dovetail

#endif
