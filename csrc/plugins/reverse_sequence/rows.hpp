// SPDX-License-Identifier: Apache-2.0
// What the rows of ReverseSequence have in common on all devices.
#ifndef DOVETAIL_PLUGINS_REVERSE_SEQUENCE_ROWS_HPP
#define DOVETAIL_PLUGINS_REVERSE_SEQUENCE_ROWS_HPP

#include "dovetail/detail/host_device.hpp"
#include "reverse_sequence.hpp"

#define REVERSED_TYPES "f32|f16|bf16|i32|i64|i8|u8|b8"
constexpr char kReversedTypes[] = REVERSED_TYPES " i32 -> " REVERSED_TYPES;
constexpr char kWideReversedTypes[] = REVERSED_TYPES " i64 -> " REVERSED_TYPES;
#undef REVERSED_TYPES

// x as [outer, first, middle, second, inner]; of first and second, one numbers the sequences, along the other they run.
struct Sequences {
  int64_t outer, first, middle, second, inner;
  bool batch_is_first;

  DOVETAIL_HOST_DEVICE int64_t length() const { return batch_is_first ? second : first; }
  DOVETAIL_HOST_DEVICE int64_t step() const { return batch_is_first ? inner : middle * second * inner; }
};

inline Sequences sequences_of(const ReverseSequenceParams& params, const dovetail::Tensor& x) {
  const int batch = params.place(params.batch_axis, x.rank()), sequence = params.place(params.sequence_axis, x.rank());
  const int a = batch < sequence ? batch : sequence, b = batch < sequence ? sequence : batch;
  return {x.volume(0, a), x.extent(a), x.volume(a + 1, b), x.extent(b), x.volume(b + 1, x.rank()), batch < sequence};
}

// Distance from element t of a sequence to its source, in elements of the sequence.
DOVETAIL_HOST_DEVICE inline int64_t reversed_by(int64_t t, int64_t wanted, int64_t length) {
  const int64_t n = wanted < length ? wanted : length;
  return t < n ? n - 1 - 2 * t : 0;
}

#endif
