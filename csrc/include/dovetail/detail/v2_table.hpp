// SPDX-License-Identifier: Apache-2.0
// From V2 classes to the C tables: trampolines, and the life cycle in TensorRT's order.
//
//   dt_op.create, clone, load   createPlugin | clone | deserializePlugin; setPluginNamespace, but not on a clone
//   configure                   configurePlugin (build), after terminate if initialize was called; nothing on an
//                               object that came from load, which was configured before it was stored
//   workspace                   initialize if not yet, getWorkspaceSize at the upper extents
//   make_context                initialize if not yet, clone, attachToContext on the clone
//   shape_changed               configurePlugin (execution) on the clone
//   enqueue                     enqueue on the clone
//   drop_context                detachFromContext and destroy on the clone
//   dt_op.destroy               terminate if initialize was called, destroy
#ifndef DOVETAIL_DETAIL_V2_TABLE_HPP
#define DOVETAIL_DETAIL_V2_TABLE_HPP

#include <cmath>

#include "dovetail/detail/v2.hpp"

DOVETAIL_OPEN_NAMESPACE

namespace detail {

// An array of plain values; freed with its owner. Not std::vector, whose code would be exported from the library.
template <class T>
class Array {
 public:
  Array() = default;
  explicit Array(int64_t n) { reset(n); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { delete[] items_; }
  void reset(int64_t n) {
    T* items = new T[static_cast<size_t>(n) + 1]();  // one more, so that the address is never null
    delete[] items_;
    items_ = items;
    n_ = n;
  }
  T* get() const { return items_; }
  T& operator[](int64_t i) const { return items_[i]; }
  int64_t size() const { return n_; }

 private:
  T* items_ = nullptr;
  int64_t n_ = 0;
};

// Appended after the tensors that a plugin gets: absent tensors and null pointers, for a plugin that reads inputs[1]
// without checking the number of inputs. A plan may have fewer inputs than the network had.
constexpr int64_t kSpare = 8;

// What all objects of one creator share.
struct V2Kind {
  IPluginCreator* creator = nullptr;
  const char* name = "";
  const char* version = "";
};

// Names a method in messages: "NMS::clone()".
struct V2Method {
  const V2Kind* kind;
  const char* method;
  void operator()(Subject& subject) const {
    std::snprintf(subject.text, sizeof subject.text, "%s::%s()", kind->name, method);
  }
};

// Runs a method whose failure cannot be returned: an exception is logged and dropped.
template <class Body>
void quietly(const V2Kind& kind, const char* method, Body body) noexcept {
  const char* text = "threw something that is not a std::exception";
  char line[640];
  try {
    body();
    return;
  } catch (const std::exception& error) {
    std::snprintf(line, sizeof line, "%s::%s(): %s", kind.name, method, error.what());
  } catch (...) {
    std::snprintf(line, sizeof line, "%s::%s(): %s", kind.name, method, text);
  }
  log(DT_LOG_ERROR, line);
}

inline Dims dims_of(const int64_t* extents, int32_t n) {
  Dims dims;
  dims.nbDims = n;
  for (int32_t i = 0; i < n && i < Dims::MAX_DIMS; ++i) dims.d[i] = extents[i];
  return dims;
}

inline PluginTensorDesc absent_desc() {
  PluginTensorDesc desc;
  desc.dims.nbDims = -1;
  return desc;
}

// A type and a format that equal no valid one.
inline PluginTensorDesc unknown_desc() {
  PluginTensorDesc desc = absent_desc();
  desc.type = static_cast<DataType>(-1);
  desc.format = static_cast<TensorFormat>(-1);
  return desc;
}

inline PluginTensorDesc plugin_desc(const dt_desc* from, const int64_t* extents) {
  if (!from) return absent_desc();
  PluginTensorDesc desc;
  desc.dims = dims_of(extents, from->ndim);
  desc.type = static_cast<DataType>(from->data_type);
  desc.format = static_cast<TensorFormat>(from->format);
  desc.scale = from->scale;
  return desc;
}

inline PluginTensorDesc plugin_desc(const dt_tensor* from) {
  if (!from) return absent_desc();
  PluginTensorDesc desc;
  desc.dims = dims_of(from->shape, from->ndim);
  desc.type = static_cast<DataType>(from->layout->data_type);
  desc.format = static_cast<TensorFormat>(from->layout->format);
  desc.scale = from->layout->scale;
  return desc;
}

inline PluginTensorDesc largest_desc(const dt_desc* from) { return plugin_desc(from, from ? from->max : nullptr); }

inline DynamicPluginTensorDesc dynamic_desc(const dt_desc* from) {
  DynamicPluginTensorDesc desc;
  desc.desc = plugin_desc(from, from ? from->dims : nullptr);
  if (!from) return desc;
  desc.min = dims_of(from->min, from->ndim);
  desc.opt = dims_of(from->opt, from->ndim);
  desc.max = dims_of(from->max, from->ndim);
  return desc;
}

inline DynamicPluginTensorDesc fixed_desc(const PluginTensorDesc& from) {
  DynamicPluginTensorDesc desc;
  desc.desc = from;
  desc.min = desc.opt = desc.max = from.dims;
  return desc;
}

// The op object: a plugin and the state of its life cycle.
struct V2Object {
  const V2Kind* kind;
  IPluginV2DynamicExt* plugin;
  bool initialized = false;
  bool loaded = false;

  V2Object(const V2Kind* k, IPluginV2DynamicExt* p) : kind(k), plugin(p) { plugin->in_use_.yes = true; }
  V2Object(const V2Object&) = delete;
  V2Object& operator=(const V2Object&) = delete;
  ~V2Object() {
    terminate();
    plugin->in_use_.yes = false;
    quietly(*kind, "destroy", [&] { plugin->destroy(); });
  }
  // Checks what a method of the author's returned. Throws if it is null, or already used by another object: both would
  // destroy it, and configurePlugin of one would change the other.
  static IPluginV2DynamicExt* checked(IPluginV2DynamicExt* made) {
    if (!made) fail(DT_PLUGIN_FAILED, nowhere("returned nullptr"));
    if (made->in_use_.yes)
      fail(DT_PLUGIN_FAILED, nowhere("returned an object that is in use already; return a new one from each call"));
    return made;
  }
  // The plugin, after its device was set.
  IPluginV2DynamicExt* on(int32_t device) const {
    if (plugin->device_ != device) plugin->device_ = device;
    return plugin;
  }
  void initialize() {
    if (initialized) return;
    const int32_t code = plugin->initialize();
    if (code != 0) fail(DT_PLUGIN_FAILED, nowhere("returned %d, 0 is success"), static_cast<int>(code));
    initialized = true;
  }
  void terminate() {
    if (!initialized) return;
    initialized = false;
    quietly(*kind, "terminate", [&] { plugin->terminate(); });
  }
};

// The clone of one context, and the arguments of enqueue: descriptions from shape_changed, pointers from each run.
struct V2Context {
  const V2Kind* kind;
  IPluginV2DynamicExt* plugin = nullptr;
  bool attached = false;
  Array<PluginTensorDesc> in, out;
  Array<const void*> inputs;
  Array<void*> outputs;

  explicit V2Context(const V2Kind* k) : kind(k) {}
  V2Context(const V2Context&) = delete;
  V2Context& operator=(const V2Context&) = delete;
  ~V2Context() {
    if (attached) quietly(*kind, "detachFromContext", [&] { plugin->detachFromContext(); });
    if (!plugin) return;
    plugin->in_use_.yes = false;
    quietly(*kind, "destroy", [&] { plugin->destroy(); });
  }
  // Set again because an author's clone() may not copy the device.
  void take(IPluginV2DynamicExt* clone, int32_t device) {
    plugin = V2Object::checked(clone);
    plugin->in_use_.yes = true;
    plugin->device_ = device;
  }
  void configure(const dt_run& run) {
    const int32_t n_in = static_cast<int32_t>(run.n_inputs), n_out = static_cast<int32_t>(run.n_outputs);
    in.reset(n_in + kSpare);
    out.reset(n_out + kSpare);
    inputs.reset(n_in + kSpare);
    outputs.reset(n_out + kSpare);
    for (int32_t i = 0; i < in.size(); ++i) in[i] = i < n_in ? plugin_desc(run.inputs[i]) : absent_desc();
    for (int32_t i = 0; i < out.size(); ++i) out[i] = i < n_out ? plugin_desc(run.outputs[i]) : absent_desc();
    const Array<DynamicPluginTensorDesc> ins(in.size()), outs(out.size());
    for (int32_t i = 0; i < in.size(); ++i) ins[i] = fixed_desc(in[i]);
    for (int32_t i = 0; i < out.size(); ++i) outs[i] = fixed_desc(out[i]);
    plugin->configurePlugin(ins.get(), n_in, outs.get(), n_out);
  }
  void enqueue(const dt_run* run) {
    if (!in.get()) fail(DT_INTERNAL, nowhere("the host called enqueue before shape_changed"));
    for (uint32_t i = 0; i < run->n_inputs; ++i) inputs[i] = run->inputs[i] ? run->inputs[i]->data : nullptr;
    for (uint32_t i = 0; i < run->n_outputs; ++i) outputs[i] = run->outputs[i] ? run->outputs[i]->data : nullptr;
    plugin->run_ = run;
    const int32_t code = plugin->enqueue(in.get(), out.get(), inputs.get(), outputs.get(), run->workspace,
                                         run->stream ? run->stream->handle : nullptr);
    plugin->run_ = nullptr;
    if (code != 0) fail(DT_PLUGIN_FAILED, nowhere("returned %d, 0 is success"), static_cast<int>(code));
  }
};

// ---- trampolines that need no creator: the object has its kind

inline V2Object* v2(void* op) { return static_cast<V2Object*>(op); }

inline void v2_destroy(void* op) noexcept { delete v2(op); }

// Wraps what `make` returns; throws if that is null, and destroys it if wrapping fails.
template <class Make>
V2Object* v2_own(const V2Kind* kind, Make make) {
  struct Holder {
    const V2Kind* kind;
    IPluginV2DynamicExt* plugin;
    ~Holder() {
      if (plugin) quietly(*kind, "destroy", [&] { plugin->destroy(); });
    }
  } holder{kind, V2Object::checked(make())};
  V2Object* object = new V2Object(kind, holder.plugin);
  holder.plugin = nullptr;
  return object;
}

inline dt_code v2_clone(void* call, void* op, void** copy) noexcept {
  const V2Kind* kind = v2(op)->kind;
  return guard(call, V2Method{kind, "clone"}, [&] {
    V2Object* made = v2_own(kind, [&] { return v2(op)->plugin->clone(); });
    made->loaded = v2(op)->loaded;
    *copy = made;
  });
}

inline dt_code v2_save(void* call, void* op) noexcept {
  const char* method = "getSerializationSize";
  return guard(
      call, [&](Subject& subject) { V2Method{v2(op)->kind, method}(subject); },
      [&] {
        const size_t n = v2(op)->plugin->getSerializationSize();
        method = "serialize";
        constexpr size_t kFence = 16;
        if (n > (size_t{1} << 34)) fail(DT_PLUGIN_FAILED, nowhere("getSerializationSize() says %zu bytes"), n);
        Array<unsigned char> bytes(static_cast<int64_t>(n + kFence));
        std::memset(bytes.get() + n, 0xa5, kFence);
        v2(op)->plugin->serialize(bytes.get());
        for (size_t i = n; i < n + kFence; ++i) {
          if (bytes.get()[i] != 0xa5)
            fail(DT_PLUGIN_FAILED, nowhere("wrote past the %zu bytes that getSerializationSize() says"), n);
        }
        const dt_code code = host->emit(call, bytes.get(), n);
        if (code != DT_OK) fail(code, nowhere("the host did not take %zu bytes"), n);
      });
}

// Throws if getNbInputs of the plugin returns another number.
inline void check_n_inputs(const IPluginV2DynamicExt& plugin, int32_t n_inputs) {
  const int32_t taken = plugin.getNbInputs();
  if (taken < 0 || n_inputs == taken) return;
  fail(DT_SHAPE, nowhere("it takes %d inputs, as getNbInputs() says, not %d"), static_cast<int>(taken),
       static_cast<int>(n_inputs));
}

inline dt_code v2_count_outputs(void* call, void* op, int32_t, int32_t* n_outputs) noexcept {
  return guard(call, V2Method{v2(op)->kind, "getNbOutputs"}, [&] {
    const int32_t n = v2(op)->plugin->getNbOutputs();
    if (n < 1) fail(DT_PLUGIN_FAILED, nowhere("returned %d outputs"), static_cast<int>(n));
    *n_outputs = n;
  });
}

inline dt_code v2_infer_type(void* call, void* op, int32_t index, const int32_t* types, int32_t n_inputs,
                             int32_t* type) noexcept {
  return guard(call, V2Method{v2(op)->kind, "getOutputDataType"}, [&] {
    check_n_inputs(*v2(op)->plugin, n_inputs);
    Array<DataType> given(n_inputs + kSpare);
    for (int32_t i = 0; i < n_inputs + kSpare; ++i) given[i] = static_cast<DataType>(i < n_inputs ? types[i] : -1);
    const DataType answer = v2(op)->plugin->getOutputDataType(index, given.get(), n_inputs);
    if (size_of(answer) == 0) {
      fail(DT_PLUGIN_FAILED, nowhere("returned %d for output %d, which is not a data type"), static_cast<int>(answer),
           index);
    }
    *type = static_cast<int32_t>(answer);
  });
}

inline dt_code v2_infer_dims(void* call, void* op, int32_t index, const dt_dims_exprs* const* inputs, int32_t n_inputs,
                             const dt_expr_builder* raw, dt_dims_exprs* out) noexcept {
  return guard(call, V2Method{v2(op)->kind, "getOutputDimensions"}, [&] {
    check_n_inputs(*v2(op)->plugin, n_inputs);
    IExprBuilder builder(raw);
    Array<DimsExprs> given(n_inputs + kSpare);
    for (int32_t i = 0; i < n_inputs + kSpare; ++i) {
      given[i].nbDims = i < n_inputs && inputs[i] ? inputs[i]->ndim : -1;
      for (int32_t k = 0; k < given[i].nbDims; ++k) given[i].d[k] = builder.own(inputs[i]->d[k]);
    }
    const DimsExprs dims = v2(op)->plugin->getOutputDimensions(index, given.get(), n_inputs, builder);
    if (dims.nbDims < 0 || dims.nbDims > Dims::MAX_DIMS) {
      fail(DT_SHAPE, nowhere("output %d cannot be computed from these inputs (nbDims %d)"), index, dims.nbDims);
    }
    for (int32_t k = 0; k < dims.nbDims; ++k) {
      if (!dims.d[k])
        fail(DT_SHAPE, nowhere("extent %d of output %d is null: an unknown operation or a null operand"), k, index);
      if (!builder.has(dims.d[k])) {
        fail(DT_SHAPE, nowhere("extent %d of output %d is an expression of another call, which is no longer valid"), k,
             index);
      }
    }
    out->ndim = dims.nbDims;
    for (int32_t k = 0; k < dims.nbDims; ++k) out->d[k] = dims.d[k]->raw();
  });
}

template <int32_t device>
dt_code v2_supports(void* call, void* op, int32_t pos, const dt_desc* const* in_out, int32_t n_inputs,
                    int32_t n_outputs, int32_t* yes) noexcept {
  return guard(call, V2Method{v2(op)->kind, "supportsFormatCombination"}, [&] {
    Array<PluginTensorDesc> descs(n_inputs + n_outputs + kSpare);
    for (int32_t i = 0; i < descs.size(); ++i)  // looking ahead shows
      descs[i] = i <= pos ? plugin_desc(in_out[i], in_out[i] ? in_out[i]->dims : nullptr) : unknown_desc();
    *yes = v2(op)->on(device)->supportsFormatCombination(pos, descs.get(), n_inputs, n_outputs) ? 1 : 0;
  });
}

template <int32_t device>
dt_code v2_configure(void* call, void* op, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                     int32_t n_out) noexcept {
  if (v2(op)->loaded) return DT_OK;
  return guard(call, V2Method{v2(op)->kind, "configurePlugin"}, [&] {
    const Array<DynamicPluginTensorDesc> ins(n_in + kSpare), outs(n_out + kSpare);
    for (int32_t i = 0; i < ins.size(); ++i) ins[i] = dynamic_desc(i < n_in ? in[i] : nullptr);
    for (int32_t i = 0; i < outs.size(); ++i) outs[i] = dynamic_desc(i < n_out ? out[i] : nullptr);
    v2(op)->terminate();
    v2(op)->on(device)->configurePlugin(ins.get(), n_in, outs.get(), n_out);
  });
}

template <int32_t device>
dt_code v2_workspace(void* call, void* op, const dt_desc* const* in, int32_t n_in, const dt_desc* const* out,
                     int32_t n_out, int32_t, uint64_t* bytes) noexcept {
  const char* method = "initialize";
  return guard(
      call, [&](Subject& subject) { V2Method{v2(op)->kind, method}(subject); },
      [&] {
        const Array<PluginTensorDesc> ins(n_in + kSpare), outs(n_out + kSpare);
        for (int32_t i = 0; i < ins.size(); ++i) ins[i] = largest_desc(i < n_in ? in[i] : nullptr);
        for (int32_t i = 0; i < outs.size(); ++i) outs[i] = largest_desc(i < n_out ? out[i] : nullptr);
        const IPluginV2DynamicExt* plugin = v2(op)->on(device);
        v2(op)->initialize();
        method = "getWorkspaceSize";
        *bytes = plugin->getWorkspaceSize(ins.get(), n_in, outs.get(), n_out);
      });
}

template <int32_t device>
dt_code v2_make_context(void* call, void* op, void** context) noexcept {
  const char* method = "initialize";
  V2Context* made = nullptr;
  const dt_code code = guard(
      call, [&](Subject& subject) { V2Method{v2(op)->kind, method}(subject); },
      [&] {
        made = new V2Context(v2(op)->kind);
        const IPluginV2DynamicExt* plugin = v2(op)->on(device);
        v2(op)->initialize();
        method = "clone";
        made->take(plugin->clone(), device);
        method = "attachToContext";
        made->plugin->attachToContext(nullptr, nullptr, nullptr);
        made->attached = true;
      });
  if (code == DT_OK) {
    *context = made;
  } else {
    delete made;
  }
  return code;
}

inline void v2_drop_context(void* context) noexcept { delete static_cast<V2Context*>(context); }

inline dt_code v2_shape_changed(void* context, const dt_run* run) noexcept {
  V2Context* self = static_cast<V2Context*>(context);
  return guard(run->call, V2Method{self->kind, "configurePlugin"}, [&] { self->configure(*run); });
}

inline dt_code v2_enqueue(void* context, const dt_run* run) noexcept {
  V2Context* self = static_cast<V2Context*>(context);
  return guard(run->call, V2Method{self->kind, "enqueue"}, [&] { self->enqueue(run); });
}

}  // namespace detail

DOVETAIL_CLOSE_NAMESPACE

#endif
