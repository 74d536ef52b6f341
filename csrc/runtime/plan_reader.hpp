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
  void read(FileBytes bytes);

 private:
  void read_device(const JsonNode& device);
  void read_requirements(const JsonNode& list);
  void read_constants(const JsonNode& list);
  int32_t stored_constant(const JsonNode& node, bool may_be_none = false) const;
  void read_tensors(const JsonNode& list);
  int32_t read_device_type(const JsonNode& node) const;
  void read_dims(const JsonNode& node, PlanTensor* tensor);
  void read_io(const JsonNode& list, Where where, std::vector<int32_t>* out);
  void read_shape_inputs(const JsonNode& root);
  void read_programs(const JsonNode& list);
  void read_constraints(const JsonNode& list);
  void read_steps(const JsonNode& list, int32_t block);
  PlanStep read_step(const JsonNode& node);
  void read_ports(const JsonNode& node, PlanStep* step) const;
  // Those of plan_blocks.cpp.
  PlanStep read_control(const JsonNode& node) const;
  void read_blocks(const JsonNode& list, int32_t step);
  void check_controls();
  void check_conditional(size_t step);
  void check_loop(size_t step);
  void check_alike(const JsonNode& node, int32_t tensor, int32_t other) const;
  void read_epilogue(const JsonNode& node, PlanStep* step) const;
  void read_sizes(const JsonNode& list);
  FieldValue read_field(const JsonNode& node);
  void read_profiles(const JsonNode& list);
  PlanProfile read_profile(const JsonNode& node);
  void read_contents(const JsonNode& node, PlanProfile* profile) const;
  void add_sizes(const JsonNode& node, PlanProfile* profile) const;
  void read_offsets(const JsonNode& node, PlanProfile* profile) const;

  void find_roots(const JsonNode& tensors);
  void measure_constants(const JsonNode& tensors);
  void check_order(const JsonNode& steps) const;
  void read_origins(const JsonNode& list);
  PlanOrigin read_origin(const JsonNode& node) const;
  void check_packing(const JsonNode& constants) const;
  void check_late_memory(const JsonNode& tensors);

  Plan& plan_;
  Container container_;
  std::vector<JsonNode> steps_, blocks_;  // of each step and block
};

}  // namespace dovetail

#endif
