// SPDX-License-Identifier: Apache-2.0
#include "runtime/elf.hpp"

#include <elf.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>

namespace dovetail {
namespace {

#if defined(__x86_64__)
constexpr int kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int kMachine = EM_AARCH64;
#elif defined(__i386__)
constexpr int kMachine = EM_386;
#elif defined(__arm__)
constexpr int kMachine = EM_ARM;
#elif defined(__riscv)
constexpr int kMachine = EM_RISCV;
#elif defined(__powerpc64__)
constexpr int kMachine = EM_PPC64;
#elif defined(__s390__)
constexpr int kMachine = EM_S390;
#else
constexpr int kMachine = EM_NONE;  // not compared
#endif
constexpr int kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr int kOrder = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

#if __SIZEOF_POINTER__ == 8
using Header = Elf64_Ehdr;
using Segment = Elf64_Phdr;
using Section = Elf64_Shdr;
using Symbol = Elf64_Sym;
#else
using Header = Elf32_Ehdr;
using Segment = Elf32_Phdr;
using Section = Elf32_Shdr;
using Symbol = Elf32_Sym;
#endif

std::string machine_name(int machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "aarch64";
    case EM_386:
      return "x86 (32 bit)";
    case EM_ARM:
      return "arm (32 bit)";
    case EM_RISCV:
      return "risc-v";
    case EM_PPC64:
      return "ppc64";
    case EM_S390:
      return "s390";
    case EM_CUDA:
      return "cuda (a cubin)";
  }
  return "machine " + std::to_string(machine);
}

std::string class_name(int value) {
  return value == ELFCLASS64 ? "64 bit" : value == ELFCLASS32 ? "32 bit" : "no class";
}
std::string order_name(int value) {
  return value == ELFDATA2LSB ? "little-endian" : value == ELFDATA2MSB ? "big-endian" : "no byte order";
}

// "4d 5a 90 00 'MZ..', a Windows library"
std::string first_bytes(const unsigned char* bytes, size_t n) {
  if (n == 0) return "the file is empty";
  static const struct {
    const char* magic;
    size_t length;
    const char* meaning;
  } kKinds[] = {{"MZ", 2, "a Windows library"},
                {"\xcf\xfa\xed\xfe", 4, "a macOS library"},
                {"\xca\xfe\xba\xbe", 4, "a macOS library"},
                {"!<arch>", 7, "a static library (.a)"},
                {"PK\x03\x04", 4, "a zip archive"},
                {"#!", 2, "a script"},
                {"version https://git-lfs", 23, "a pointer of git lfs, not the file"}};
  std::string text = "not an ELF shared object; it starts with";
  std::string printable;
  for (size_t i = 0; i < n && i < 4; ++i) {
    char hex[8];
    std::snprintf(hex, sizeof hex, " %02x", bytes[i]);
    text += hex;
    printable += bytes[i] >= 0x20 && bytes[i] < 0x7f ? static_cast<char>(bytes[i]) : '.';
  }
  text += " '" + printable + "'";
  for (const auto& kind : kKinds) {
    if (n >= kind.length && std::memcmp(bytes, kind.magic, kind.length) == 0) return text + ", " + kind.meaning;
  }
  return text;
}

class Reader {
 public:
  Reader(const unsigned char* bytes, size_t n) : bytes_(bytes), n_(n) {}

  bool covers(uint64_t offset, uint64_t length) const { return offset <= n_ && length <= n_ - offset; }

  template <typename T>
  std::optional<T> at(uint64_t offset) const {
    if (!covers(offset, sizeof(T))) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_ + offset, sizeof value);
    return value;
  }

  std::string text(uint64_t offset, uint64_t end) const {
    std::string result;
    for (; offset < end && offset < n_ && bytes_[offset]; ++offset) result += static_cast<char>(bytes_[offset]);
    return result;
  }

 private:
  const unsigned char* bytes_;
  size_t n_;
};

// dlopen maps what the segments say and would fault on what is cut off.
void check_segments(const Reader& file, const Header& header, size_t n, ElfReport* report) {
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    const auto segment = file.at<Segment>(header.e_phoff + uint64_t{i} * sizeof(Segment));
    if (!segment || (segment->p_type == PT_LOAD && !file.covers(segment->p_offset, segment->p_filesz))) {
      const std::string end = segment ? "segment " + std::to_string(i) + " of it ends beyond" : "its table ends beyond";
      report->problems.emplace_back("contents", "cut off: " + end + " the " + std::to_string(n) + " bytes there are");
      return;
    }
  }
}

void read_exports(const Reader& file, const Header& header, ElfReport* report) {
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    const auto section = file.at<Section>(header.e_shoff + uint64_t{i} * sizeof(Section));
    if (!section) return;
    if (section->sh_type != SHT_DYNSYM || section->sh_link >= header.e_shnum) continue;
    const auto strings = file.at<Section>(header.e_shoff + uint64_t{section->sh_link} * sizeof(Section));
    if (!strings || !file.covers(section->sh_offset, section->sh_size)) return;
    if (!file.covers(strings->sh_offset, strings->sh_size)) return;
    report->has_symbols = true;
    for (uint64_t at = 0; at + sizeof(Symbol) <= section->sh_size; at += sizeof(Symbol)) {
      const auto symbol = file.at<Symbol>(section->sh_offset + at);
      const int binding = symbol->st_info >> 4;
      if (symbol->st_shndx == SHN_UNDEF || binding == STB_LOCAL) continue;
      const uint64_t end = strings->sh_offset + strings->sh_size;
      if (symbol->st_name >= strings->sh_size) continue;
      std::string name = file.text(strings->sh_offset + symbol->st_name, end);
      if (!name.empty() && name != "_init" && name != "_fini") report->exports.push_back(std::move(name));
    }
    std::sort(report->exports.begin(), report->exports.end());
    return;
  }
}

}  // namespace

ElfReport inspect_elf(const unsigned char* bytes, size_t n) {
  ElfReport report;
  if (n < EI_NIDENT || std::memcmp(bytes, ELFMAG, SELFMAG) != 0) {
    report.problems.emplace_back("contents", first_bytes(bytes, n));
    return report;
  }
  const int klass = bytes[EI_CLASS], order = bytes[EI_DATA];
  if (klass != kClass) {
    report.problems.emplace_back("word size",
                                 "built for " + class_name(klass) + ", this process is " + class_name(kClass));
  }
  if (order != kOrder) {
    report.problems.emplace_back("byte order",
                                 "built " + order_name(order) + ", this process is " + order_name(kOrder));
  }
  // e_type and e_machine stand at the same place in both classes; the rest does not.
  const Reader file(bytes, n);
  const auto type = file.at<uint16_t>(EI_NIDENT), machine = file.at<uint16_t>(EI_NIDENT + 2);
  if (order == kOrder && machine && kMachine != EM_NONE && *machine != kMachine) {
    report.problems.emplace_back("machine",
                                 "built for " + machine_name(*machine) + ", this process is " + machine_name(kMachine));
  }
  if (!report.problems.empty()) return report;
  const auto header = file.at<Header>(0);
  if (!header) {
    report.problems.emplace_back("contents", "cut off after " + std::to_string(n) + " bytes, inside its header");
    return report;
  }
  if (*type != ET_DYN) {
    report.problems.emplace_back("contents", *type == ET_REL ? "an object file (.o), not linked: link it with -shared"
                                             : *type == ET_EXEC ? "a program, not a shared object"
                                                                : "ELF of type " + std::to_string(*type));
    return report;
  }
  check_segments(file, *header, n, &report);
  read_exports(file, *header, &report);
  return report;
}

}  // namespace dovetail
