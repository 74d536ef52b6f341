// SPDX-License-Identifier: Apache-2.0
// ReverseSequence@1#cpu: moves elements, or blocks of them that stay together.
#include "kernels/layout/format.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <class Index, class T>
void reverse_as(const Sequences& s, const Run& run) {
  const T* x = run.input(0).data<const T>();
  const Index* lengths = run.input(1).data<const Index>();
  T* y = run.output(0).data<T>();
  const int64_t length = s.length(), step = s.step();
  // An item is all of `second` for one place on the axes before it.
  parallel_ranges(run, s.outer * s.first * s.middle, static_cast<double>(s.second * s.inner) * sizeof(T), 1,
                  [&](int64_t begin, int64_t end) {
                    for (int64_t item = begin; item < end; ++item) {
                      const int64_t a = item / s.middle % s.first;
                      for (int64_t b = 0; b < s.second; ++b) {
                        const int64_t at = (item * s.second + b) * s.inner;
                        const int64_t t = s.batch_is_first ? b : a;
                        const T* from =
                            x + at +
                            reversed_by(t, static_cast<int64_t>(lengths[s.batch_is_first ? a : b]), length) * step;
                        if (s.inner == 1) {
                          y[at] = *from;
                        } else {
                          std::memcpy(y + at, from, static_cast<size_t>(s.inner) * sizeof(T));
                        }
                      }
                    }
                  });
}

template <class Index>
void enqueue(const ReverseSequenceParams& params, const Run& run) {
  const Tensor x = run.input(0);
  if (x.volume() == 0) return;
  const Sequences s = sequences_of(params, x);
  const int64_t bytes = size_of(x.type());
  if (bytes == 1) return reverse_as<Index, uint8_t>(s, run);
  if (bytes == 2) return reverse_as<Index, uint16_t>(s, run);
  if (bytes == 4) return reverse_as<Index, uint32_t>(s, run);
  reverse_as<Index, uint64_t>(s, run);
}

constexpr Row<ReverseSequenceParams> kRows[] = {
    {.tactic = "linear", .types = kReversedTypes, .formats = "linear", .enqueue = enqueue<int32_t>},
    {.tactic = "linear_int64", .types = kWideReversedTypes, .formats = "linear", .enqueue = enqueue<int64_t>},
};

}  // namespace

DOVETAIL_IMPLEMENTS("ReverseSequence@1#cpu", ReverseSequenceParams, kRows)
