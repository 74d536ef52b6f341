// SPDX-License-Identifier: Apache-2.0
#include "work.hpp"

#include <cstdlib>
#include <cstring>
#include <utility>

namespace onednn {

DescPointer tagged(int rank, Dims dims, int type, int tag) {
  MemoryDesc* made = nullptr;
  expect_done(api().memory_desc_create_with_tag(&made, rank, dims, type, tag), "memory_desc_create_with_tag");
  return {made, api().memory_desc_destroy};
}

DescPointer strided(int rank, Dims dims, int type, Dims strides) {
  MemoryDesc* made = nullptr;
  expect_done(api().memory_desc_create_with_strides(&made, rank, dims, type, strides),
              "memory_desc_create_with_strides");
  return {made, api().memory_desc_destroy};
}

Owned<Attributes> attributes(const std::vector<PostOp>& post_ops, const std::vector<DescPointer>& operands) {
  Attributes* made = nullptr;
  expect_done(api().primitive_attr_create(&made), "primitive_attr_create");
  Owned<Attributes> all(made, api().primitive_attr_destroy);
  expect_done(api().primitive_attr_set_scratchpad_mode(made, kUserScratch), "primitive_attr_set_scratchpad_mode");
  if (post_ops.empty()) return all;
  PostOps* raw = nullptr;
  expect_done(api().post_ops_create(&raw), "post_ops_create");
  const Owned<PostOps> list(raw, api().post_ops_destroy);
  for (size_t i = 0; i < post_ops.size(); ++i) {
    const PostOp& op = post_ops[i];
    if (op.tensor >= 0) {
      expect_done(api().post_ops_append_binary(raw, op.algorithm, operands[i].get()), "post_ops_append_binary");
    } else {
      expect_done(api().post_ops_append_eltwise(raw, op.algorithm, op.alpha, op.beta), "post_ops_append_eltwise");
    }
  }
  expect_done(api().primitive_attr_set_post_ops(made, raw), "primitive_attr_set_post_ops");
  return all;
}

bool is_fast(const PrimitiveDesc* descriptor) {
  const char* name = nullptr;
  return api().primitive_desc_query(descriptor, kName, 0, &name) == 0 && name && !std::strstr(name, "ref");
}

std::shared_ptr<Primitive> primitive_of(const PrimitiveDesc* descriptor) {
  Primitive* made = nullptr;
  expect_done(api().primitive_create(&made, descriptor), "primitive_create");
  return {made, api().primitive_destroy};
}

void reorder(const MemoryDesc* from, const void* data, const MemoryDesc* to, void* result) {
  const OneThread one;
  const Owned<Attributes> plain = attributes({}, {});
  PrimitiveDesc* made = nullptr;
  Engine* const engine = api().engine;
  expect_done(api().reorder_primitive_desc_create(&made, from, engine, to, engine, plain.get()),
              "reorder_primitive_desc_create");
  const DescriptorPointer descriptor(made, api().primitive_desc_destroy);
  Task task(primitive_of(made));
  task.add(kSource, from, {Place::kInput, 0, 0});
  task.add(kDestination, to, {Place::kOutput, 0, 0});
  task.add_scratch(api().primitive_desc_query_md(made, kScratch, 0));
  task.point(0, data);
  task.point(1, result);
  task.execute();
}

Task::Task(std::shared_ptr<Primitive> primitive)
    : primitive_(std::move(primitive)), stream_(nullptr, api().stream_destroy), scratch_(nullptr, nullptr) {
  Stream* made = nullptr;
  expect_done(api().stream_create(&made, api().engine, 1), "stream_create");
  stream_.reset(made);
}

void Task::add(int name, const MemoryDesc* desc, const Place& place) {
  Memory* made = nullptr;
  expect_done(api().memory_create(&made, desc, api().engine, nullptr), "memory_create");
  memories_.emplace_back(made, api().memory_destroy);
  arguments_.push_back({name, made});
  places_.push_back(place);
}

void Task::add_scratch(const MemoryDesc* desc) {
  constexpr size_t kPage = 4096;
  const size_t bytes = desc ? api().memory_desc_get_size(desc) : 0;
  if (bytes == 0) return;
  void* const memory = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
  if (!memory) dovetail::fail(DT_OUT_OF_MEMORY, "no memory for the scratch of a primitive, %zu bytes", bytes);
  scratch_ = {static_cast<char*>(memory), [](char* of) { std::free(of); }};
  Memory* made = nullptr;
  expect_done(api().memory_create(&made, desc, api().engine, memory), "memory_create");
  memories_.emplace_back(made, api().memory_destroy);
  arguments_.push_back({kScratchpad, made});
}

void Task::point(size_t tensor, const void* data) {
  // The library takes addresses of inputs as those of outputs; it writes to the latter alone.
  expect_done(api().memory_set_data_handle(arguments_[tensor].memory, const_cast<void*>(data)),
              "memory_set_data_handle");
}

void Task::execute() {
  expect_done(
      api().primitive_execute(primitive_.get(), stream_.get(), static_cast<int>(arguments_.size()), arguments_.data()),
      "primitive_execute");
}

void Task::run(const dovetail::Run& run) {
  const auto base_of = [&run](const Place& place) -> const void* {
    switch (place.of) {
      case Place::kInput:
        return run.input(place.index).data<void>();
      case Place::kOutput:
        return run.output(place.index).data<void>();
      case Place::kOperand:
        return run.epilogue().raw()->tensors[place.index]->data;
      case Place::kPacked:
        break;
    }
    return run.packed();
  };
  for (size_t i = 0; i < places_.size(); ++i)
    point(i, static_cast<const char*>(base_of(places_[i])) + places_[i].offset);
  execute();
}

void Work::run(const dovetail::Run& run) {
  run.parallel_for(static_cast<int64_t>(tasks.size()), [&](int32_t task) {
    const OneThread one;
    tasks[static_cast<size_t>(task)].run(run);
  });
}

std::vector<Share> shares(int64_t n, int64_t parts) {
  std::vector<Share> made;
  for (int64_t i = 0, first = 0; i < parts && first < n; ++i) {
    const int64_t end = n * (i + 1) / parts;
    if (end > first) made.push_back({first, end - first});
    first = end;
  }
  return made;
}

}  // namespace onednn
