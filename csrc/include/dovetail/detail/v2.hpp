// SPDX-License-Identifier: Apache-2.0
// Plugin classes: an op and the code that computes it in one class, with TensorRT's names.
//
// Differences from TensorRT's header:
//   - No method has to be noexcept. What a method throws becomes an error that names plugin and method; to give a
//     message of your own, call fail(DT_SHAPE, "...").
//   - Extents are int64_t, as from TensorRT 10 on, and DynamicPluginTensorDesc has `opt`.
//   - getNbInputs is new: plans with another number of inputs are refused.
//   - Only methods that every plugin must define are pure virtual; the others do nothing by default.
//   - A class works on the device that it is registered for: the CPU unless REGISTER_DOVETAIL_PLUGIN_ON names another.
//   - `stream` is a void*: a cudaStream_t on CUDA; null on the CPU, where a plugin computes before it returns.
//   - Inside enqueue, run() gives access to the host's threads, and streamInfo() describes `stream`.
#ifndef DOVETAIL_DETAIL_V2_HPP
#define DOVETAIL_DETAIL_V2_HPP

#include "dovetail/detail/views.hpp"

DOVETAIL_OPEN_NAMESPACE

using AsciiChar = char;

// nbDims -1: invalid, or of unknown rank. d[i] -1: known at run time only.
struct Dims {
  static constexpr int32_t MAX_DIMS = DT_MAX_RANK;
  int32_t nbDims = 0;
  int64_t d[MAX_DIMS] = {};
};

struct PluginTensorDesc {
  Dims dims;
  DataType type = DataType::kFLOAT;
  TensorFormat format = TensorFormat::kLINEAR;
  float scale = -1.0f;  // of INT8; -1 where there is none
};

struct DynamicPluginTensorDesc {
  PluginTensorDesc desc;
  Dims min, max, opt;
};

// ---- fields

struct PluginField {
  const AsciiChar* name = nullptr;
  const void* data = nullptr;
  PluginFieldType type = PluginFieldType::kUNKNOWN;
  int32_t length = 0;  // elements
  PluginField() = default;
  PluginField(const AsciiChar* name_, const void* data_ = nullptr, PluginFieldType type_ = PluginFieldType::kUNKNOWN,
              int32_t length_ = 0)
      : name(name_), data(data_), type(type_), length(length_) {}
};

struct PluginFieldCollection {
  int32_t nbFields = 0;
  const PluginField* fields = nullptr;
};

// What TensorRT's fields cannot express; see IPluginCreator::describeField.
struct FieldNotes {
  const char* doc = "";
  bool required = false;
  double low, high;                // inclusive; NaN: no bound
  int64_t min_length, max_length;  // of a list; max -1: no limit
};

// ---- dims expressions: they belong to the builder and must not be used after getOutputDimensions has returned

class IDimensionExpr {
 public:
  IDimensionExpr(const dt_expr_builder* builder, const dt_expr* raw) : builder_(builder), raw_(raw) {}
  bool isConstant() const {
    int64_t value = 0;
    return builder_->constant_value(builder_->self, raw_, &value) != 0;
  }
  // The lowest int64_t where the extent is not known now.
  int64_t getConstantValue() const {
    int64_t value = INT64_MIN;
    return builder_->constant_value(builder_->self, raw_, &value) ? value : INT64_MIN;
  }
  const dt_expr* raw() const { return raw_; }

 private:
  const dt_expr_builder* builder_;
  const dt_expr* raw_;
};

struct DimsExprs {
  int32_t nbDims = 0;  // -1: the plugin cannot take these inputs
  const IDimensionExpr* d[Dims::MAX_DIMS] = {};
};

class IExprBuilder {
 public:
  explicit IExprBuilder(const dt_expr_builder* raw) : raw_(raw) {}
  IExprBuilder(const IExprBuilder&) = delete;
  IExprBuilder& operator=(const IExprBuilder&) = delete;
  ~IExprBuilder() {
    while (first_) {
      Item* next = first_->next;
      delete first_;
      first_ = next;
    }
  }
  const IDimensionExpr* constant(int64_t value) { return made(raw_->constant(raw_->self, value)); }
  // Null for an unknown operation or a null operand.
  const IDimensionExpr* operation(DimensionOperation op, const IDimensionExpr* first, const IDimensionExpr* second) {
    const int32_t code = static_cast<int32_t>(op);
    if (!first || !second || code < 0 || code > DT_DIM_CEIL_DIV) return nullptr;
    return made(raw_->operation(raw_->self, code, first->raw(), second->raw()));
  }
  const IDimensionExpr* operation(DimensionOperation op, const IDimensionExpr& first, const IDimensionExpr& second) {
    return operation(op, &first, &second);
  }
  // An extent known only after the run: output `outputIndex` holds it. Null if the host does not support this.
  const IDimensionExpr* declareSizeTensor(int32_t outputIndex, const IDimensionExpr& opt, const IDimensionExpr& upper) {
    if (!DT_HAS(dt_expr_builder, raw_, size_tensor)) return nullptr;
    return own(raw_->size_tensor(raw_->self, outputIndex, opt.raw(), upper.raw()));
  }
  // An expression of the host's, wrapped; null stays null.
  const IDimensionExpr* own(const dt_expr* raw) {
    if (!raw) return nullptr;
    first_ = new Item{IDimensionExpr(raw_, raw), first_};
    return &first_->expr;
  }

  // Was it made by this builder?
  bool has(const IDimensionExpr* expr) const {
    for (const Item* item = first_; item; item = item->next)
      if (&item->expr == expr) return true;
    return false;
  }

 private:
  // Valid operands, but refused by the host, such as a division by a constant 0; the host has set the message.
  const IDimensionExpr* made(const dt_expr* raw) {
    if (!raw) throw detail::HostRaised{DT_SHAPE};
    return own(raw);
  }
  struct Item {
    IDimensionExpr expr;
    Item* next;
  };
  const dt_expr_builder* raw_;
  Item* first_ = nullptr;
};

// ---- the plugin

// A cudaStream_t, or null on the CPU.
using Stream = void*;

struct StreamInfo {
  int32_t kind = 0;  // 0: none (CPU), 1: CUDA
  int32_t device_id = 0;
  Stream handle = nullptr;
};

namespace detail {
struct V2Context;
struct V2Object;

// True while an object is in use. A copy starts as not in use.
struct InUse {
  bool yes = false;
  InUse() = default;
  InUse(const InUse&) {}
  InUse& operator=(const InUse&) { return *this; }
};
}  // namespace detail

class IPluginV2DynamicExt {
 public:
  virtual ~IPluginV2DynamicExt() = default;

  // Identity: what the creator says.
  virtual const AsciiChar* getPluginType() const = 0;
  virtual const AsciiChar* getPluginVersion() const = 0;

  // While the network is defined.
  virtual int32_t getNbOutputs() const = 0;
  // Beyond TensorRT. The number of inputs; networks and plans with another number are refused. -1: any number, and the
  // plugin checks nbInputs itself. The check matters because enqueue cannot know how many pointers it gets, and a plan
  // may have been changed.
  virtual int32_t getNbInputs() const { return -1; }
  virtual DataType getOutputDataType(int32_t index, const DataType* inputTypes, int32_t nbInputs) const = 0;
  virtual DimsExprs getOutputDimensions(int32_t outputIndex, const DimsExprs* inputs, int32_t nbInputs,
                                        IExprBuilder& exprBuilder) = 0;

  // While building. Is inOut[pos] supported? Positions before it are settled; those after it must not be read.
  virtual bool supportsFormatCombination(int32_t pos, const PluginTensorDesc* inOut, int32_t nbInputs,
                                         int32_t nbOutputs) = 0;
  // Build: extents -1 where dynamic, min and max from the profile. Execution: the extents of the next enqueue.
  virtual void configurePlugin(const DynamicPluginTensorDesc*, int32_t, const DynamicPluginTensorDesc*, int32_t) {}
  virtual size_t getWorkspaceSize(const PluginTensorDesc*, int32_t, const PluginTensorDesc*, int32_t) const {
    return 0;
  }

  // Once per engine, in pairs; not called on the clones that contexts make. Not 0: failure.
  virtual int32_t initialize() { return 0; }
  virtual void terminate() {}

  // Once per context, on its clone. The three pointers are TensorRT's cuDNN, cuBLAS and allocator, always null here.
  virtual void attachToContext(void*, void*, void*) {}
  virtual void detachFromContext() {}

  // A copy in the same state, ready to run if this object is; null: failure. Always another object: each is destroyed.
  virtual IPluginV2DynamicExt* clone() const = 0;
  virtual void destroy() { delete this; }

  virtual size_t getSerializationSize() const = 0;
  virtual void serialize(void* buffer) const = 0;

  virtual void setPluginNamespace(const AsciiChar* pluginNamespace) { namespace_ = pluginNamespace; }
  virtual const AsciiChar* getPluginNamespace() const { return namespace_; }

  // Not 0: failure.
  virtual int32_t enqueue(const PluginTensorDesc* inputDesc, const PluginTensorDesc* outputDesc,
                          const void* const* inputs, void* const* outputs, void* workspace, Stream stream) = 0;

 protected:
  // The device that this object runs on, DT_DEVICE_*, for classes that are registered for both. Valid from
  // supportsFormatCombination on.
  int32_t device() const { return device_; }
  // The run that enqueue was called for; run().parallel_for(...) uses the host's threads.
  Run run() const { return Run(run_); }
  StreamInfo streamInfo() const {
    const dt_stream* stream = run_ ? run_->stream : nullptr;
    return stream ? StreamInfo{stream->kind, stream->device_id, stream->handle} : StreamInfo{};
  }

 private:
  friend struct detail::V2Context;
  friend struct detail::V2Object;
  const AsciiChar* namespace_ = "";
  int32_t device_ = DT_DEVICE_CPU;
  const dt_run* run_ = nullptr;
  detail::InUse in_use_;
};

using IPluginV2 = IPluginV2DynamicExt;

// Makes plugins. All methods must be safe to call from several threads.
class IPluginCreator {
 public:
  virtual ~IPluginCreator() = default;
  virtual const AsciiChar* getPluginName() const = 0;
  virtual const AsciiChar* getPluginVersion() const = 0;
  // `data` is the default; null: the field has no default.
  //   length 1 with a default         a scalar
  //   length <= 1 without a default   any number of elements, as creators for TensorRT declare lists; describeField can
  //                                   narrow it (notes.max_length = 1: a scalar)
  //   length n > 1                    exactly n elements
  // A CHAR field is a string of any length, a DIMS field is one Dims.
  virtual const PluginFieldCollection* getFieldNames() = 0;
  // Null: failure. The fields are borrowed for the call.
  virtual IPluginV2* createPlugin(const AsciiChar* name, const PluginFieldCollection* fc) = 0;
  virtual IPluginV2* deserializePlugin(const AsciiChar* name, const void* serialData, size_t serialLength) = 0;
  virtual void setPluginNamespace(const AsciiChar* pluginNamespace) { namespace_ = pluginNamespace; }
  virtual const AsciiChar* getPluginNamespace() const { return namespace_; }

  // Beyond TensorRT: documentation and bounds of a field, whether it is required, and a sentence about the plugin. Read
  // once, when the library is loaded.
  virtual void describeField(const PluginField&, FieldNotes&) const {}
  virtual const char* getDescription() const { return ""; }
  // True if enqueue may be captured into a CUDA graph: if all it does is launch work on its stream.
  virtual bool isCaptureSafe() const { return false; }

 private:
  const AsciiChar* namespace_ = "";
};

DOVETAIL_CLOSE_NAMESPACE

#endif
