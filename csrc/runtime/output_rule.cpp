// SPDX-License-Identifier: Apache-2.0
#include "runtime/output_rule.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <sstream>

#include "runtime/layout.hpp"

namespace dovetail {
namespace {

constexpr size_t kMaxTerms = size_t{1} << 20;  // of one layer: a plugin that loops must not take all memory

// The port of tensor `index`: the last one stands for any number where it is variadic. Null: none.
const dt_port* port_of(const dt_port* const* ports, uint32_t n, size_t index) {
  if (index < n) return ports[index];
  const bool repeats = n > 0 && (ports[n - 1]->flags & DT_PORT_VARIADIC) != 0;
  return repeats ? ports[n - 1] : nullptr;
}

bool has_ports(const dt_op& op) { return op.inputs != nullptr && op.n_inputs > 0; }

std::string refuse_inputs(const dt_op& op, const std::vector<const RuleTensor*>& inputs) {
  if (!has_ports(op))
    return std::find(inputs.begin(), inputs.end(), nullptr) == inputs.end() ? "" : "it takes no absent inputs";
  for (size_t i = 0; i < std::max<size_t>(inputs.size(), op.n_inputs); ++i) {
    const dt_port* port = port_of(op.inputs, op.n_inputs, i);
    if (!port) return "it takes " + std::to_string(op.n_inputs) + " inputs, not " + std::to_string(inputs.size());
    const bool may_be_absent = (port->flags & (DT_PORT_OPTIONAL | DT_PORT_VARIADIC)) != 0;
    if (!may_be_absent && (i >= inputs.size() || !inputs[i]))
      return std::string("its input '") + (port->name ? port->name : "") + "' is missing";
  }
  return "";
}

int32_t type_of_word(const std::string& word) {
#define DT_SHORT_NAME(name, value, bits, code, short_name, log_word) \
  if (word == short_name) return value;
  DT_DATA_TYPES(DT_SHORT_NAME)
#undef DT_SHORT_NAME
  return -1;
}

// The types that output `index` may have; empty: any.
std::vector<int32_t> types_of(const Object& object, int32_t index, const std::vector<const RuleTensor*>& inputs) {
  const dt_op& op = *object.op();
  const dt_port* port = op.outputs ? port_of(op.outputs, op.n_outputs, static_cast<size_t>(index)) : nullptr;
  std::vector<int32_t> legal;
  std::istringstream words(port && port->types ? port->types : "");
  for (std::string word; words >> word;) {
    if (word[0] != '=') {
      legal.push_back(type_of_word(word));
      continue;
    }
    for (size_t i = 0; has_ports(op) && i < op.n_inputs && i < inputs.size(); ++i)
      if (inputs[i] && op.inputs[i]->name && word.substr(1) == op.inputs[i]->name) return {inputs[i]->data_type};
  }
  if (DT_HAS(dt_op, &op, infer_type)) {
    std::vector<int32_t> types;
    for (const RuleTensor* input : inputs) types.push_back(input ? input->data_type : -1);
    return {object.infer_type(index, types)};
  }
  return legal;
}

}  // namespace

struct OutputRule::Term {
  enum Kind { kConstant, kExtent, kOperation, kSize } kind;
  int64_t a = 0, b = 0;  // kExtent: input and axis; kOperation: terms; kSize: `a` is the upper bound
  int32_t op = 0;
  int64_t value = 0;  // kConstant
  size_t index = 0;
};

// A dt_expr_builder whose expressions are terms; it owns them.
class OutputRule::Builder {
 public:
  Builder() {
    table_.h = DT_HDR(dt_expr_builder);
    table_.self = this;
    table_.constant = [](void* self, int64_t value) { return of(self).constant(value); };
    table_.operation = [](void* self, int32_t op, const dt_expr* a, const dt_expr* b) {
      return of(self).operation(op, term(a), term(b));
    };
    table_.constant_value = [](void*, const dt_expr* e, int64_t* value) -> int32_t {
      if (!e || !value || term(e)->kind != Term::kConstant) return 0;
      *value = term(e)->value;
      return 1;
    };
    table_.size_tensor = [](void* self, int32_t, const dt_expr* opt, const dt_expr* upper) -> const dt_expr* {
      if (!opt || !upper) return nullptr;
      return of(self).add({Term::kSize, static_cast<int64_t>(term(upper)->index)});
    };
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  const dt_expr_builder* table() const { return &table_; }
  const std::string& trouble() const { return trouble_; }

  const dt_expr* constant(int64_t value) { return add({Term::kConstant, 0, 0, 0, value}); }
  const dt_expr* extent(size_t input, int axis) { return add({Term::kExtent, static_cast<int64_t>(input), axis}); }
  static size_t index_of(const dt_expr* e) { return term(e)->index; }

  // False: an operation has no result with these extents.
  bool evaluate(const std::vector<const int64_t*>& inputs, std::vector<int64_t>* values) const {
    values->resize(terms_.size());
    for (const Term& n : terms_) {
      int64_t& value = (*values)[n.index];
      const auto a = static_cast<size_t>(n.a), b = static_cast<size_t>(n.b);
      if (n.kind == Term::kConstant) value = n.value;
      if (n.kind == Term::kExtent) value = inputs[a] ? inputs[a][b] : 0;
      if (n.kind == Term::kSize) value = (*values)[a];  // memory is planned for the bound
      if (n.kind == Term::kOperation && operate(n.op, (*values)[a], (*values)[b], &value) != DimsTrouble::kNone)
        return false;
    }
    return true;
  }

 private:
  // dt_expr is never defined: plugins see a Term as a pointer to it.
  static const Term* term(const dt_expr* e) { return reinterpret_cast<const Term*>(e); }
  static Builder& of(void* self) { return *static_cast<Builder*>(self); }

  const dt_expr* add(Term term) {
    if (terms_.size() >= kMaxTerms) {
      trouble_ = "its dims take more than " + std::to_string(kMaxTerms) + " operations";
      return nullptr;
    }
    term.index = terms_.size();
    return reinterpret_cast<const dt_expr*>(&terms_.emplace_back(term));
  }

  const dt_expr* operation(int32_t op, const Term* a, const Term* b) {
    if (op < DT_DIM_SUM || op > DT_DIM_CEIL_DIV || !a || !b) return nullptr;
    if (a->kind != Term::kConstant || b->kind != Term::kConstant)
      return add({Term::kOperation, static_cast<int64_t>(a->index), static_cast<int64_t>(b->index), op});
    int64_t value = 0;
    if (operate(op, a->value, b->value, &value) == DimsTrouble::kNone) return constant(value);
    trouble_ = "its dims divide by zero, or do not fit into 64 bits";
    return nullptr;
  }

  dt_expr_builder table_ = {};
  std::deque<Term> terms_;
  std::string trouble_;
};

OutputRule::OutputRule(std::unique_ptr<Builder> builder) : builder_(std::move(builder)) {}
OutputRule::~OutputRule() = default;

std::string OutputRule::refusal(const Object& object, const std::vector<const RuleTensor*>& inputs,
                                const std::vector<const RuleTensor*>& outputs) {
  const dt_op& op = *object.op();
  if (std::string reason = refuse_inputs(op, inputs); !reason.empty()) return reason;
  if (DT_HAS(dt_op, &op, count_outputs) || op.outputs) {
    const int32_t n = object.count_outputs(static_cast<int32_t>(inputs.size()));
    if (static_cast<size_t>(n) != outputs.size())
      return "it has " + std::to_string(n) + " outputs, the plan " + std::to_string(outputs.size());
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::vector<int32_t> legal = types_of(object, static_cast<int32_t>(i), inputs);
    if (legal.empty() || std::find(legal.begin(), legal.end(), outputs[i]->data_type) != legal.end()) continue;
    std::string names;
    for (int32_t type : legal) {
      const TypeInfo* info = type_info(type);
      names += (names.empty() ? "" : " or ") + std::string(info ? info->word : "of no known type");
    }
    return "output " + std::to_string(i) + " is " + names + ", not " + type_info(outputs[i]->data_type)->word;
  }
  return "";
}

std::unique_ptr<OutputRule> OutputRule::ask(const Object& object, const std::vector<const RuleTensor*>& inputs,
                                            size_t n_outputs) {
  if (!DT_HAS(dt_op, object.op(), infer_dims)) return nullptr;
  std::unique_ptr<OutputRule> rule(new OutputRule(std::make_unique<Builder>()));
  Builder& builder = *rule->builder_;
  std::deque<dt_dims_exprs> storage;
  std::vector<const dt_dims_exprs*> pointers;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) {
      pointers.push_back(nullptr);
      continue;
    }
    dt_dims_exprs& dims = storage.emplace_back();
    dims.ndim = inputs[i]->rank;
    for (int32_t axis = 0; axis < dims.ndim; ++axis) {
      const int64_t extent = inputs[i]->dims[static_cast<size_t>(axis)];
      dims.d[axis] = extent >= 0 ? builder.constant(extent) : builder.extent(i, axis);
    }
    pointers.push_back(&dims);
  }
  for (size_t i = 0; i < n_outputs; ++i) {
    dt_dims_exprs out = {};
    try {
      out = object.infer_dims(static_cast<int32_t>(i), pointers, builder.table());
    } catch (Failure& failure) {
      if (!builder.trouble().empty()) failure.facts.emplace_back("reason", builder.trouble());
      throw;
    }
    std::vector<size_t>& extents = rule->outputs_.emplace_back();
    for (int32_t axis = 0; axis < out.ndim; ++axis) extents.push_back(Builder::index_of(out.d[axis]));
  }
  return rule;
}

std::string OutputRule::refusal(const std::vector<const int64_t*>& inputs, const std::vector<const int64_t*>& outputs,
                                const std::vector<int32_t>& output_ranks) const {
  std::vector<int64_t> values;
  if (!builder_->evaluate(inputs, &values)) return "its dims divide by zero, or do not fit into 64 bits";
  for (size_t i = 0; i < outputs_.size(); ++i) {
    std::vector<int64_t> wanted;
    for (size_t term : outputs_[i]) wanted.push_back(values[term]);
    const auto rank = static_cast<size_t>(output_ranks[i]);
    if (wanted.size() == rank && std::equal(wanted.begin(), wanted.end(), outputs[i])) continue;
    return "output " + std::to_string(i) + " is " + dims_text(wanted.data(), static_cast<int>(wanted.size())) +
           ", not " + dims_text(outputs[i], output_ranks[i]);
  }
  return "";
}

}  // namespace dovetail
