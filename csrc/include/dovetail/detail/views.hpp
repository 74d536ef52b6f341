// SPDX-License-Identifier: Apache-2.0
// Views of the host's tables, without copies: Tensor and Run while computing, Desc and Descs while planning.
#ifndef DOVETAIL_DETAIL_VIEWS_HPP
#define DOVETAIL_DETAIL_VIEWS_HPP

#include "dovetail/detail/base.hpp"

DOVETAIL_OPEN_NAMESPACE

namespace detail {
DOVETAIL_INLINE int64_t volume(const int64_t* dims, int rank) {
  int64_t n = 1;
  for (int i = 0; i < rank; ++i) n *= dims[i];
  return n;
}
}  // namespace detail

// One tensor of a run. Extents are logical: a format with padded channels stores more than volume() elements.
class Tensor {
 public:
  DOVETAIL_INLINE explicit Tensor(const dt_tensor* raw) : raw_(raw) {}
  template <class T>
  DOVETAIL_INLINE T* data() const {
    return static_cast<T*>(raw_->data);
  }
  DOVETAIL_INLINE int rank() const { return raw_->ndim; }
  DOVETAIL_INLINE const int64_t* dims() const { return raw_->shape; }
  // Extent of an axis; -1 is the last one.
  DOVETAIL_INLINE int64_t extent(int axis) const { return raw_->shape[axis < 0 ? axis + raw_->ndim : axis]; }
  DOVETAIL_INLINE int64_t volume() const { return detail::volume(raw_->shape, raw_->ndim); }
  // Product of the extents in [first, last).
  DOVETAIL_INLINE int64_t volume(int first, int last) const {
    return detail::volume(raw_->shape + first, last - first);
  }
  DOVETAIL_INLINE DataType type() const { return static_cast<DataType>(raw_->layout->data_type); }
  DOVETAIL_INLINE TensorFormat format() const { return static_cast<TensorFormat>(raw_->layout->format); }
  DOVETAIL_INLINE float scale() const { return raw_->layout->scale; }
  DOVETAIL_INLINE bool is_constant() const { return (raw_->layout->flags & DT_TENSOR_CONSTANT) != 0; }
  DOVETAIL_INLINE const dt_tensor* raw() const { return raw_; }

 private:
  const dt_tensor* raw_;
};

namespace detail {

// The state of one parallel_for. Tasks run on other threads: the first failure is kept and thrown afterwards.
template <class Body>
struct Tasks {
  const Body* body;
  int failed = 0;
  dt_code code = DT_OK;
  const char* file = nullptr;
  int line = 0;
  char text[480];

  DOVETAIL_INLINE explicit Tasks(const Body* b) : body(b) { text[0] = 0; }
  DOVETAIL_INLINE void keep(dt_code error, const char* message, const char* at, int in_line) noexcept {
    if (__atomic_exchange_n(&failed, 1, __ATOMIC_RELAXED) != 0) return;
    code = error;
    file = at;
    line = in_line;
    std::snprintf(text, sizeof text, "%s", message);
  }
  static void call(void* self, int32_t task) noexcept {
    Tasks* tasks = static_cast<Tasks*>(self);
    try {
      (*tasks->body)(task);
    } catch (const Error& error) {
      tasks->keep(error.code(), error.what(), error.file(), error.line());
    } catch (const std::exception& error) {
      tasks->keep(DT_PLUGIN_FAILED, error.what(), nullptr, 0);
    } catch (...) {
      tasks->keep(DT_PLUGIN_FAILED, "a task threw something that is not a std::exception", nullptr, 0);
    }
  }
};

}  // namespace detail

// The pointwise layers that a kernel computes on output 0: a program of steps and its operands. Empty if there are
// none. dovetail/epilogue.hpp has functions that apply it.
class Epilogue {
 public:
  DOVETAIL_INLINE explicit Epilogue(const dt_epilogue* raw) : raw_(raw) {}
  DOVETAIL_INLINE explicit operator bool() const { return raw_ != nullptr; }
  DOVETAIL_INLINE int n_steps() const { return raw_ ? static_cast<int>(raw_->n_steps) : 0; }
  DOVETAIL_INLINE const dt_step& step(int i) const { return *raw_->steps[i]; }
  DOVETAIL_INLINE int n_tensors() const { return raw_ ? static_cast<int>(raw_->n_tensors) : 0; }
  DOVETAIL_INLINE const dt_epilogue* raw() const { return raw_; }

 private:
  const dt_epilogue* raw_;
};

// One execution of one layer.
class Run {
 public:
  DOVETAIL_INLINE explicit Run(const dt_run* raw) : raw_(raw) {}
  DOVETAIL_INLINE int n_inputs() const { return static_cast<int>(raw_->n_inputs); }
  DOVETAIL_INLINE int n_outputs() const { return static_cast<int>(raw_->n_outputs); }
  // False for an optional input that was left out, at the end or in between.
  DOVETAIL_INLINE bool has_input(int i) const { return i < n_inputs() && raw_->inputs[i] != nullptr; }
  DOVETAIL_INLINE Tensor input(int i) const { return Tensor(raw_->inputs[i]); }
  DOVETAIL_INLINE Tensor output(int i) const { return Tensor(raw_->outputs[i]); }
  template <class T = void>
  DOVETAIL_INLINE T* workspace() const {
    return static_cast<T*>(raw_->workspace);
  }
  DOVETAIL_INLINE uint64_t workspace_bytes() const { return raw_->workspace_bytes; }
  // What `prepare` emitted; null if it emitted nothing.
  template <class T = void>
  DOVETAIL_INLINE const T* packed() const {
    return static_cast<const T*>(raw_->packed);
  }
  DOVETAIL_INLINE uint64_t packed_bytes() const { return raw_->packed_bytes; }
  DOVETAIL_INLINE int n_threads() const { return raw_->pool ? raw_->pool->n_threads : 1; }
  // Calls body(task) for each task in 0..n_tasks-1 on the host's threads, in any order; returns when all are done. Must
  // not be nested. If tasks throw, the first exception is thrown here. A task's number is an int32_t: more tasks than
  // that are an error, and nothing is run.
  template <class Body>
  DOVETAIL_INLINE void parallel_for(int64_t n_tasks, const Body& body) const {
    const dt_pool* pool = raw_->pool;
    if (n_tasks > INT32_MAX) {
      fail(DT_INVALID_ARGUMENT, nowhere("parallel_for takes at most %d tasks, got %lld: let a task do more"), INT32_MAX,
           static_cast<long long>(n_tasks));
    }
    if (pool == nullptr || pool->n_threads <= 1 || n_tasks <= 1) {
      for (int64_t task = 0; task < n_tasks; ++task) body(static_cast<int32_t>(task));
      return;
    }
    detail::Tasks<Body> tasks(&body);
    pool->run(pool->self, static_cast<int32_t>(n_tasks), detail::Tasks<Body>::call, &tasks);
    if (tasks.failed) throw Error(tasks.code, tasks.text, tasks.file, tasks.line);
  }
  // The stream's handle (a cudaStream_t on CUDA, null on the CPU) and the device it belongs to.
  DOVETAIL_INLINE void* stream() const { return raw_->stream ? raw_->stream->handle : nullptr; }
  DOVETAIL_INLINE int device_id() const { return raw_->stream ? raw_->stream->device_id : 0; }
  // What to compute on output 0 before it is stored.
  DOVETAIL_INLINE Epilogue epilogue() const {
    return Epilogue(DT_HAS(dt_run, raw_, epilogue) ? raw_->epilogue : nullptr);
  }
  DOVETAIL_INLINE const dt_run* raw() const { return raw_; }

 private:
  const dt_run* raw_;
};

// One tensor while planning; unknown extents are -1 in dims() and bounded by min, opt and max.
class Desc {
 public:
  DOVETAIL_INLINE explicit Desc(const dt_desc* raw) : raw_(raw) {}
  DOVETAIL_INLINE int rank() const { return raw_->ndim; }
  DOVETAIL_INLINE const int64_t* dims() const { return raw_->dims; }
  DOVETAIL_INLINE const int64_t* min() const { return raw_->min; }
  DOVETAIL_INLINE const int64_t* opt() const { return raw_->opt; }
  DOVETAIL_INLINE const int64_t* max() const { return raw_->max; }
  DOVETAIL_INLINE int64_t extent(int axis) const { return raw_->dims[index(axis)]; }
  DOVETAIL_INLINE int64_t max_extent(int axis) const { return raw_->max[index(axis)]; }
  DOVETAIL_INLINE bool is_dynamic() const {
    for (int i = 0; i < raw_->ndim; ++i)
      if (raw_->dims[i] < 0) return true;
    return false;
  }
  DOVETAIL_INLINE int64_t max_volume() const { return detail::volume(raw_->max, raw_->ndim); }
  DOVETAIL_INLINE DataType type() const { return static_cast<DataType>(raw_->data_type); }
  DOVETAIL_INLINE TensorFormat format() const { return static_cast<TensorFormat>(raw_->format); }
  DOVETAIL_INLINE float scale() const { return raw_->scale; }
  DOVETAIL_INLINE bool is_constant() const { return (raw_->flags & DT_TENSOR_CONSTANT) != 0; }
  // Contents of a constant, in format(); null if they are not known.
  template <class T>
  DOVETAIL_INLINE const T* data() const {
    return static_cast<const T*>(raw_->data);
  }
  DOVETAIL_INLINE const dt_desc* raw() const { return raw_; }

 private:
  DOVETAIL_INLINE int index(int axis) const { return axis < 0 ? axis + raw_->ndim : axis; }
  const dt_desc* raw_;
};

// The inputs or the outputs of a layer while planning.
class Descs {
 public:
  DOVETAIL_INLINE Descs(const dt_desc* const* raw, int32_t n) : raw_(raw), n_(n) {}
  DOVETAIL_INLINE int size() const { return n_; }
  DOVETAIL_INLINE bool has(int i) const { return i < n_ && raw_[i] != nullptr; }
  // Throws if the tensor was left out: a damaged plan may leave out a tensor that the layer needs.
  DOVETAIL_INLINE Desc operator[](int i) const {
    if (!has(i)) fail(DT_SHAPE, nowhere("tensor %d is missing"), i);
    return Desc(raw_[i]);
  }

 private:
  const dt_desc* const* raw_;
  int32_t n_;
};

// What else is settled with the extents of a run, for `plan`.
class RunSetup {
 public:
  explicit RunSetup(const dt_run* raw) : raw_(raw) {}
  int n_threads() const { return raw_->pool ? raw_->pool->n_threads : 1; }
  uint64_t workspace_bytes() const { return raw_->workspace_bytes; }
  uint64_t packed_bytes() const { return raw_->packed_bytes; }
  // The program to compute on output 0, with the types and extents of its tensors.
  Epilogue epilogue() const { return Epilogue(DT_HAS(dt_run, raw_, epilogue) ? raw_->epilogue : nullptr); }
  int device_id() const { return raw_->stream ? raw_->stream->device_id : 0; }

 private:
  const dt_run* raw_;
};

namespace detail {

// A tensor of a run as it is while planning: its extents are known, its contents are not.
class RunDesc {
 public:
  RunDesc() = default;
  explicit RunDesc(const dt_tensor& tensor) {
    raw_.h = DT_HDR(dt_desc);
    raw_.ndim = tensor.ndim;
    raw_.data_type = tensor.layout->data_type;
    raw_.format = tensor.layout->format;
    raw_.scale = tensor.layout->scale;
    raw_.flags = tensor.layout->flags;
    for (int i = 0; i < tensor.ndim; ++i) raw_.dims[i] = raw_.min[i] = raw_.opt[i] = raw_.max[i] = tensor.shape[i];
  }
  Desc desc() const { return Desc(&raw_); }

 private:
  dt_desc raw_ = {};
};

// All inputs or outputs of a run.
class RunDescs {
 public:
  RunDescs(const dt_tensor* const* tensors, uint32_t n)
      : n_(static_cast<int32_t>(n)), descs_(new RunDesc[n + 1]), pointers_(new const dt_desc*[n + 1]()) {
    for (uint32_t i = 0; i < n; ++i) {
      if (tensors[i] == nullptr) continue;
      descs_[i] = RunDesc(*tensors[i]);
      pointers_[i] = descs_[i].desc().raw();
    }
  }
  ~RunDescs() {
    delete[] pointers_;
    delete[] descs_;
  }
  RunDescs(const RunDescs&) = delete;
  RunDescs& operator=(const RunDescs&) = delete;

  Descs all() const { return Descs(pointers_, n_); }

 private:
  const int32_t n_;
  RunDesc* const descs_;
  const dt_desc** const pointers_;
};

}  // namespace detail

// How `prepare` hands back what it packed: call it any number of times, the bytes are joined.
class Emit {
 public:
  explicit Emit(void* call) : call_(call) {}
  void operator()(const void* bytes, uint64_t n) const {
    const dt_code code = detail::host->emit(call_, bytes, n);
    if (code != DT_OK) fail(code, nowhere("the host did not take %llu bytes"), static_cast<unsigned long long>(n));
  }
  // The first n bytes of memory of `alloc`. Do not write into it afterwards: the host keeps it, instead of a copy.
  void give(const void* memory, uint64_t n) const {
    if (!DT_HAS(dt_host, detail::host, give)) return (*this)(memory, n);
    const dt_code code = detail::host->give(call_, memory, n);
    if (code != DT_OK) fail(code, nowhere("the host did not take %llu bytes"), static_cast<unsigned long long>(n));
  }
  // Zeroed memory, aligned to 64 bytes, that the host frees when `prepare` returns: pack into it, then give it.
  template <class T>
  T* alloc(uint64_t n_elements) const {
    void* memory = detail::host->alloc(call_, n_elements * sizeof(T), 64);
    if (memory == nullptr) fail(DT_OUT_OF_MEMORY, nowhere("no memory for packing"));
    return static_cast<T*>(memory);
  }

 private:
  void* call_;
};

DOVETAIL_CLOSE_NAMESPACE

#endif
