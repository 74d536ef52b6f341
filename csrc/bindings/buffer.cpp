// SPDX-License-Identifier: Apache-2.0
#include "bindings/buffer.hpp"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <utility>
#include <vector>

#include "bindings/module.hpp"
#include "runtime/checksum.hpp"
#include "runtime/memory.hpp"

namespace dovetail {

std::shared_ptr<Py_buffer> hold_buffer(const py::handle& object, int flags) {
  auto view = std::make_unique<Py_buffer>();
  if (PyObject_GetBuffer(object.ptr(), view.get(), flags) != 0) throw py::error_already_set();
  return std::shared_ptr<Py_buffer>(view.release(), [](Py_buffer* held) {
    if (Py_IsInitialized()) {
      py::gil_scoped_acquire gil;
      PyBuffer_Release(held);
    }
    delete held;
  });
}

namespace {

py::str checksum_of(const py::object& buffer) {
  const std::shared_ptr<Py_buffer> view = hold_buffer(buffer, PyBUF_SIMPLE);
  uint64_t value = 0;
  {
    py::gil_scoped_release release;
    value = checksum(view->buf, static_cast<size_t>(view->len));
  }
  return hex_digits(value);
}

// Once large blocks were freed, the C library keeps those that come later, and what is free between them adds up.
void trim_memory() {
#if defined(__GLIBC__)
  py::gil_scoped_release release;
  ::malloc_trim(0);
#endif
}

// A read-only copy of bytes, aligned as plans are best: an engine uses it where it lies. In C++ because a class of
// Python's can offer no buffer before 3.12.
class HostMemory {
 public:
  explicit HostMemory(const py::object& source) {
    const std::shared_ptr<Py_buffer> view = hold_buffer(source, PyBUF_SIMPLE);
    memory_ = Memory(static_cast<uint64_t>(view->len), "a plan");
    std::copy_n(static_cast<const uint8_t*>(view->buf), memory_.bytes(), memory_.data());
  }
  // The parts one behind the other, and the digits of their checksum in place of the zeros at `digits_at`.
  HostMemory(const py::list& parts, uint64_t digits_at) {
    std::vector<std::shared_ptr<Py_buffer>> views;
    uint64_t n = 0;
    for (const py::handle part : parts) {
      views.push_back(hold_buffer(py::reinterpret_borrow<py::object>(part), PyBUF_SIMPLE));
      n += static_cast<uint64_t>(views.back()->len);
    }
    if (digits_at > n || n - digits_at < kChecksumDigits) throw py::value_error("the digits do not fit");
    memory_ = Memory(n, "a plan");
    uint8_t* at = memory_.data();
    for (const auto& view : views) at = std::copy_n(static_cast<const uint8_t*>(view->buf), view->len, at);
    const std::string digits = hex_digits(checksum(memory_.data(), n, digits_at));
    std::copy(digits.begin(), digits.end(), memory_.data() + digits_at);
  }
  py::buffer_info buffer() const {
    return py::buffer_info(memory_.data(), 1, "B", 1, {static_cast<py::ssize_t>(memory_.bytes())}, {1}, true);
  }
  uint64_t bytes() const { return memory_.bytes(); }

 private:
  Memory memory_;
};

}  // namespace
}  // namespace dovetail

void bind_buffers(py::module_& m) {
  using namespace dovetail;
  m.def("trim_memory", &trim_memory, "Give freed memory back to the system, where the C library can.");
  m.def("checksum", &checksum_of, py::arg("buffer"),
        "16 hex digits; for a plan: of its bytes with '0' in place of the digits.");
  py::class_<HostMemory>(m, "HostMemory", py::buffer_protocol(),
                         "A read-only, aligned copy of a buffer; may be derived from.")
      .def(py::init<const py::object&>(), py::arg("source"))
      .def(py::init<const py::list&, uint64_t>(), py::arg("parts"), py::arg("digits_at"),
           "The parts of a plan, joined and sealed with their checksum.")
      .def_buffer(&HostMemory::buffer)
      .def_property_readonly("nbytes", &HostMemory::bytes)
      .def("__len__", &HostMemory::bytes);
}
