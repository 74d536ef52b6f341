// SPDX-License-Identifier: Apache-2.0
// dt_expr_builder over a Python ExprBuilder.
#include <exception>
#include <unordered_set>

#include "bindings/errors.hpp"
#include "bindings/native.hpp"

// What a dt_expr is here: an expression of Python.
struct dt_expr {
  pybind11::object expression;
};

namespace dovetail {
namespace {

class Builder {
 public:
  explicit Builder(py::object builder) : builder_(std::move(builder)) {
    table_.h = DT_HDR(dt_expr_builder);
    table_.self = this;
    table_.constant = [](void* self, int64_t value) {
      return of(self).make([&](py::object& builder) { return builder.attr("constant")(value); });
    };
    table_.operation = [](void* self, int32_t op, const dt_expr* a, const dt_expr* b) -> const dt_expr* {
      if (op < DT_DIM_SUM || op > DT_DIM_CEIL_DIV || !of(self).owns(a) || !of(self).owns(b)) return nullptr;
      return of(self).make(
          [&](py::object& builder) { return builder.attr("operation")(op, a->expression, b->expression); });
    };
    table_.constant_value = [](void* self, const dt_expr* e, int64_t* value) -> int32_t {
      return value && of(self).owns(e) && of(self).known(e->expression, value) ? 1 : 0;
    };
    table_.size_tensor = [](void* self, int32_t index, const dt_expr* opt, const dt_expr* upper) -> const dt_expr* {
      if (!of(self).owns(opt) || !of(self).owns(upper)) return nullptr;
      return of(self).make([&](py::object& builder) {
        return builder.attr("declare_size_tensor")(index, opt->expression, upper->expression);
      });
    };
  }

  const dt_expr_builder* table() const { return &table_; }

  const dt_expr* add(py::object expression) {
    nodes_.push_back(dt_expr{std::move(expression)});
    own_.insert(&nodes_.back());
    return &nodes_.back();
  }

  // A plugin may have kept one of an earlier call, which is dead.
  bool owns(const dt_expr* expression) const { return own_.count(expression) != 0; }

  // An exception of the Python builder, such as a division by zero: it says more than the plugin can.
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static Builder& of(void* self) { return *static_cast<Builder*>(self); }

  template <typename Make>
  const dt_expr* make(Make make_one) {
    py::gil_scoped_acquire gil;
    try {
      return add(make_one(builder_));
    } catch (...) {
      if (!error_) error_ = std::current_exception();
      return nullptr;
    }
  }

  bool known(const py::object& expression, int64_t* value) {
    py::gil_scoped_acquire gil;
    try {
      if (!py::cast<bool>(expression.attr("is_constant"))) return false;
      *value = py::cast<int64_t>(expression.attr("value"));
      return true;
    } catch (...) {
      if (!error_) error_ = std::current_exception();
      return false;
    }
  }

  py::object builder_;
  dt_expr_builder table_ = {};
  std::deque<dt_expr> nodes_;
  std::unordered_set<const dt_expr*> own_;
  std::exception_ptr error_;
};

}  // namespace

py::list infer_dims(const Object& object, int32_t index, const py::sequence& inputs, const py::object& given_builder) {
  Builder builder(given_builder);
  std::deque<dt_dims_exprs> storage;
  std::vector<const dt_dims_exprs*> pointers;
  for (const py::handle given : inputs) {
    if (given.is_none()) {
      pointers.push_back(nullptr);
      continue;
    }
    const auto extents = py::reinterpret_borrow<py::sequence>(given);
    if (extents.size() > DT_MAX_RANK) {
      throw Failure{DT_SHAPE, "a tensor cannot have rank " + std::to_string(extents.size()), {{"most", "8"}}, ""};
    }
    dt_dims_exprs& dims = storage.emplace_back();
    for (const py::handle extent : extents) {
      const bool is_int = PyLong_Check(extent.ptr()) != 0;
      dims.d[dims.ndim++] =
          builder.add(is_int ? given_builder.attr("constant")(extent) : py::reinterpret_borrow<py::object>(extent));
    }
    pointers.push_back(&dims);
  }
  dt_dims_exprs out = {};
  try {
    py::gil_scoped_release release;
    out = object.infer_dims(index, pointers, builder.table());
  } catch (const Failure&) {
    builder.rethrow();
    throw;
  }
  builder.rethrow();
  for (int32_t i = 0; i < out.ndim; ++i) {
    if (builder.owns(out.d[i])) continue;
    Call().refuse("dimension " + std::to_string(i) + " of output " + std::to_string(index) +
                      " is an expression of another call, which is dead; make it of this call's exprBuilder",
                  object.subject(), "getOutputDimensions", object.layer());
  }
  py::list result;
  for (int32_t i = 0; i < out.ndim; ++i) result.append(out.d[i]->expression);
  return result;
}

}  // namespace dovetail
