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

struct Container {
  struct Blob {
    const uint8_t* data;
    uint64_t n;
  };
  std::string plan;  // JSON text
  std::string checksum;
  std::unordered_map<std::string, Blob> blobs;
};

// Throws Failure (DT_PLAN_CORRUPT) if the first bytes show that this is a file of another program, which users
// sometimes load by mistake: an ONNX model, a TensorRT engine, an archive of torch. `n` may be the number of the first
// bytes only.
void refuse_foreign(const uint8_t* data, uint64_t n);

// Verifies the checksum and every offset; `bytes.data` must be a multiple of 64. Throws Failure (DT_PLAN_CORRUPT).
Container read_container(const FileBytes& bytes);

}  // namespace dovetail

#endif
