// SPDX-License-Identifier: Apache-2.0
// A program of pointwise layers that a kernel computes on its result: kept, verified, and handed over as dt_epilogue.
#ifndef DOVETAIL_RUNTIME_EPILOGUE_HPP
#define DOVETAIL_RUNTIME_EPILOGUE_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "dovetail/plugin.h"

namespace dovetail {

constexpr size_t kMaxEpilogueSteps = 256;

struct EpilogueProgram {
  std::vector<dt_step> steps;
  int32_t result_type = -1;  // DT_TYPE_* of what the kernel computes without it

  bool empty() const { return steps.empty(); }
  // "" if the steps are well formed and use only tensors below `n_tensors`, else the error and its step.
  std::string problem(size_t n_tensors) const;
};

// The table over a program, for planning with `descs` or for a run with `tensors`; the other is null. Points into the
// program and the lists, which must stay where they are.
class EpilogueTable {
 public:
  EpilogueTable(const EpilogueProgram& program, uint32_t n_tensors, const dt_desc* const* descs,
                const dt_tensor* const* tensors);
  EpilogueTable(const EpilogueTable&) = delete;
  EpilogueTable& operator=(const EpilogueTable&) = delete;
  const dt_epilogue* get() const { return &table_; }

 private:
  std::vector<const dt_step*> pointers_;
  dt_epilogue table_;
};

// "" if the extents of an operand are those of the result, or 1 where `may_repeat`; else the axis that does not fit.
std::string cannot_repeat(const int64_t* dims, const int64_t* result, int32_t rank, bool may_repeat);

}  // namespace dovetail

#endif
