// SPDX-License-Identifier: Apache-2.0
// The op's rules for its tensors, checked again when a plan is loaded: kernels rely on them, and a plan may
// have been changed.
#ifndef DOVETAIL_RUNTIME_OUTPUT_RULE_HPP
#define DOVETAIL_RUNTIME_OUTPUT_RULE_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/dims.hpp"
#include "runtime/object.hpp"

namespace dovetail {

// A tensor of a plan as the op sees it; extents that are not known are -1.
struct RuleTensor {
  int32_t data_type = 0, rank = 0;
  Dims dims = {};
};

// The extents of a step's outputs as functions of those of its inputs.
class OutputRule {
 public:
  ~OutputRule();

  // "" if the op takes so many inputs, leaves out only optional ones, and has these outputs with these types, else why
  // not. `object` may have a null pointer where the table is one of pure functions. Null inputs are absent.
  static std::string refusal(const Object& object, const std::vector<const RuleTensor*>& inputs,
                             const std::vector<const RuleTensor*>& outputs);
  // Null if the op has no rule. Throws Failure if it does not accept these inputs.
  static std::unique_ptr<OutputRule> ask(const Object& object, const std::vector<const RuleTensor*>& inputs,
                                         size_t n_outputs);

  // "" if the extents of the outputs follow from those of the inputs, else the first that does not: "output 0 is
  // [4, 1], not [4, 7]". All extents are known; an absent input is null.
  std::string refusal(const std::vector<const int64_t*>& inputs, const std::vector<const int64_t*>& outputs,
                      const std::vector<int32_t>& output_ranks) const;

 private:
  class Builder;
  struct Term;
  explicit OutputRule(std::unique_ptr<Builder> builder);

  std::unique_ptr<Builder> builder_;
  std::vector<std::vector<size_t>> outputs_;  // a term for each extent
};

}  // namespace dovetail

#endif
