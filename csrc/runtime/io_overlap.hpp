// SPDX-License-Identifier: Apache-2.0
// Checks which of the user's buffers may overlap: an output may overlap an input only if no later step
// reads that input.
#ifndef DOVETAIL_RUNTIME_IO_OVERLAP_HPP
#define DOVETAIL_RUNTIME_IO_OVERLAP_HPP

#include <cstdint>
#include <vector>

#include "runtime/engine.hpp"

namespace dovetail {

class IoOverlap {
 public:
  explicit IoOverlap(const Engine& engine);

  // Forgets what was added. The memory for intermediate tensors where it is the user's, else null.
  void begin(const void* memory, uint64_t bytes);
  void add(size_t io, const void* address, uint64_t bytes);
  // Throws Failure (DT_BINDING) that names both tensors and where they lie.
  void check();

 private:
  struct Range {
    uintptr_t begin, end;
    size_t io;
  };
  static Range range_of(size_t io, const void* address, uint64_t bytes);
  bool may_share(const Range& input, const Range& output) const;

  const Engine& engine_;
  std::vector<int32_t> last_read_;    // per input: the last step that reads it, -1: none
  std::vector<int32_t> first_write_;  // per output, by its place among inputs and outputs
  std::vector<Range> inputs_, outputs_;
  Range memory_ = {0, 0, 0};
};

}  // namespace dovetail

#endif
