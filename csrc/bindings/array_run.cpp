// SPDX-License-Identifier: Apache-2.0
#include "bindings/array_run.hpp"

#include <algorithm>

#include "bindings/errors.hpp"
#include "bindings/native.hpp"
#include "runtime/layout.hpp"

namespace dovetail {
namespace {

static_assert(sizeof(Py_intptr_t) == sizeof(int64_t), "NumPy's extents are ours");

const py::detail::PyArray_Proxy& proxy(const py::object& array) { return *py::detail::array_proxy(array.ptr()); }

int64_t bytes_of(const py::object& array, int64_t item_bytes) {
  int64_t bytes = item_bytes;
  for (int axis = 0; axis < proxy(array).nd; ++axis) bytes *= proxy(array).dimensions[axis];
  return bytes;
}

// pybind11's own costs several times as much, for needs that are not ours.
class ReleasedGil {
 public:
  ReleasedGil() : state_(PyEval_SaveThread()) {}
  ~ReleasedGil() { PyEval_RestoreThread(state_); }
  ReleasedGil(const ReleasedGil&) = delete;
  ReleasedGil& operator=(const ReleasedGil&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace

// At its end no array is held here any more, and the user's allocators are in force again.
class ArrayRun::Session {
 public:
  explicit Session(ArrayRun* run) : run_(*run) {}
  ~Session() {
    for (auto& [io, allocator] : taken_) run_.context_.exchange_output_allocator(io, std::move(allocator));
    for (py::object& given : run_.given_) given = py::object();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void replace_allocator(size_t io, Context::OutputAllocator allocator) {
    taken_.emplace_back(io, run_.context_.exchange_output_allocator(io, std::move(allocator)));
  }

 private:
  ArrayRun& run_;
  std::vector<std::pair<size_t, Context::OutputAllocator>> taken_;
};

ArrayRun::ArrayRun(Context* context, const py::sequence& types)
    : context_(*context), numpy_(py::detail::npy_api::get()), n_inputs_(context->engine().plan().inputs.size()) {
  const Plan& plan = context_.engine().plan();
  if (types.size() != plan.n_io()) throw py::value_error("there has to be one type for each input and output");
  for (size_t io = 0; io < plan.n_io(); ++io) {
    const PlanTensor& tensor = plan.tensors[static_cast<size_t>(plan.io_tensor(io))];
    PyObject* name = PyUnicode_InternFromString(tensor.name.c_str());
    if (!name) throw py::error_already_set();
    const py::dtype type = py::reinterpret_borrow<py::dtype>(types[io]);
    if (!py::isinstance<py::dtype>(type)) throw py::type_error("types are NumPy's");
    tensors_.push_back({py::reinterpret_steal<py::str>(name), type, type.itemsize(), tensor.rank, tensor.data_type,
                        tensor.format, tensor.format == DT_FORMAT_LINEAR, context_.is_sized_late(io)});
  }
  given_.resize(plan.n_io());
}

py::object ArrayRun::run(const py::object& inputs, const py::object& outputs) {
  if (!context_.engine().device().is_cpu()) return {};
  Session session(this);
  if (!take_inputs(inputs)) return {};
  const bool are_given = !outputs.is_none();
  if (are_given && (!take_outputs(outputs) || is_memory_shared())) return {};
  bind_inputs();
  if (are_given && !do_outputs_fit()) return {};
  return run_bound(&session, nullptr, nullptr);
}

py::object ArrayRun::run_converted(const py::sequence& inputs, const py::sequence& outputs, void* stream,
                                   std::vector<uint64_t>* times) {
  Session session(this);
  if (inputs.size() != n_inputs_ || inputs.size() + outputs.size() != tensors_.size())
    throw py::value_error("there has to be one value for each input and output");
  for (size_t io = 0; io < tensors_.size(); ++io) {
    const bool is_input = io < n_inputs_;
    const py::object given = is_input ? inputs[io] : outputs[io - n_inputs_];
    const bool is_place = py::isinstance<py::tuple>(given) && py::len(given) == 4;
    if (is_input ? !is_place && !is_usable(given, tensors_[io], false)
                 : !given.is_none() && !PyCallable_Check(given.ptr()))
      throw py::type_error("an input or output was not converted");
    if (!given.is_none()) given_[io] = given;
  }
  bind_inputs();
  return run_bound(&session, stream, times);
}

// ---- what was given

// An array of the tensor's type in row-major order, at an address that its type may have; flat, in the tensor's own
// order, where its format is not LINEAR.
bool ArrayRun::is_usable(const py::object& value, const Tensor& tensor, bool is_output) const {
  if (!is_array(value)) return false;
  // What lies under a mask is not what the array shows.
  if (Py_TYPE(value.ptr()) != numpy_.PyArray_Type_ && py::hasattr(value, "mask")) return false;
  const py::detail::PyArray_Proxy& array = proxy(value);
  using Numpy = py::detail::npy_api;
  const int needed =
      Numpy::NPY_ARRAY_C_CONTIGUOUS_ | Numpy::NPY_ARRAY_ALIGNED_ | (is_output ? Numpy::NPY_ARRAY_WRITEABLE_ : 0);
  if ((array.flags & needed) != needed || (!tensor.is_linear && array.nd != 1)) return false;
  return array.descr == tensor.type.ptr() || numpy_.PyArray_EquivTypes_(array.descr, tensor.type.ptr());
}

bool ArrayRun::take_inputs(const py::object& inputs) {
  PyObject* const from = inputs.ptr();
  const auto n = static_cast<Py_ssize_t>(n_inputs_);
  if (PyDict_CheckExact(from)) {
    if (PyDict_GET_SIZE(from) != n) return false;
  } else if (PyTuple_CheckExact(from) || PyList_CheckExact(from)) {
    if (PySequence_Fast_GET_SIZE(from) != n) return false;
  } else if (n != 1) {
    return false;
  }
  for (size_t io = 0; io < n_inputs_; ++io) {
    PyObject* value = from;
    if (PyDict_CheckExact(from)) {
      value = PyDict_GetItemWithError(from, tensors_[io].name.ptr());
      if (!value && PyErr_Occurred()) throw py::error_already_set();
    } else if (PyTuple_CheckExact(from) || PyList_CheckExact(from)) {
      value = PySequence_Fast_GET_ITEM(from, static_cast<Py_ssize_t>(io));
    }
    if (!value) return false;
    given_[io] = py::reinterpret_borrow<py::object>(value);
    if (!is_usable(given_[io], tensors_[io], false)) return false;
  }
  return true;
}

bool ArrayRun::take_outputs(const py::object& outputs) {
  if (!PyDict_CheckExact(outputs.ptr())) return false;
  Py_ssize_t n_known = 0;
  for (size_t io = n_inputs_; io < tensors_.size(); ++io) {
    PyObject* value = PyDict_GetItemWithError(outputs.ptr(), tensors_[io].name.ptr());
    if (!value && PyErr_Occurred()) throw py::error_already_set();
    if (!value) continue;
    ++n_known;
    if (value == Py_None) continue;
    given_[io] = py::reinterpret_borrow<py::object>(value);
    if (tensors_[io].is_sized_late || !is_usable(given_[io], tensors_[io], true)) return false;
  }
  return n_known == PyDict_GET_SIZE(outputs.ptr());
}

// Does an output that was given lie in the memory of anything else?
bool ArrayRun::is_memory_shared() const {
  for (size_t io = n_inputs_; io < given_.size(); ++io) {
    if (!given_[io]) continue;
    const char* const begin = proxy(given_[io]).data;
    const char* const end = begin + bytes_of(given_[io], tensors_[io].item_bytes);
    for (size_t other = 0; other < io; ++other) {
      if (!given_[other]) continue;
      const char* const at = proxy(given_[other]).data;
      if (begin < at + bytes_of(given_[other], tensors_[other].item_bytes) && at < end) return true;
    }
  }
  return false;
}

// Have the outputs that were given the extents that follow from the inputs?
bool ArrayRun::do_outputs_fit() {
  for (size_t io = n_inputs_; io < given_.size(); ++io) {
    if (!given_[io]) continue;
    const py::detail::PyArray_Proxy& array = proxy(given_[io]);
    Dims dims = {};
    const int rank = context_.shape(io, &dims);
    const bool fits = tensors_[io].is_linear
                          ? array.nd == rank && std::equal(array.dimensions, array.dimensions + rank, dims.begin())
                          : static_cast<uint64_t>(bytes_of(given_[io], tensors_[io].item_bytes)) == context_.bytes(io);
    if (!fits) return false;
  }
  return true;
}

// ---- the run

ArrayRun::Place ArrayRun::place_of_array(size_t io) const {
  const py::object& array = given_[io];
  return {proxy(array).data, static_cast<uint64_t>(bytes_of(array, tensors_[io].item_bytes)), array};
}

// A flat array in a format that is not LINEAR says nothing of extents: they were set before.
void ArrayRun::bind_inputs() {
  for (size_t io = 0; io < n_inputs_; ++io) {
    if (is_array(given_[io])) {
      const py::detail::PyArray_Proxy& array = proxy(given_[io]);
      if (tensors_[io].is_linear) context_.set_input_shape(io, array.dimensions, array.nd);
      Place place = place_of_array(io);
      context_.set_address(io, place.address, place.bytes, hold(std::move(place.owner)));
      continue;
    }
    const auto given = py::reinterpret_borrow<py::tuple>(given_[io]);
    if (!given[2].is_none()) {
      const auto dims = py::cast<std::vector<int64_t>>(given[2]);
      context_.set_input_shape(io, dims.data(), static_cast<int>(dims.size()));
    }
    context_.set_address(io, reinterpret_cast<void*>(py::cast<uintptr_t>(given[0])), py::cast<uint64_t>(given[1]),
                         hold(given[3]));
  }
}

void ArrayRun::bind_outputs(Session* session) {
  for (size_t io = n_inputs_; io < tensors_.size(); ++io) {
    if (tensors_[io].is_sized_late) {
      session->replace_allocator(io, late_allocator(io));
      continue;
    }
    if (!context_.is_plain() && context_.has_output_allocator(io)) session->replace_allocator(io, {});
    Place place = place_of_output(io);
    context_.set_address(io, place.address, place.bytes, hold(std::move(place.owner)));
  }
}

// Called in the execution, as soon as the extents are known.
Context::OutputAllocator ArrayRun::late_allocator(size_t io) {
  auto owner = std::make_shared<std::shared_ptr<void>>();
  Context::OutputAllocator allocator;
  allocator.allocate = [this, io, owner](uint64_t bytes, uint64_t) -> void* {
    py::gil_scoped_acquire gil;
    Place place = place_of_output(io);
    if (place.bytes < bytes)
      throw status::buffer_too_small(py::cast<std::string>(tensors_[io].name), place.bytes, bytes);
    *owner = hold(std::move(place.owner));
    return place.address;
  };
  allocator.owner = [owner] { return std::exchange(*owner, nullptr); };
  return allocator;
}

// The array that was given, or what a function gives for the present extents, or a new array; it becomes the result.
ArrayRun::Place ArrayRun::place_of_output(size_t io) {
  py::object& given = given_[io];
  if (!given) given = new_array(io);
  if (is_array(given)) return place_of_array(io);
  Dims dims = {};
  const int rank = context_.shape(io, &dims);
  py::object answer = given(extents(dims.data(), rank));
  if (py::isinstance<py::tuple>(answer) && py::len(answer) == 3) {
    const auto place = py::reinterpret_borrow<py::tuple>(answer);
    given = place[2];
    return {reinterpret_cast<void*>(py::cast<uintptr_t>(place[0])), py::cast<uint64_t>(place[1]), given};
  }
  if (!is_usable(answer, tensors_[io], true)) throw py::type_error("an output was not converted");
  given = std::move(answer);
  return place_of_array(io);
}

py::object ArrayRun::new_array(size_t io) {
  const Tensor& tensor = tensors_[io];
  Dims dims = {};
  int rank = context_.shape(io, &dims);
  if (!tensor.is_linear) {
    uint64_t bytes = 0;
    tensor_bytes(dims.data(), rank, tensor.data_type, tensor.format, &bytes);
    dims[0] = static_cast<int64_t>(bytes) / tensor.item_bytes;
    rank = 1;
  }
  PyObject* type = py::object(tensor.type).release().ptr();  // NumPy takes the reference
  PyObject* made =
      numpy_.PyArray_NewFromDescr_(numpy_.PyArray_Type_, type, rank, dims.data(), nullptr, nullptr, 0, nullptr);
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

void ArrayRun::execute(void* stream, std::vector<uint64_t>* times) {
  const ReleasedGil released;
  const Device& device = context_.engine().device();
  if (times)
    *times = context_.execute_profiled(stream);
  else if (device.is_cpu())
    context_.execute();
  else
    context_.execute({DT_HDR(dt_stream), 1, device.index(), stream});
}

py::object ArrayRun::run_bound(Session* session, void* stream, std::vector<uint64_t>* times) {
  bind_outputs(session);
  execute(stream, times);
  py::dict results;
  for (size_t io = n_inputs_; io < tensors_.size(); ++io) {
    if (!given_[io]) throw py::value_error("an output got no memory");
    if (PyDict_SetItem(results.ptr(), tensors_[io].name.ptr(), given_[io].ptr()) != 0) throw py::error_already_set();
  }
  return results;
}

}  // namespace dovetail
