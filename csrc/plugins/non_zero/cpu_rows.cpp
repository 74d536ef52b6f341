// SPDX-License-Identifier: Apache-2.0
// NonZero@1#cpu: every piece of x counts, then every piece writes behind those before it.
#include "kernels/layout/format.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int64_t kPieces = 64, kLeastPiece = 4096;

uint64_t workspace(const NonZeroParams&, const Descs&, const Descs&, int) { return (kPieces + 1) * sizeof(int64_t); }

template <class T, class Index>
void run_as(const Run& run, uint64_t mask) {
  const Tensor x = run.input(0);
  const T* const elements = x.data<const T>();
  const T bits = static_cast<T>(mask);
  const int64_t total = x.volume(), wanted = (total + kLeastPiece - 1) / kLeastPiece;
  const int64_t n_pieces = wanted < kPieces ? wanted : kPieces,
                length = n_pieces ? (total + n_pieces - 1) / n_pieces : 0;
  int64_t* const before = run.workspace<int64_t>();
  const auto end_of = [&](int64_t first) { return first + length < total ? first + length : total; };
  before[0] = 0;
  run.parallel_for(n_pieces, [&](int32_t piece) {
    int64_t n = 0;
    for (int64_t i = piece * length, end = end_of(i); i < end; ++i) n += (elements[i] & bits) != 0;
    before[piece + 1] = n;
  });
  for (int64_t piece = 0; piece < n_pieces; ++piece) before[piece + 1] += before[piece];
  const int64_t count = before[n_pieces];
  *run.output(1).data<Index>() = static_cast<Index>(count);
  Index* const y = run.output(0).data<Index>();
  const NonZeroExtents extents = non_zero_extents(x);
  run.parallel_for(n_pieces, [&](int32_t piece) {
    int64_t k = before[piece];
    for (int64_t i = piece * length, end = end_of(i); i < end && k < before[piece + 1]; ++i)
      if ((elements[i] & bits) != 0) put_coordinates(extents, i, k++, count, y);
  });
}

template <class Index>
void enqueue(const NonZeroParams&, const Run& run) {
  const DataType type = run.input(0).type();
  const uint64_t mask = non_zero_mask(type);
  switch (size_of(type)) {
    case 1:
      return run_as<uint8_t, Index>(run, mask);
    case 2:
      return run_as<uint16_t, Index>(run, mask);
    case 4:
      return run_as<uint32_t, Index>(run, mask);
    default:
      return run_as<uint64_t, Index>(run, mask);
  }
}

constexpr Row<NonZeroParams> kRows[] = {
    {.tactic = "i32", .types = kTypes32, .formats = "linear", .workspace = workspace, .enqueue = enqueue<int32_t>},
    {.tactic = "i64", .types = kTypes64, .formats = "linear", .workspace = workspace, .enqueue = enqueue<int64_t>},
};

}  // namespace

DOVETAIL_IMPLEMENTS("NonZero@1#cpu", NonZeroParams, kRows)
