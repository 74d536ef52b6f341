// SPDX-License-Identifier: Apache-2.0
// From the JSON of a plan to its structs: one method for each part of the document.
#ifndef DOVETAIL_RUNTIME_PLAN_READER_HPP
#define DOVETAIL_RUNTIME_PLAN_READER_HPP

#include "runtime/plan.hpp"

namespace dovetail {

class JsonNode;

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
  void read_steps(const JsonNode& list);
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
  void check_order(const JsonNode& steps);
  void read_origins(const JsonNode& list);
  PlanOrigin read_origin(const JsonNode& node) const;
  void check_packing(const JsonNode& constants, const JsonNode& steps) const;
  void check_late_memory(const JsonNode& tensors, const JsonNode& steps);

  Plan& plan_;
  Container container_;
};

}  // namespace dovetail

#endif
