// SPDX-License-Identifier: Apache-2.0
// runtime.h for C++17: owners that clean up, failures as exceptions. Header only; link libdovetail.
#ifndef DOVETAIL_RUNTIME_HPP
#define DOVETAIL_RUNTIME_HPP

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runtime.h"

namespace dovetail {

// A failure of the runtime: what() is the whole text, code one of plugin.h.
class RuntimeError : public std::runtime_error {
 public:
  RuntimeError(dt_code code, const std::string& text) : std::runtime_error(text), code_(code) {}
  dt_code code() const { return code_; }

 private:
  dt_code code_;
};

namespace detail {
inline void check_runtime(dt_code code) {
  if (code != DT_OK) throw RuntimeError(code, dt_last_error());
}
}  // namespace detail

inline void load_library(const std::string& path) { detail::check_runtime(dt_runtime_load_library(path.c_str())); }

// A loaded plan. Copies share it.
class Engine {
 public:
  explicit Engine(const std::string& path, int n_threads = 0) : Engine(path.c_str(), n_threads) {}
  explicit Engine(const char* path, int n_threads = 0) {
    dt_engine* engine = nullptr;
    detail::check_runtime(dt_engine_load_file(path, n_threads, &engine));
    engine_.reset(engine, dt_engine_destroy);
  }
  // The bytes must outlive the engine and its contexts.
  Engine(const void* bytes, size_t n, int n_threads = 0) {
    dt_engine* engine = nullptr;
    detail::check_runtime(dt_engine_load_memory(bytes, n, n_threads, &engine));
    engine_.reset(engine, dt_engine_destroy);
  }

  int n_inputs() const { return count().first; }
  int n_outputs() const { return count().second; }
  dt_io_info info(int io) const {
    dt_io_info info = {};
    info.h = DT_HDR(dt_io_info);
    detail::check_runtime(dt_engine_io_info(engine_.get(), io, &info));
    return info;
  }
  // Inputs first, then outputs.
  int index(const std::string& name) const {
    int32_t io = 0;
    detail::check_runtime(dt_engine_io_index(engine_.get(), name.c_str(), &io));
    return io;
  }
  // What profile `profile` was tuned for.
  std::vector<int64_t> optimal_shape(int input, int profile = 0) const {
    int64_t dims[DT_MAX_RANK];
    detail::check_runtime(dt_engine_profile_shape(engine_.get(), profile, input, nullptr, dims, nullptr));
    return std::vector<int64_t>(dims, dims + info(input).ndim);
  }
  uint64_t memory_bytes(int profile = 0) const {
    uint64_t bytes = 0;
    detail::check_runtime(dt_engine_memory_bytes(engine_.get(), profile, &bytes));
    return bytes;
  }
  const dt_engine* get() const { return engine_.get(); }

 private:
  std::pair<int32_t, int32_t> count() const {
    std::pair<int32_t, int32_t> n;
    detail::check_runtime(dt_engine_io_count(engine_.get(), &n.first, &n.second));
    return n;
  }
  std::shared_ptr<dt_engine> engine_;
};

// Allocates outputs whose size is known only during an execution. Derive a class from it.
class OutputAllocator {
 public:
  virtual ~OutputAllocator() = default;
  // Returns at least `bytes` bytes at a multiple of `alignment`, on the output's device, which then belong to the
  // output. If it returns null or throws, the execution fails.
  virtual void* reallocate_output(int output, size_t bytes, size_t alignment) = 0;
  // The extents of the output in this execution.
  virtual void notify_shape(int output, const std::vector<int64_t>& dims) noexcept {
    (void)output;
    (void)dims;
  }
};

// One thread's execution of an engine.
class Context {
 public:
  explicit Context(const Engine& engine, int profile = 0, bool own_memory = true) {
    dt_context* context = nullptr;
    detail::check_runtime(dt_context_create(engine.get(), profile, own_memory, &context));
    context_.reset(context);
  }

  void set_profile(int profile) { detail::check_runtime(dt_context_set_profile(context_.get(), profile)); }
  void set_memory(void* memory, size_t bytes) {
    detail::check_runtime(dt_context_set_memory(context_.get(), memory, bytes));
  }
  void set_input_shape(int input, const std::vector<int64_t>& dims) {
    detail::check_runtime(
        dt_context_set_input_shape(context_.get(), input, static_cast<int32_t>(dims.size()), dims.data()));
  }
  // -1 stands where nothing is known yet.
  std::vector<int64_t> shape(int io) const {
    int64_t dims[DT_MAX_RANK];
    int32_t n = 0;
    detail::check_runtime(dt_context_tensor_shape(context_.get(), io, &n, dims));
    return std::vector<int64_t>(dims, dims + n);
  }
  size_t bytes(int io) const {
    uint64_t n = 0;
    detail::check_runtime(dt_context_tensor_bytes(context_.get(), io, &n));
    return n;
  }
  // The largest size that it can have for the present shapes: what to allocate for an output
  // with data-dependent extents.
  size_t max_output_size(int output) const {
    uint64_t n = 0;
    detail::check_runtime(dt_context_max_bytes(context_.get(), output, &n));
    return n;
  }
  // Used in each execution as soon as the extents of the output are known. Not owned; null removes it.
  void set_output_allocator(int output, OutputAllocator* allocator) {
    detail::check_runtime(dt_context_set_output_allocator(context_.get(), output, allocator ? reallocate : nullptr,
                                                          allocator ? notify : nullptr, allocator));
  }
  void set_address(int io, void* address, size_t bytes) {
    detail::check_runtime(dt_context_set_address(context_.get(), io, address, bytes));
  }
  // Enqueue on a cudaStream_t, for plans for CUDA.
  void execute_on(void* cuda_stream) {
    const dt_stream stream = {DT_HDR(dt_stream), 1, 0, cuda_stream};
    detail::check_runtime(dt_context_execute(context_.get(), &stream));
  }
  void execute(const dt_stream* stream = nullptr) { detail::check_runtime(dt_context_execute(context_.get(), stream)); }
  dt_context* get() const { return context_.get(); }

 private:
  static void* reallocate(void* allocator, int32_t output, uint64_t bytes, uint64_t alignment) noexcept try {
    return static_cast<OutputAllocator*>(allocator)->reallocate_output(output, bytes, alignment);
  } catch (...) {  // no exception crosses the interface
    return nullptr;
  }
  static void notify(void* allocator, int32_t output, int32_t ndim, const int64_t* dims) noexcept {
    static_cast<OutputAllocator*>(allocator)->notify_shape(output, std::vector<int64_t>(dims, dims + ndim));
  }
  struct Destroy {
    void operator()(dt_context* context) const { dt_context_destroy(context); }
  };
  std::unique_ptr<dt_context, Destroy> context_;
};

}  // namespace dovetail

#endif
