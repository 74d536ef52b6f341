// SPDX-License-Identifier: Apache-2.0
// The algorithm of TopK: a heap of the k elements that come first so far, the last of them on top.
// Instruction sets: scalar.
#ifndef DOVETAIL_PLUGINS_TOPK_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_TOPK_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

__extension__ typedef unsigned __int128 Wide;

// Key and inverted index in one number: the greater comes first.
template <class Entry, class Key>
Entry entry_of(Key key, int64_t index) {
  return static_cast<Entry>(key) << 32 | static_cast<Entry>(~static_cast<uint32_t>(index));
}

template <class Entry>
void sift(Entry* heap, int64_t n, int64_t at) {
  const Entry moved = heap[at];
  for (int64_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && heap[child + 1] < heap[child]) ++child;
    if (heap[child] >= moved) break;
    heap[at] = heap[child];
  }
  heap[at] = moved;
}

// entry(i) for i in [0, count); heap[0, k) ends in order, the first first.
template <class Entry, class Of>
void select(Entry* heap, int64_t k, int64_t count, const Of& entry) {
  for (int64_t i = 0; i < k; ++i) heap[i] = entry(i);
  for (int64_t i = k / 2 - 1; i >= 0; --i) sift(heap, k, i);
  for (int64_t i = k; i < count; ++i) {
    const Entry next = entry(i);
    if (next <= heap[0]) continue;
    heap[0] = next;
    sift(heap, k, 0);
  }
  for (int64_t n = k - 1; n > 0; --n) {
    const Entry least = heap[0];
    heap[0] = heap[n];
    heap[n] = least;
    sift(heap, n, 0);
  }
}

// Bits of T are moved; key(row, i) says where they come.
template <class Entry, class T, class KeyOf>
void topk_rows(const TopkArgs& args, int64_t first, int64_t last, void* scratch, const KeyOf& key) {
  Entry* heap = static_cast<Entry*>(scratch);
  for (int64_t row = first; row < last; ++row) {
    const int64_t outer = row / args.inner, column = row % args.inner;
    const T* from = static_cast<const T*>(args.x) + outer * args.count * args.inner + column;
    select(heap, args.k, args.count, [&](int64_t i) { return entry_of<Entry>(key(from[i * args.inner]), i); });
    for (int64_t j = 0; j < args.k; ++j) {
      const uint32_t index = ~static_cast<uint32_t>(heap[j]);
      const int64_t to = (outer * args.k + j) * args.inner + column;
      static_cast<T*>(args.values)[to] = from[index * args.inner];
      args.indices[to] = static_cast<int32_t>(index);
    }
  }
}

}  // namespace

void topk(const TopkArgs& args, int64_t first, int64_t last, void* scratch) {
  const bool is_least = args.is_least;
  switch (args.type) {
    case kI64:
      return topk_rows<Wide, int64_t>(args, first, last, scratch, [=](int64_t v) { return int_key(v, is_least); });
    case kI32:
      return topk_rows<uint64_t, int32_t>(args, first, last, scratch, [=](int32_t v) { return int_key(v, is_least); });
    case kF16:
      return topk_rows<uint64_t, uint16_t>(args, first, last, scratch,
                                           [=](uint16_t v) { return float_key(bits_of(half_to_float(v)), is_least); });
    case kBF16:
      return topk_rows<uint64_t, uint16_t>(args, first, last, scratch,
                                           [=](uint16_t v) { return float_key(bits_of(bf16_to_float(v)), is_least); });
    default:
      return topk_rows<uint64_t, uint32_t>(args, first, last, scratch,
                                           [=](uint32_t v) { return float_key(v, is_least); });
  }
}

}  // namespace DT_ISA

#endif
