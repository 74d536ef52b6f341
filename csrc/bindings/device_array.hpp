// SPDX-License-Identifier: Apache-2.0
// A tensor on a CUDA device for a Python plugin, with DLPack and the CUDA array interface, so that torch, CuPy, Numba
// and Triton can use the same memory. It keeps that memory alive, but later steps and runs use it, too. It never waits,
// since all work goes to the stream that enqueue gets.
#ifndef DOVETAIL_BINDINGS_DEVICE_ARRAY_HPP
#define DOVETAIL_BINDINGS_DEVICE_ARRAY_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bindings/native.hpp"

namespace dovetail {

class DeviceArray {
 public:
  // `shape` and `strides` count elements; no strides: one row after the other.
  DeviceArray(uintptr_t pointer, std::vector<int64_t> shape, std::vector<int64_t> strides, int32_t data_type,
              int32_t device_id, bool is_read_only, std::shared_ptr<void> owner = nullptr);

  uintptr_t pointer() const { return pointer_; }
  py::tuple shape() const;
  uint64_t bytes() const;
  std::string type() const;  // "<f4"
  py::str repr() const;

  py::dict cuda_array_interface() const;  // version 3
  py::tuple dlpack_device() const;
  py::tuple dlpack_type() const;  // code and bits: it knows bfloat16 and fp8, which the interface above does not
  bool has_strides() const { return has_strides_; }

 private:
  uintptr_t pointer_;
  std::vector<int64_t> shape_, strides_;
  int32_t data_type_, device_id_;
  bool is_read_only_, has_strides_;
  std::shared_ptr<void> owner_;  // of the memory, where that is known
};

}  // namespace dovetail

#endif
