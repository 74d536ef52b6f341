// SPDX-License-Identifier: Apache-2.0
// Primitives of oneDNN as the work of a layer: made when extents are known, run on the host's threads.
#ifndef DOVETAIL_ONEDNN_WORK_HPP
#define DOVETAIL_ONEDNN_WORK_HPP

#include <vector>

#include "api.hpp"
#include "dovetail/epilogue_program.h"
#include "post_ops.hpp"

namespace onednn {

using DescPointer = Owned<MemoryDesc>;

// A tensor of these extents in a format, or with these strides.
DescPointer tagged(int rank, Dims dims, int type, int tag);
DescPointer strided(int rank, Dims dims, int type, Dims strides);

// The attributes of a primitive that computes these post-ops; `operands` are their tensors, in order, null for others.
Owned<Attributes> attributes(const std::vector<PostOp>& post_ops, const std::vector<DescPointer>& operands);

using DescriptorPointer = Owned<PrimitiveDesc>;
// False if it is computed by the library's reference code, which serves to compare with.
bool is_fast(const PrimitiveDesc* descriptor);

// `from` in the format of `to`.
void reorder(const MemoryDesc* from, const void* data, const MemoryDesc* to, void* result);

// Where a tensor of a primitive begins in a run.
struct Place {
  enum Of { kInput, kOutput, kPacked, kOperand } of;
  int index;  // of the input, or of the operand
  int64_t offset;
};

// What one thread computes at a time.
class Task {
 public:
  explicit Task(std::shared_ptr<Primitive> primitive);
  // A tensor under one of the names of the library.
  void add(int name, const MemoryDesc* desc, const Place& place);
  void add_scratch(const MemoryDesc* desc);
  void run(const dovetail::Run& run);
  // Without a run: where a tensor lies, by the order of `add`.
  void point(size_t tensor, const void* data);
  void execute();

 private:
  std::shared_ptr<Primitive> primitive_;
  Owned<Stream> stream_;
  std::vector<Owned<Memory>> memories_;
  std::vector<Argument> arguments_;
  std::vector<Place> places_;  // of the first ones
  std::unique_ptr<char[], void (*)(char*)> scratch_;
};

std::shared_ptr<Primitive> primitive_of(const PrimitiveDesc* descriptor);

// The state of a layer.
struct Work {
  std::vector<Task> tasks;
  void run(const dovetail::Run& run);
};

// Parts of n things, as even as they can be.
struct Share {
  int64_t first, n;
};
std::vector<Share> shares(int64_t n, int64_t parts);

}  // namespace onednn

#endif
