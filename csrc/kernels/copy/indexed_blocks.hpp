// SPDX-License-Identifier: Apache-2.0
// Blocks of neighbouring elements whose positions in a tensor are given by indices, for Gather and Scatter.
#ifndef DOVETAIL_KERNELS_COPY_INDEXED_BLOCKS_HPP
#define DOVETAIL_KERNELS_COPY_INDEXED_BLOCKS_HPP

#include "dovetail/detail/host_device.hpp"
#include "kernels/copy/strided_copy.hpp"
#include "kernels/spec/enumerations.hpp"

DOVETAIL_OPEN_NAMESPACE

enum GatherMode : int32_t { DOVETAIL_GATHER_MODE(DOVETAIL_ENUMERATOR, kGather) };

// Block r is numbered row-major over the axes. Its indices start at sum(c[i] * axes[i].from) of the indices, and it
// is at sum(c[i] * axes[i].to) + sum(index[k] * parts[k].step) of the data, in elements.
struct IndexedBlocks {
  struct Part {
    int64_t extent, step;  // of the axis of the data that the index is for
  };
  StridedCopy rows{1};
  Part parts[DT_MAX_RANK] = {};
  int n_parts = 0;
  int64_t block = 1;  // elements

  void add_part(int64_t extent, int64_t step) { parts[n_parts++] = {extent, step}; }
};

// An index in [-extent, extent), of which the negative ones count from the end, as one from the front; else -1.
DOVETAIL_HOST_DEVICE inline int64_t index_in(int64_t index, int64_t extent) {
  const int64_t from_front = index < 0 ? index + extent : index;
  return from_front >= 0 && from_front < extent ? from_front : -1;
}

// Distance of the block with these indices from that with zero indices; -1 if an index is out of range.
template <class Index>
DOVETAIL_HOST_DEVICE inline int64_t place_of(const IndexedBlocks& blocks, const Index* indices) {
  int64_t place = 0;
  for (int k = 0; k < blocks.n_parts; ++k) {
    const int64_t index = index_in(indices[k], blocks.parts[k].extent);
    if (index < 0) return -1;
    place += index * blocks.parts[k].step;
  }
  return place;
}

// A tensor's extents, while planning or while running.
struct Extents {
  const int64_t* n;
  int rank;
  template <class T>
  explicit Extents(const T& t) : n(t.dims()), rank(t.rank()) {}
  int64_t operator[](int i) const { return n[i]; }
};

// Null, or why the blocks of `values` (what Gather writes, what Scatter takes) are not those of data and indices.
inline const char* plan_blocks(int32_t mode, int64_t axis, int64_t n_shared, const Extents& data,
                               const Extents& indices, const Extents& values, IndexedBlocks* blocks) {
  *blocks = IndexedBlocks();
  if (axis < 0) axis += data.rank;
  if (mode != kGatherNd && (axis < 0 || axis >= data.rank)) return "the data has no such axis";
  const RowMajor in_data(data.n, data.rank), in_indices(indices.n, indices.rank);
  if (mode == kGatherElement) {
    if (indices.rank != data.rank || values.rank != data.rank) return "data, indices and values differ in rank";
    for (int i = 0; i < data.rank; ++i) {
      if (values[i] != indices[i]) return "the extents of the values are not those of the indices";
      if (i != axis && indices[i] > data[i]) return "the indices reach over the data beside the axis";
      blocks->rows.add(indices[i], in_indices.step[i], i == axis ? 0 : in_data.step[i]);
    }
    blocks->add_part(data[static_cast<int>(axis)], in_data.step[axis]);
    return nullptr;
  }
  if (n_shared < 0 || n_shared > data.rank || n_shared > indices.rank) return "there are not so many shared axes";
  const int shared = static_cast<int>(n_shared);
  for (int i = 0; i < shared; ++i) {
    if (data[i] != indices[i]) return "data and indices differ on a shared axis";
  }
  int at = 0;  // axis of the values that is looked at next
  const auto next_is = [&](int64_t extent) { return at < values.rank && values[at++] == extent; };
  bool is_right = true;
  if (mode == kGatherDefault) {
    if (axis < shared) return "the axis is a shared one";
    const int middle = static_cast<int>(axis);
    for (int i = 0; i < middle; ++i) {
      is_right = is_right && next_is(data[i]);
      blocks->rows.add(data[i], i < shared ? in_indices.step[i] : 0, in_data.step[i]);
    }
    if (middle + indices.rank - shared + data.rank - middle - 1 != values.rank) return "the values have another rank";
    int64_t n_indices = 1;  // those that are not shared are one axis
    for (int i = shared; i < indices.rank; ++i) {
      is_right = is_right && next_is(indices[i]);
      n_indices *= indices[i];
    }
    blocks->rows.add(n_indices, 1, 0);
    for (int i = middle + 1; i < data.rank; ++i) is_right = is_right && next_is(data[i]);
    blocks->add_part(data[middle], in_data.step[middle]);
    blocks->block = in_data.step[middle];
  } else {
    if (indices.rank <= shared) return "the indices have no axis for their parts";
    const int64_t n_parts = indices[indices.rank - 1];
    if (n_parts < 0 || n_parts > data.rank - shared) return "the indices have more parts than the data has axes";
    const int first_of_block = shared + static_cast<int>(n_parts);
    if (indices.rank - 1 + data.rank - first_of_block != values.rank) return "the values have another rank";
    for (int i = 0; i + 1 < indices.rank; ++i) {
      is_right = is_right && next_is(indices[i]);
      blocks->rows.add(indices[i], in_indices.step[i], i < shared ? in_data.step[i] : 0);
    }
    for (int i = shared; i < first_of_block; ++i) blocks->add_part(data[i], in_data.step[i]);
    for (int i = first_of_block; i < data.rank; ++i) {
      is_right = is_right && next_is(data[i]);
      blocks->block *= data[i];
    }
  }
  return is_right && at == values.rank ? nullptr : "the extents of the values are not those of data and indices";
}

// Checks what the kernels of Gather and Scatter rely on.
inline void check_blocks(int32_t mode, int64_t axis, int64_t n_shared, const Shape& data, const Shape& indices,
                         const Shape& values) {
  IndexedBlocks blocks;
  const char* fault = plan_blocks(mode, axis, n_shared, Extents(data), Extents(indices), Extents(values), &blocks);
  if (fault) fail(DT_SHAPE, nowhere("%s"), fault);
}

// For a run, whose shapes were checked.
inline IndexedBlocks blocks_of(int32_t mode, int64_t axis, int64_t n_shared, const Tensor& data, const Tensor& indices,
                               const Tensor& values) {
  IndexedBlocks blocks;
  plan_blocks(mode, axis, n_shared, Extents(data), Extents(indices), Extents(values), &blocks);
  return blocks;
}

#ifndef __CUDACC__

// Calls body(place, r) for blocks [first, last); place is -1 where an index is out of range.
template <class Index, class Body>
void for_blocks(const IndexedBlocks& blocks, const Index* indices, int64_t first, int64_t last, const Body& body) {
  int64_t r = first;
  strided::for_rows(blocks.rows, blocks.rows.rank, first, last, [&](int64_t at, int64_t base) {
    const int64_t place = place_of(blocks, indices + at);
    body(place < 0 ? place : base + place, r++);
  });
}

#endif

DOVETAIL_CLOSE_NAMESPACE

#endif
