// SPDX-License-Identifier: Apache-2.0
// From the JSON of a plan to its structs: one method for each part of the document.
#ifndef DOVETAIL_RUNTIME_PLAN_READER_HPP
#define DOVETAIL_RUNTIME_PLAN_READER_HPP

#include <vector>

#include "runtime/json_reader.hpp"
#include "runtime/plan.hpp"

namespace dovetail {

class PlanReader {
 public:
  explicit PlanReader(Plan* plan) : plan_(*plan) {}
  // Of the plan's bytes, of which this is the header.
  void read(const ContainerHeader& header);

 private:
  void read_device(const JsonValue& device);
  void read_requirements(const JsonValue& list);
  void read_constants(const JsonValue& list);
  int32_t stored_constant(const JsonValue& entry, bool may_be_none = false) const;
  void read_tensors(const JsonValue& list);
  void read_parts(const JsonValue& list, size_t n, PlanTensor* tensor) const;
  int32_t read_device_type(const JsonValue& entry) const;
  void read_dims(const JsonValue& entry, PlanTensor* tensor);
  void read_io(const JsonValue& list, Where where, std::vector<int32_t>* out);
  void read_shape_inputs(const JsonValue& root);
  void read_programs(const JsonValue& list);
  void read_constraints(const JsonValue& list);
  void read_steps(const JsonValue& list, int32_t block);
  PlanStep read_step(const JsonValue& entry);
  void read_ports(const JsonValue& entry, PlanStep* step) const;
  // Those of plan_blocks.cpp.
  PlanStep read_control(const JsonValue& entry) const;
  void read_blocks(const JsonValue& list, int32_t step);
  void check_controls();
  void check_conditional(size_t step);
  void check_loop(size_t step);
  void check_alike(const JsonValue& entry, int32_t tensor, int32_t other) const;
  void read_epilogue(const JsonValue& entry, PlanStep* step) const;
  void read_sizes(const JsonValue& list);
  FieldValue read_field(const JsonValue& entry);
  void read_profiles(const JsonValue& list);
  PlanProfile read_profile(const JsonValue& entry);
  void read_contents(const JsonValue& entry, PlanProfile* profile) const;
  void add_sizes(const JsonValue& entry, PlanProfile* profile) const;
  void read_offsets(const JsonValue& entry, PlanProfile* profile) const;

  void find_roots(const JsonValue& tensors);
  void check_alias(const JsonValue& entry, const PlanTensor& tensor, const PlanTensor& root) const;
  void measure_constants(const JsonValue& tensors);
  void check_order(const JsonValue& steps) const;
  void read_origins(const JsonValue& list);
  PlanOrigin read_origin(const JsonValue& entry) const;
  void check_packing(const JsonValue& constants) const;
  void check_late_memory(const JsonValue& tensors);

  Plan& plan_;
  Container container_;
  std::vector<JsonValue> steps_, blocks_;  // of each step and block
};

}  // namespace dovetail

#endif
