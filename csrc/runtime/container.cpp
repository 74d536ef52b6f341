// SPDX-License-Identifier: Apache-2.0
#include "runtime/container.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "runtime/checksum.hpp"
#include "runtime/json_reader.hpp"
#include "runtime/layout.hpp"
#include "runtime/status.hpp"

namespace dovetail {

struct ContainerHeader::Document {
  JsonDocument json;
};

namespace {

constexpr uint64_t kLengthBytes = 8;  // of the header, little-endian, first in the file
constexpr const char* kFormat = "dovetail.plan";

size_t skip_blanks(std::string_view text, size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r')) ++at;
  return at;
}

// Where the digits of the checksum stand in the header, or kNoHole. Inside other strings a quote follows a backslash,
// so the key cannot be met there.
size_t find_digits(std::string_view header, const std::string& digits) {
  constexpr std::string_view kKey = "\"checksum\"";
  const size_t key = header.find(kKey);
  if (key == std::string_view::npos) return kNoHole;
  size_t at = skip_blanks(header, key + kKey.size());
  if (at >= header.size() || header[at] != ':') return kNoHole;
  at = skip_blanks(header, at + 1);
  if (at >= header.size() || header[at] != '"' || header.substr(at + 1, digits.size()) != digits) return kNoHole;
  return at + 1;
}

const char* kind_of(mode_t mode) {
  return S_ISDIR(mode)                    ? "it is a directory"
         : S_ISFIFO(mode)                 ? "it is a FIFO, not a regular file"
         : S_ISCHR(mode) || S_ISBLK(mode) ? "it is a device, not a regular file"
                                          : "it is not a regular file";
}

}  // namespace

FileBytes map_file(const std::string& path) {
  if (path.find('\0') != std::string::npos) throw status::unreadable_file(path.c_str(), "a zero byte ends its name");
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO without a writer would wait
  if (file < 0) throw status::unreadable_file(path, std::strerror(errno));
  struct stat info{};
  const bool is_known = ::fstat(file, &info) == 0;
  if (!is_known || !S_ISREG(info.st_mode) || info.st_size <= 0) {
    const std::string reason = !is_known                ? std::strerror(errno)
                               : !S_ISREG(info.st_mode) ? kind_of(info.st_mode)
                                                        : "it is empty";
    ::close(file);
    throw status::unreadable_file(path, reason);
  }
  const auto n = static_cast<size_t>(info.st_size);
#if defined(MAP_POPULATE)
  const int flags = MAP_PRIVATE | MAP_POPULATE;  // the checksum reads all of it at once
#else
  const int flags = MAP_PRIVATE;
#endif
  void* data = ::mmap(nullptr, n, PROT_READ, flags, file, 0);
  const std::string reason = std::strerror(errno);
  ::close(file);
  if (data == MAP_FAILED) throw status::unreadable_file(path, reason);
  return {static_cast<const uint8_t*>(data), n,
          std::shared_ptr<const void>(data, [n](const void* p) { ::munmap(const_cast<void*>(p), n); })};
}

FileBytes align_bytes(FileBytes bytes) {
  if (reinterpret_cast<uintptr_t>(bytes.data) % kAlignment == 0) return bytes;
  void* copy = std::aligned_alloc(kAlignment, round_up(bytes.n, kAlignment));
  if (!copy) throw status::out_of_memory("a copy of the plan", bytes.n);
  std::memcpy(copy, bytes.data, bytes.n);
  return {static_cast<const uint8_t*>(copy), bytes.n,
          std::shared_ptr<const void>(copy, [](const void* p) { std::free(const_cast<void*>(p)); })};
}

void refuse_foreign(const uint8_t* data, uint64_t n) {
  const std::string_view text(reinterpret_cast<const char*>(data), n < 16 ? n : 16);
  const auto starts = [&](std::string_view magic) { return text.substr(0, magic.size()) == magic; };
  if (starts("ftrt") || starts("ptrt")) {
    throw status::foreign_file("a TensorRT engine",
                               "It runs in TensorRT alone. Build a plan from the ONNX model or the "
                               "network that it was made of.");
  }
  if (starts("PK\x03\x04")) {
    throw status::foreign_file("a zip archive, as torch.save writes", "Export the model to ONNX: torch.onnx.export.");
  }
  // A ModelProto begins with its first field, ir_version, a small number, and goes on with a field of text, number or
  // message that it has.
  constexpr std::string_view kTags = "\x12\x1a\x22\x28\x32\x3a\x42\x72\xa2\xca";
  if (n > 2 && data[0] == 0x08 && data[1] >= 1 && data[1] < 32 &&
      kTags.find(static_cast<char>(data[2])) != kTags.npos) {
    throw status::foreign_file("an ONNX model",
                               "dovetail.load(path) runs it; OnnxParser and Builder make a plan of it.");
  }
}

ContainerHeader read_header(const FileBytes& bytes) {
  refuse_foreign(bytes.data, bytes.n);
  if (bytes.n < kLengthBytes)
    throw status::plan_corrupt("file", "at least 8 bytes", std::to_string(bytes.n) + " bytes");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data, kLengthBytes);
  const uint64_t after = bytes.n - kLengthBytes;
  if (header_bytes > after || header_bytes > kMaxJsonBytes || (kLengthBytes + header_bytes) % kAlignment != 0)
    throw status::plan_corrupt(
        "header length", "a multiple of 64 less 8, at most " + std::to_string(std::min<uint64_t>(after, kMaxJsonBytes)),
        std::to_string(header_bytes));
  // A copy, for it is read more than once: the file behind a mapping may change at any time.
  const std::string text(reinterpret_cast<const char*>(bytes.data) + kLengthBytes, header_bytes);
  ContainerHeader header;
  header.document = std::make_shared<const ContainerHeader::Document>(parse_json(text, "header"));
  header.bytes = kLengthBytes + header_bytes;
  const JsonValue metadata = JsonValue(*header.document->json, "").at("__metadata__");
  if (metadata.at("format").text() != kFormat) metadata.at("format").fail(std::string("\"") + kFormat + "\"");

  header.checksum = metadata.at("checksum").text();
  const size_t digits = header.checksum.size() == kChecksumDigits ? find_digits(text, header.checksum) : kNoHole;
  if (digits == kNoHole) metadata.at("checksum").fail("16 hex digits");
  header.digits_at = kLengthBytes + digits;
  return header;
}

uint64_t checksum_of(const FileBytes& bytes, const ContainerHeader& header) {
  return checksum(bytes.data, bytes.n, header.digits_at);
}

Container read_container(const FileBytes& bytes, const ContainerHeader& header) {
  const JsonValue root(*header.document->json, "");
  Container container;
  container.plan = root.at("__metadata__").at("plan").text();
  const uint64_t data_bytes = bytes.n - header.bytes;
  const uint8_t* data = bytes.data + header.bytes;
  for (const auto& [name, tensor] : root.members("tensor ")) {
    if (name == "__metadata__") continue;
    if (tensor.at("dtype").text() != "U8") tensor.at("dtype").fail("\"U8\"");
    const JsonValue offsets = tensor.at("data_offsets");
    const auto begin = static_cast<uint64_t>(offsets.at(0, 2).integer(0, static_cast<int64_t>(data_bytes)));
    const auto end =
        static_cast<uint64_t>(offsets.at(1).integer(static_cast<int64_t>(begin), static_cast<int64_t>(data_bytes)));
    if (begin % kAlignment != 0) offsets.at(size_t{0}).fail("a multiple of 64");
    tensor.at("shape").at(0, 1).integer(static_cast<int64_t>(end - begin), static_cast<int64_t>(end - begin));
    container.blobs.emplace(name, Container::Blob{data + begin, end - begin});
  }
  return container;
}

}  // namespace dovetail
