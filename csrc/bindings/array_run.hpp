// SPDX-License-Identifier: Apache-2.0
// Executions on arrays: one call checks the inputs, runs on them in place, and returns the outputs.
#ifndef DOVETAIL_BINDINGS_ARRAY_RUN_HPP
#define DOVETAIL_BINDINGS_ARRAY_RUN_HPP

#include <pybind11/numpy.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/context.hpp"

namespace dovetail {

namespace py = pybind11;

// The thread that calls has the context to itself and holds the GIL, which is released while the steps run.
class ArrayRun {
 public:
  // `types`: NumPy's type of each input and output.
  ArrayRun(Context* context, const py::sequence& types);

  // Runs on the user's arrays if all of them can be used in place: the inputs as a dict by name, a list or tuple in the
  // engine's order, or one array if there is one input; the outputs as None, or as a dict of arrays to write to.
  // Returns the results by name. Null if something must be converted first, if Python has to report an error, and
  // for a GPU.
  py::object run(const py::object& inputs, const py::object& outputs);

  // Of converted memory, in the engine's order. An input is an array that `run` would take, or a tuple (address, bytes,
  // extents or None where they are set already, owner). An output is None for a new array, or a function that returns
  // an array or a tuple (address, bytes, owner) for the output's extents; such an owner is then the result.
  // With `times`: nanoseconds of each step.
  py::object run_converted(const py::sequence& inputs, const py::sequence& outputs, void* stream,
                           std::vector<uint64_t>* times);

 private:
  struct Tensor {
    py::str name;
    py::dtype type;
    int64_t item_bytes;
    int32_t rank, data_type, format;
    bool is_linear, is_sized_late;
  };
  class Session;  // of one run

  struct Place {
    void* address;
    uint64_t bytes;
    py::object owner;
  };

  bool is_usable(const py::object& value, const Tensor& tensor, bool is_output) const;
  bool is_array(const py::object& value) const { return PyObject_TypeCheck(value.ptr(), numpy_.PyArray_Type_) != 0; }
  bool take_inputs(const py::object& inputs);
  bool take_outputs(const py::object& outputs);
  bool is_memory_shared() const;
  bool do_outputs_fit();
  void bind_inputs();
  void bind_outputs(Session* session);
  Place place_of_array(size_t io) const;
  Place place_of_output(size_t io);
  py::object new_array(size_t io);
  Context::OutputAllocator late_allocator(size_t io);
  void execute(void* stream, std::vector<uint64_t>* times);
  py::object run_bound(Session* session, void* stream, std::vector<uint64_t>* times);

  Context& context_;
  const py::detail::npy_api& numpy_;
  const size_t n_inputs_;
  std::vector<Tensor> tensors_;    // inputs first
  std::vector<py::object> given_;  // in a run, per tensor: memory as it was given, then the result; or null
};

}  // namespace dovetail

#endif
