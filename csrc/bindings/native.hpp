// SPDX-License-Identifier: Apache-2.0
// Tables of plugins for Python, and conversions that the binding files share.
#ifndef DOVETAIL_BINDINGS_NATIVE_HPP
#define DOVETAIL_BINDINGS_NATIVE_HPP

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "dovetail/plugin.h"
#include "runtime/epilogue.hpp"
#include "runtime/library.hpp"
#include "runtime/object.hpp"

namespace dovetail {

namespace py = pybind11;

// A table, and the owner that keeps it alive.
struct NativeOp {
  const dt_op* table = nullptr;
  std::string id, space;
  std::shared_ptr<Library> library;
};

struct NativeImplementation {
  const dt_implementation* table = nullptr;
  std::string id;
  std::string plugin, plugin_version, library, hash;  // empty for Python
  std::shared_ptr<void> keep;
  const dt_op* op = nullptr;  // the table of its op in the same library, else null
};

// Tensor descriptions out of Python objects with dims, dtype, format, and where they have them min, opt, max, scale,
// data, flags. None gives a null pointer: an absent optional input.
class DescArray {
 public:
  explicit DescArray(const py::sequence& descs);
  const std::vector<const dt_desc*>& pointers() const { return pointers_; }

 private:
  std::deque<dt_desc> storage_;
  std::vector<const dt_desc*> pointers_;
  std::vector<py::object> data_;
};

// The steps of an epilogue out of (result type, [(operation, layer, data type, [(kind, index or constant), ...]),
// ...]).
EpilogueProgram epilogue_of(const py::object& program, size_t n_tensors);

// (name, wire type, value) triples; a value that is None is left out.
std::vector<FieldValue> field_values(const py::iterable& fields, const std::string& subject);
// A field's value: a number, str, array, or a tuple of numbers where `is_scalar` is false.
py::object field_to_python(const dt_field& field, bool is_scalar);
// "" for null.
inline std::string text_or_empty(const char* text) { return text ? text : ""; }

// Extents as Python objects.
py::tuple extents(const int64_t* values, int32_t n);

// numpy's type for a DT_TYPE_*; BF16 as uint16 and FP8 as uint8, which have their bits.
py::dtype numpy_type(int32_t data_type);

// How many elements numpy must see: the logical extents where they stand in rows, else all bytes that the format takes.
// The array keeps `owner`, and so do views of it.
py::array array_view(const dt_tensor& tensor, bool is_writable, const std::shared_ptr<void>& owner = nullptr);
// The base of an array that keeps `owner` alive.
py::capsule owner_capsule(const std::shared_ptr<void>& owner);

// What infer_dims of `object` says for output `index`: a list of Expr made by `builder`, a core.expr.ExprBuilder.
// `inputs`: sequences of Expr or int, None for absent inputs.
py::list infer_dims(const Object& object, int32_t index, const py::sequence& inputs, const py::object& builder);

using ObjectPointer = std::shared_ptr<Object>;

// The implementation on this object; row -1 where it has none. Refuses an object of another table: the plugin would
// read foreign memory.
BoundImplementation bind_object(const NativeImplementation& self, const ObjectPointer& object, int32_t row);

// Runs it `repeat` times in a context of its own and gives the nanoseconds of each. Inputs are (desc, buffer) pairs or
// None, outputs pairs; `packed` is what prepare emitted or None; 0 threads: as many as the runtime takes by itself.
// `guarded`: on copies between red zones; throws Failure where the kernel wrote beside an output or into an input.
// `epilogue`: None, or a program; its tensors are the last `n_operands` inputs.
std::vector<int64_t> run_step(const NativeImplementation& self, const ObjectPointer& object, int32_t row,
                              const py::sequence& inputs, const py::sequence& outputs, const py::object& packed,
                              uint64_t workspace_bytes, int32_t n_threads, int32_t repeat, bool guarded,
                              const py::object& epilogue, size_t n_operands);

}  // namespace dovetail

#endif
