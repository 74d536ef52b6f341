// SPDX-License-Identifier: Apache-2.0
// BarPlugin: two inputs, two outputs, dynamic shapes.
//   output 0   the inputs one after the other along the first axis: [a0 + b0, ...]
//   output 1   a copy of the first input
// Type and format are the same everywhere, the format is linear.
#include <cstring>

#include "dovetail/plugin.hpp"

namespace {

using namespace dovetail;

int64_t bytes_of(const PluginTensorDesc& desc) {
  int64_t bytes = size_of(desc.type);
  for (int32_t i = 0; i < desc.dims.nbDims; ++i) bytes *= desc.dims.d[i];
  return bytes;
}

class BarPlugin final : public IPluginV2DynamicExt {
 public:
  const char* getPluginType() const override { return "BarPlugin"; }
  const char* getPluginVersion() const override { return "1"; }
  int32_t getNbOutputs() const override { return 2; }
  DataType getOutputDataType(int32_t, const DataType* types, int32_t) const override { return types[0]; }

  DimsExprs getOutputDimensions(int32_t index, const DimsExprs* inputs, int32_t n_inputs,
                                IExprBuilder& builder) override {
    if (n_inputs != 2) fail(DT_SHAPE, "takes two inputs, not %d", n_inputs);
    if (inputs[0].nbDims != inputs[1].nbDims || inputs[0].nbDims < 1) {
      fail(DT_SHAPE, "cannot join inputs of rank %d and %d", inputs[0].nbDims, inputs[1].nbDims);
    }
    switch (index) {
      case 0: {
        DimsExprs output(inputs[0]);
        output.d[0] = builder.operation(DimensionOperation::kSUM, *inputs[0].d[0], *inputs[1].d[0]);
        return output;
      }
      case 1:
        return inputs[0];
      default:
        fail(DT_INTERNAL, "there is no output %d", index);
    }
  }

  // Tensors are numbered through: 0 and 1 are the inputs, 2 and 3 the outputs. Only what stands before pos is settled.
  bool supportsFormatCombination(int32_t pos, const PluginTensorDesc* in_out, int32_t, int32_t) override {
    return in_out[pos].format == TensorFormat::kLINEAR && in_out[pos].type == in_out[0].type;
  }

  // Told the real extents before the first run and after each change; here only the builder's promise is checked.
  void configurePlugin(const DynamicPluginTensorDesc* in, int32_t, const DynamicPluginTensorDesc*, int32_t) override {
    const Dims &a = in[0].desc.dims, &b = in[1].desc.dims;
    for (int32_t i = 1; i < a.nbDims; ++i) {
      if (a.d[i] >= 0 && b.d[i] >= 0 && a.d[i] != b.d[i]) {
        fail(DT_SHAPE, "axis %d is %lld and %lld; only axis 0 may differ", i, static_cast<long long>(a.d[i]),
             static_cast<long long>(b.d[i]));
      }
    }
  }

  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc*, const void* const* inputs, void* const* outputs,
                  void*, Stream) override {
    const size_t first = static_cast<size_t>(bytes_of(in[0])), second = static_cast<size_t>(bytes_of(in[1]));
    std::memcpy(outputs[0], inputs[0], first);
    std::memcpy(static_cast<char*>(outputs[0]) + first, inputs[1], second);
    std::memcpy(outputs[1], inputs[0], first);
    return 0;
  }

  IPluginV2DynamicExt* clone() const override { return new BarPlugin(*this); }
  size_t getSerializationSize() const override { return 0; }
  void serialize(void*) const override {}
};

class BarPluginCreator final : public IPluginCreator {
 public:
  const char* getPluginName() const override { return "BarPlugin"; }
  const char* getPluginVersion() const override { return "1"; }
  const PluginFieldCollection* getFieldNames() override {
    static const PluginFieldCollection none;
    return &none;
  }
  IPluginV2* createPlugin(const char*, const PluginFieldCollection*) override { return new BarPlugin; }
  IPluginV2* deserializePlugin(const char*, const void*, size_t) override { return new BarPlugin; }
};

}  // namespace

REGISTER_DOVETAIL_PLUGIN(BarPluginCreator)
DOVETAIL_LIBRARY("bar-plugin", "1.0", "")
