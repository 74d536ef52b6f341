// SPDX-License-Identifier: Apache-2.0
// V2 classes that are wrong in one way each, and some that are right and unusual. y = x unless it is said.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "dovetail/plugin.hpp"

namespace {

using namespace dovetail;

int64_t bytes_of(const PluginTensorDesc& desc) {
  int64_t n = size_of(desc.type);
  for (int32_t i = 0; i < desc.dims.nbDims; ++i) n *= desc.dims.d[i];
  return n;
}

template <class T>
struct Base : IPluginV2DynamicExt {
  float value = 1;

  const char* getPluginType() const override { return T::kName; }
  const char* getPluginVersion() const override { return "1"; }
  int32_t getNbOutputs() const override { return 1; }
  DataType getOutputDataType(int32_t, const DataType* types, int32_t) const override { return types[0]; }
  DimsExprs getOutputDimensions(int32_t, const DimsExprs* inputs, int32_t, IExprBuilder&) override { return inputs[0]; }
  bool supportsFormatCombination(int32_t pos, const PluginTensorDesc* in_out, int32_t, int32_t) override {
    return in_out[pos].format == TensorFormat::kLINEAR && in_out[pos].type == DataType::kFLOAT;
  }
  IPluginV2DynamicExt* clone() const override { return new T(static_cast<const T&>(*this)); }
  size_t getSerializationSize() const override { return sizeof value; }
  void serialize(void* to) const override { std::memcpy(to, &value, sizeof value); }
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc*, const void* const* inputs, void* const* outputs,
                  void*, Stream) override {
    std::memcpy(outputs[0], inputs[0], static_cast<size_t>(bytes_of(in[0])));
    return 0;
  }
};

template <class T>
struct Creator : IPluginCreator {
  const char* getPluginName() const override { return T::kName; }
  const char* getPluginVersion() const override { return "1"; }
  const PluginFieldCollection* getFieldNames() override {
    static const PluginField field("value", nullptr, PluginFieldType::kFLOAT32, 1);
    static const PluginFieldCollection all = {1, &field};
    return &all;
  }
  IPluginV2* createPlugin(const char*, const PluginFieldCollection* fc) override {
    T* made = new T;
    if (fc->nbFields > 0) std::memcpy(&made->value, fc->fields[0].data, sizeof made->value);
    return made;
  }
  IPluginV2* deserializePlugin(const char*, const void* data, size_t) override {
    T* made = new T;
    std::memcpy(&made->value, data, sizeof made->value);
    return made;
  }
};

// `value` bytes behind the output; before it if negative.
struct Overrun : Base<Overrun> {
  static constexpr const char* kName = "Overrun";
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc* out, const void* const* inputs,
                  void* const* outputs, void* workspace, Stream stream) override {
    Base::enqueue(in, out, inputs, outputs, workspace, stream);
    char* end = static_cast<char*>(outputs[0]) + bytes_of(in[0]);
    if (value > 0) std::memset(end, 1, static_cast<size_t>(value));
    if (value < 0)
      std::memset(static_cast<char*>(outputs[0]) + static_cast<int>(value), 1, static_cast<size_t>(-value));
    return 0;
  }
};

struct IntoInput : Base<IntoInput> {
  static constexpr const char* kName = "IntoInput";
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc* out, const void* const* inputs,
                  void* const* outputs, void* workspace, Stream stream) override {
    Base::enqueue(in, out, inputs, outputs, workspace, stream);
    static_cast<float*>(const_cast<void*>(inputs[0]))[3] += 1;
    return 0;
  }
};

// Leaves the last element alone.
struct Unwritten : Base<Unwritten> {
  static constexpr const char* kName = "Unwritten";
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc*, const void* const* inputs, void* const* outputs,
                  void*, Stream) override {
    std::memcpy(outputs[0], inputs[0], static_cast<size_t>(bytes_of(in[0])) - sizeof(float));
    return 0;
  }
};

// Writes 8 bytes more than the workspace that it asked for.
struct BehindWorkspace : Base<BehindWorkspace> {
  static constexpr const char* kName = "BehindWorkspace";
  size_t getWorkspaceSize(const PluginTensorDesc*, int32_t, const PluginTensorDesc*, int32_t) const override {
    return 128;
  }
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc* out, const void* const* inputs,
                  void* const* outputs, void* workspace, Stream stream) override {
    std::memset(workspace, 1, 128 + 8);
    return Base::enqueue(in, out, inputs, outputs, workspace, stream);
  }
};

// y = x + z, and never looks at nbInputs. With a `value` of 2 it says that it takes two.
struct Heedless : Base<Heedless> {
  static constexpr const char* kName = "Heedless";
  int32_t getNbInputs() const override { return value == 2 ? 2 : -1; }
  size_t getWorkspaceSize(const PluginTensorDesc* in, int32_t, const PluginTensorDesc* out, int32_t) const override {
    if (in[1].dims.nbDims < 0 && value == 3) fail(DT_SHAPE, "no second input for getWorkspaceSize");
    return out[1].dims.nbDims < 0 ? 0 : size_t{1} << 40;
  }
  void configurePlugin(const DynamicPluginTensorDesc* in, int32_t, const DynamicPluginTensorDesc* out,
                       int32_t) override {
    if (in[1].desc.dims.nbDims < 0 && value == 4) fail(DT_SHAPE, "no second input for configurePlugin");
    if (out[1].desc.dims.nbDims >= 0) fail(DT_SHAPE, "a second output");
  }
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc*, const void* const* inputs, void* const* outputs,
                  void*, Stream) override {
    if (in[1].dims.nbDims < 0 && !inputs[1] && !outputs[1]) fail(DT_SHAPE, "no second input for enqueue");
    for (int64_t i = 0; i < bytes_of(in[0]) / 4; ++i)
      static_cast<float*>(outputs[0])[i] =
          static_cast<const float*>(inputs[0])[i] + static_cast<const float*>(inputs[1])[i];
    return 0;
  }
};

// Wants 7 for the first element.
struct Particular : Base<Particular> {
  static constexpr const char* kName = "Particular";
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc* out, const void* const* inputs,
                  void* const* outputs, void* workspace, Stream stream) override {
    if (static_cast<const float*>(inputs[0])[0] != 7) return 1;
    return Base::enqueue(in, out, inputs, outputs, workspace, stream);
  }
};

// Writes what outputs may hold before: NaN with all bits set.
struct AllOnes : Base<AllOnes> {
  static constexpr const char* kName = "AllOnes";
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc*, const void* const*, void* const* outputs, void*,
                  Stream) override {
    std::memset(outputs[0], 0xff, static_cast<size_t>(bytes_of(in[0])));
    return 0;
  }
};

struct ManyOutputs : Base<ManyOutputs> {
  static constexpr const char* kName = "ManyOutputs";
  int32_t getNbOutputs() const override { return 1000000000; }
};

// Says constant(-1) for an extent that is not known.
struct MinusOne : Base<MinusOne> {
  static constexpr const char* kName = "MinusOne";
  DimsExprs getOutputDimensions(int32_t, const DimsExprs* inputs, int32_t, IExprBuilder& builder) override {
    DimsExprs out = inputs[0];
    out.d[0] = builder.constant(-1);
    return out;
  }
};

// Keeps an expression of the first call.
struct StaleExtent : Base<StaleExtent> {
  static constexpr const char* kName = "StaleExtent";
  DimsExprs getOutputDimensions(int32_t, const DimsExprs* inputs, int32_t, IExprBuilder&) override {
    static const DimsExprs first = inputs[0];
    return first;
  }
};

struct InitializeFails : Base<InitializeFails> {
  static constexpr const char* kName = "InitializeFails";
  int32_t initialize() override { return 7; }
};

// 2^value bytes.
struct Workspace : Base<Workspace> {
  static constexpr const char* kName = "Workspace";
  size_t getWorkspaceSize(const PluginTensorDesc*, int32_t, const PluginTensorDesc*, int32_t) const override {
    return value < 64 ? size_t{1} << static_cast<int>(value) : ~size_t{0};
  }
};

// y = value * x; its clone has the default.
struct Forgetful : Base<Forgetful> {
  static constexpr const char* kName = "Forgetful";
  IPluginV2DynamicExt* clone() const override { return new Forgetful; }
};

// Its clone is the object itself.
struct Same : Base<Same> {
  static constexpr const char* kName = "Same";
  IPluginV2DynamicExt* clone() const override { return const_cast<Same*>(this); }
};

// There is one object, whoever asks for one.
struct Only : Base<Only> {
  static constexpr const char* kName = "Only";
};

struct OnlyCreator : Creator<Only> {
  IPluginV2* createPlugin(const char*, const PluginFieldCollection*) override {
    static Only* const only = new Only;
    return only;
  }
};

// Divides by zero to find an extent.
struct NoQuotient : Base<NoQuotient> {
  static constexpr const char* kName = "NoQuotient";
  DimsExprs getOutputDimensions(int32_t, const DimsExprs* inputs, int32_t, IExprBuilder& builder) override {
    DimsExprs out = inputs[0];
    out.d[0] = builder.operation(DimensionOperation::kFLOOR_DIV, *out.d[0], *builder.constant(0));
    return out;
  }
};

// Looks at types only.
struct AnyFormat : Base<AnyFormat> {
  static constexpr const char* kName = "AnyFormat";
  bool supportsFormatCombination(int32_t pos, const PluginTensorDesc* in_out, int32_t, int32_t) override {
    return in_out[pos].type == DataType::kFLOAT;
  }
};

// Takes HALF alone: all of what lies there, padding too.
struct HalfOnly : Base<HalfOnly> {
  static constexpr const char* kName = "HalfOnly";
  bool supportsFormatCombination(int32_t pos, const PluginTensorDesc* in_out, int32_t, int32_t) override {
    return in_out[pos].format == TensorFormat::kLINEAR && in_out[pos].type == DataType::kHALF;
  }
};

// INT8 in and out; y = 2 x in real numbers.
struct Int8Double : Base<Int8Double> {
  static constexpr const char* kName = "Int8Double";
  bool supportsFormatCombination(int32_t pos, const PluginTensorDesc* in_out, int32_t, int32_t) override {
    return in_out[pos].format == TensorFormat::kLINEAR && in_out[pos].type == DataType::kINT8;
  }
  void configurePlugin(const DynamicPluginTensorDesc* in, int32_t, const DynamicPluginTensorDesc* out,
                       int32_t) override {
    if (!(in[0].desc.scale > 0) || !(out[0].desc.scale > 0)) fail(DT_PLUGIN_FAILED, "no scales");
  }
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc* out, const void* const* inputs,
                  void* const* outputs, void*, Stream) override {
    for (int64_t i = 0; i < bytes_of(in[0]); ++i) {
      const float real = 2 * static_cast<float>(static_cast<const int8_t*>(inputs[0])[i]) * in[0].scale;
      const float stored = std::nearbyint(real / out[0].scale);
      static_cast<int8_t*>(outputs[0])[i] = static_cast<int8_t>(std::min(127.0f, std::max(-128.0f, stored)));
    }
    return 0;
  }
};

// y[i] = x[i] + the i-th of `list`, or of `window`, a DIMS.
struct Lists : Base<Lists> {
  static constexpr const char* kName = "Lists";
  float numbers[8] = {};
  size_t getSerializationSize() const override { return sizeof numbers; }
  void serialize(void* to) const override { std::memcpy(to, numbers, sizeof numbers); }
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc*, const void* const* inputs, void* const* outputs,
                  void*, Stream) override {
    const int64_t n = bytes_of(in[0]) / static_cast<int64_t>(sizeof(float));
    for (int64_t i = 0; i < n; ++i)
      static_cast<float*>(outputs[0])[i] = static_cast<const float*>(inputs[0])[i] + numbers[i % 8];
    return 0;
  }
};
struct ListsCreator : Creator<Lists> {
  const PluginFieldCollection* getFieldNames() override {
    static const PluginField fields[] = {{"list", nullptr, PluginFieldType::kFLOAT32, 1},
                                         {"window", nullptr, PluginFieldType::kDIMS, 1}};
    static const PluginFieldCollection all = {2, fields};
    return &all;
  }
  IPluginV2* createPlugin(const char*, const PluginFieldCollection* fc) override {
    Lists* made = new Lists;
    for (int32_t i = 0; i < fc->nbFields; ++i) {
      const PluginField& field = fc->fields[i];
      if (std::strcmp(field.name, "list") == 0) {
        for (int32_t k = 0; k < std::min(field.length, 8); ++k)
          made->numbers[k] = static_cast<const float*>(field.data)[k];
      } else {
        const Dims& window = *static_cast<const Dims*>(field.data);
        for (int32_t k = 0; k < window.nbDims; ++k) made->numbers[k] = static_cast<float>(window.d[k]);
      }
    }
    return made;
  }
  IPluginV2* deserializePlugin(const char*, const void* data, size_t) override {
    Lists* made = new Lists;
    std::memcpy(made->numbers, data, sizeof made->numbers);
    return made;
  }
};

// A second implementation of Overrun, which is right.
struct Nothing {};
DOVETAIL_READS(Nothing)
void copy(const Nothing&, const Run& run) {
  std::memcpy(run.output(0).data<char>(), run.input(0).data<char>(),
              static_cast<size_t>(run.input(0).volume()) * sizeof(float));
}
constexpr Row<Nothing> kRows[] = {{.tactic = "copy", .types = "f32 -> f32", .enqueue = copy}};

}  // namespace

#ifdef SECOND
DOVETAIL_IMPLEMENTS("mistaken::Overrun@1#copy", Nothing, kRows)
#endif

REGISTER_DOVETAIL_PLUGIN(Creator<Overrun>)
REGISTER_DOVETAIL_PLUGIN(Creator<IntoInput>)
REGISTER_DOVETAIL_PLUGIN(Creator<Unwritten>)
REGISTER_DOVETAIL_PLUGIN(Creator<BehindWorkspace>)
REGISTER_DOVETAIL_PLUGIN(Creator<Particular>)
REGISTER_DOVETAIL_PLUGIN(Creator<Heedless>)
REGISTER_DOVETAIL_PLUGIN(Creator<AllOnes>)
REGISTER_DOVETAIL_PLUGIN(Creator<ManyOutputs>)
REGISTER_DOVETAIL_PLUGIN(Creator<MinusOne>)
REGISTER_DOVETAIL_PLUGIN(Creator<StaleExtent>)
REGISTER_DOVETAIL_PLUGIN(Creator<InitializeFails>)
REGISTER_DOVETAIL_PLUGIN(Creator<Workspace>)
REGISTER_DOVETAIL_PLUGIN(Creator<Forgetful>)
REGISTER_DOVETAIL_PLUGIN(Creator<Same>)
REGISTER_DOVETAIL_PLUGIN(OnlyCreator)
REGISTER_DOVETAIL_PLUGIN(Creator<NoQuotient>)
REGISTER_DOVETAIL_PLUGIN(Creator<AnyFormat>)
REGISTER_DOVETAIL_PLUGIN(Creator<HalfOnly>)
REGISTER_DOVETAIL_PLUGIN(Creator<Int8Double>)
REGISTER_DOVETAIL_PLUGIN(ListsCreator)

DOVETAIL_LIBRARY("mistakes", "1.0", "mistaken")
