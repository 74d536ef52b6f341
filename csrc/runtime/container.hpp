// SPDX-License-Identifier: Apache-2.0
// The safetensors file that a plan is: a header of JSON, then blobs.
#ifndef DOVETAIL_RUNTIME_CONTAINER_HPP
#define DOVETAIL_RUNTIME_CONTAINER_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

namespace dovetail {

// The bytes of a file, and the owner that keeps them alive.
struct FileBytes {
  const uint8_t* data = nullptr;
  uint64_t n = 0;
  std::shared_ptr<const void> keep;
};

// Maps the file, read-only. Throws Failure (DT_PLAN_CORRUPT) if it cannot be read.
FileBytes map_file(const std::string& path);
// The same bytes at an address that is a multiple of 64; copied if they are not there already.
FileBytes align_bytes(FileBytes bytes);

struct ContainerHeader {
  struct Document;
  std::shared_ptr<const Document> document;
  uint64_t bytes = 0;    // of the file, in front of the blobs
  std::string checksum;  // as it stands there
  size_t digits_at = 0;  // where, in the file
};

struct Container {
  struct Blob {
    const uint8_t* data;
    uint64_t n;
  };
  std::string plan;  // JSON text
  std::unordered_map<std::string, Blob> blobs;
};

// Throws Failure (DT_PLAN_CORRUPT) if the first bytes show that this is a file of another program, which users
// sometimes load by mistake: an ONNX model, a TensorRT engine, an archive of torch. `n` may be the number of the first
// bytes only.
void refuse_foreign(const uint8_t* data, uint64_t n);

// `bytes.data` must be a multiple of 64. Throws Failure (DT_PLAN_CORRUPT).
ContainerHeader read_header(const FileBytes& bytes);
// The checksum that the header of an undamaged file has.
uint64_t checksum_of(const FileBytes& bytes, const ContainerHeader& header);
// Verifies every offset, but not the checksum. Throws Failure (DT_PLAN_CORRUPT).
Container read_container(const FileBytes& bytes, const ContainerHeader& header);

}  // namespace dovetail

#endif
