// SPDX-License-Identifier: Apache-2.0
// One execution of a layer whose implementation is written in Python: the arguments of its methods.
#ifndef DOVETAIL_BINDINGS_PYTHON_CONTEXT_HPP
#define DOVETAIL_BINDINGS_PYTHON_CONTEXT_HPP

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/device_array.hpp"
#include "bindings/native.hpp"
#include "runtime/device.hpp"

namespace dovetail {

// Makes the descriptions that Python sees; see set_desc_factory. Leaked: used until the interpreter is gone.
struct DescFactory {
  py::object plain = py::none(), ranged = py::none();
};
DescFactory& desc_factory();

py::object make_desc(const py::tuple& dims, int32_t data_type, int32_t format, float scale);
// The extents that array_view gives a tensor of the host's: flat, in the order of memory, where rows are not in order.
DeviceArray device_array(const dt_tensor& tensor, bool is_read_only, std::shared_ptr<void> owner);

// The owner of the memory at `data`; null if it is not known.
std::shared_ptr<void> owner_of(const dt_run* run, const void* data);
// Does anything but this tuple refer to it or to its arrays? A view of an array refers to it, as everything does that
// looks at its memory by anything but a bare address.
bool is_kept(const py::tuple& arrays);
// Note the memory of an array that is kept.
void find_kept(PyObject* array, const std::shared_ptr<void>& owner, std::vector<MemoryRange>* kept);

// The tensors of one side of a layer as Python objects, made again only if pointers or shapes have changed.
class Side {
 public:
  explicit Side(bool is_writable) : is_writable_(is_writable) {}

  void refresh(const dt_run* run) {
    const dt_tensor* const* tensors = is_writable_ ? run->outputs : run->inputs;
    const uint32_t n = is_writable_ ? run->n_outputs : run->n_inputs;
    if (seen_.size() != n || !descs_) {
      seen_.assign(n, Seen{});
      owners_.assign(n, nullptr);
      descs_ = py::tuple(n);
      arrays_ = py::tuple(n);
    }
    for (uint32_t i = 0; i < n; ++i) {
      if (!is_same(seen_[i], tensors[i])) replace(i, tensors[i], run);
    }
  }

  // Let go of arrays that the plugin still holds, noting where they lie; others are made for the next run.
  void give_up_kept(std::vector<MemoryRange>* kept) {
    if (!is_kept(arrays_)) return;
    const bool all = Py_REFCNT(arrays_.ptr()) != 1;
    for (size_t i = 0; i < owners_.size(); ++i) {
      PyObject* array = PyTuple_GET_ITEM(arrays_.ptr(), static_cast<Py_ssize_t>(i));
      if (all || Py_REFCNT(array) != 1) find_kept(array, owners_[i], kept);
    }
    seen_.clear();
    owners_.clear();
    arrays_ = py::tuple();
  }

  PyObject* descs() const { return descs_.ptr(); }
  PyObject* arrays() const { return arrays_.ptr(); }

 private:
  struct Seen {
    const dt_tensor* tensor = nullptr;
    bool is_filled = false;
    const void* data = nullptr;
    int32_t ndim = 0, data_type = 0, format = 0;
    float scale = 0;
    int64_t shape[DT_MAX_RANK] = {}, strides[DT_MAX_RANK] = {};
    bool has_strides = false;
  };

  static bool is_same(const Seen& seen, const dt_tensor* tensor) {
    if (!seen.is_filled || seen.tensor != tensor) return false;
    if (!tensor) return true;
    const size_t bytes = static_cast<size_t>(tensor->ndim) * sizeof(int64_t);
    return seen.data == tensor->data && seen.ndim == tensor->ndim && seen.data_type == tensor->layout->data_type &&
           seen.format == tensor->layout->format && seen.scale == tensor->layout->scale &&
           std::memcmp(seen.shape, tensor->shape, bytes) == 0 && seen.has_strides == (tensor->strides != nullptr) &&
           (!tensor->strides || std::memcmp(seen.strides, tensor->strides, bytes) == 0);
  }

  // Tuples are shared with the plugin, which may keep them: a new one is made instead of changing the old.
  void replace(uint32_t i, const dt_tensor* tensor, const dt_run* run) {
    descs_ = copy(descs_);
    arrays_ = copy(arrays_);
    if (tensor) {
      owners_[i] = tensor->data ? owner_of(run, tensor->data) : nullptr;
      descs_[i] = make_desc(extents(tensor->shape, tensor->ndim), tensor->layout->data_type, tensor->layout->format,
                            tensor->layout->scale);
      arrays_[i] = view(*tensor, owners_[i]);
    } else {
      owners_[i] = nullptr;
      descs_[i] = py::none();
      arrays_[i] = py::none();
    }
    remember(&seen_[i], tensor);
  }

  static py::tuple copy(const py::tuple& tuple) {
    py::tuple result(tuple.size());
    for (size_t i = 0; i < tuple.size(); ++i) {
      PyObject* item = PyTuple_GET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(i));  // null until it is filled
      result[i] = item ? py::reinterpret_borrow<py::object>(item) : py::object(py::none());
    }
    return result;
  }

  static void remember(Seen* seen, const dt_tensor* tensor) {
    *seen = Seen{};
    seen->tensor = tensor;
    seen->is_filled = true;
    if (!tensor) return;
    seen->data = tensor->data;
    seen->ndim = tensor->ndim;
    seen->data_type = tensor->layout->data_type;
    seen->format = tensor->layout->format;
    seen->scale = tensor->layout->scale;
    seen->has_strides = tensor->strides != nullptr;
    std::copy(tensor->shape, tensor->shape + tensor->ndim, seen->shape);
    if (tensor->strides) std::copy(tensor->strides, tensor->strides + tensor->ndim, seen->strides);
  }

  py::object view(const dt_tensor& tensor, const std::shared_ptr<void>& owner) const {
    if (!tensor.data) return py::none();  // before the first enqueue
    if (tensor.device_type == DT_DEVICE_CPU) return array_view(tensor, is_writable_, owner);
    return py::cast(device_array(tensor, !is_writable_, owner));
  }

  bool is_writable_;
  py::tuple descs_, arrays_;
  std::vector<Seen> seen_;
  std::vector<std::shared_ptr<void>> owners_;  // of the arrays
};

// A stream between two moments of a default stream, which it stands for: 0, by which C knows that one, is a new stream
// to torch.cuda.ExternalStream, and cudaStreamLegacy (1) and cudaStreamPerThread (2) are errors.
class SideStream {
 public:
  explicit SideStream(const Device& device) : stream_(device), begun_(device, false), ended_(device, false) {}
  void* handle() const { return stream_.handle(); }
  static bool stands_for(void* stream) { return reinterpret_cast<uintptr_t>(stream) <= 2; }
  void begin(void* of) { order(stream_.handle(), of, begun_); }
  void end(void* of) { order(of, stream_.handle(), ended_); }

 private:
  // What `later` is given from now on waits for what `earlier` has.
  void order(void* later, void* earlier, const DeviceEvent& event) const {
    stream_.device().record(event.handle(), earlier);
    stream_.device().stream_wait(later, event.handle());
  }

  DeviceStream stream_;
  DeviceEvent begun_, ended_;
};

class PythonContext {
 public:
  explicit PythonContext(const py::object& object)
      : self_(py::hasattr(object, "make_context") ? object.attr("make_context")() : object),
        enqueue_(self_.attr("enqueue")),
        has_shape_changed_(py::hasattr(self_, "shape_changed")),
        drops_(!self_.is(object) && py::hasattr(self_, "drop")) {}

  void shape_changed(const dt_run* run) {
    inputs_.refresh(run);
    outputs_.refresh(run);
    if (!has_shape_changed_) return;
    self_.attr("shape_changed")(py::handle(inputs_.descs()), py::handle(outputs_.descs()));
  }

  void enqueue(const dt_run* run) {
    inputs_.refresh(run);
    outputs_.refresh(run);
    refresh_workspace(run);
    try {
      call_on_stream(run);
    } catch (...) {
      give_up_kept(run);  // the traceback holds frames, and they hold arrays
      throw;
    }
    give_up_kept(run);
  }

  void drop() {
    if (drops_) self_.attr("drop")();
  }

 private:
  void call_on_stream(const dt_run* run) {
    const bool on_stream = run->stream && run->stream->kind != 0;
    if (!on_stream) {
      call(run, zero_);
    } else if (!SideStream::stands_for(run->stream->handle)) {
      call(run, py::int_(reinterpret_cast<uintptr_t>(run->stream->handle)));
    } else {
      if (!side_stream_)
        side_stream_ = std::make_unique<SideStream>(find_device(DT_DEVICE_CUDA, run->stream->device_id));
      side_stream_->begin(run->stream->handle);
      try {
        call(run, py::int_(reinterpret_cast<uintptr_t>(side_stream_->handle())));
      } catch (...) {
        side_stream_->end(run->stream->handle);  // what was launched before uses the tensors still
        throw;
      }
      side_stream_->end(run->stream->handle);
    }
  }

  // Arrays that the plugin kept stay as they are: this context has done with them, and the run goes on elsewhere.
  void give_up_kept(const dt_run* run) {
    std::vector<MemoryRange> kept;
    inputs_.give_up_kept(&kept);
    outputs_.give_up_kept(&kept);
    if (!workspace_.is_none() && Py_REFCNT(workspace_.ptr()) != 1) {
      find_kept(workspace_.ptr(), workspace_owner_, &kept);
      workspace_ = py::none();
      workspace_pointer_ = nullptr;
    }
    MemoryOwners* owners = static_cast<const Call*>(run->call)->owners;
    if (!kept.empty() && owners) owners->abandon(run, kept);
  }

  // What an enqueue that decides extents returns: a tuple with the dims of each output.
  static void note_written(const py::object& result, Call* call) {
    if (!PyTuple_CheckExact(result.ptr())) return;
    call->written.clear();
    for (const py::handle dims : result) call->written.push_back(py::cast<std::vector<int64_t>>(dims));
  }

  void call(const dt_run* run, const py::object& stream) {
    PyObject* arguments[] = {inputs_.descs(),   outputs_.descs(), inputs_.arrays(),
                             outputs_.arrays(), workspace_.ptr(), stream.ptr()};
    PyObject* result = PyObject_Vectorcall(enqueue_.ptr(), arguments, 6, nullptr);
    if (!result) throw py::error_already_set();
    note_written(py::reinterpret_steal<py::object>(result), static_cast<Call*>(run->call));
  }

  void refresh_workspace(const dt_run* run) {
    if (run->workspace == workspace_pointer_ && run->workspace_bytes == workspace_bytes_) return;
    workspace_pointer_ = run->workspace;
    workspace_bytes_ = run->workspace_bytes;
    workspace_ = py::none();
    workspace_owner_ = nullptr;
    if (!workspace_pointer_ || !workspace_bytes_) return;
    workspace_owner_ = owner_of(run, workspace_pointer_);
    int64_t length = static_cast<int64_t>(workspace_bytes_);
    dt_layout layout = {DT_HDR(dt_layout), DT_TYPE_UINT8, DT_FORMAT_LINEAR, -1.0f, 0};
    dt_tensor bytes = {};
    bytes.data = workspace_pointer_;
    bytes.ndim = 1;
    bytes.shape = &length;
    bytes.layout = &layout;
    if (run->stream && run->stream->kind != 0) {
      workspace_ = py::cast(DeviceArray(reinterpret_cast<uintptr_t>(workspace_pointer_), {length}, {}, DT_TYPE_UINT8,
                                        run->stream->device_id, false, workspace_owner_));
    } else {
      workspace_ = array_view(bytes, true, workspace_owner_);
    }
  }

  py::object self_, enqueue_;
  bool has_shape_changed_, drops_;
  Side inputs_{false}, outputs_{true};
  void* workspace_pointer_ = nullptr;
  uint64_t workspace_bytes_ = 0;
  std::shared_ptr<void> workspace_owner_;
  py::object workspace_ = py::none(), zero_ = py::int_(0);
  std::unique_ptr<SideStream> side_stream_;
};

}  // namespace dovetail

#endif
