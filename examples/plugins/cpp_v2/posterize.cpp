// SPDX-License-Identifier: Apache-2.0
// acme::Posterize@1: y = floor(min(max(x, 0), 1) * (levels - 1) + 0.5) / (levels - 1), for pictures with values in
// 0..1. An op and its kernel in one class with TensorRT's names, in a namespace of its own.
#include <cmath>
#include <cstring>

#include "dovetail/plugin.hpp"

namespace acme {

using namespace dovetail;

class Posterize final : public IPluginV2DynamicExt {
 public:
  explicit Posterize(int32_t levels) : levels_(levels) {}

  const char* getPluginType() const override { return "Posterize"; }
  const char* getPluginVersion() const override { return "1"; }
  int32_t getNbOutputs() const override { return 1; }
  DataType getOutputDataType(int32_t, const DataType* types, int32_t) const override { return types[0]; }

  DimsExprs getOutputDimensions(int32_t, const DimsExprs* inputs, int32_t n_inputs, IExprBuilder&) override {
    if (n_inputs != 1) fail(DT_SHAPE, "takes one input, not %d", n_inputs);
    return inputs[0];
  }

  // Each element is computed by itself, so any order of elements will do, as long as it is the same on both sides and
  // nothing is padded.
  bool supportsFormatCombination(int32_t pos, const PluginTensorDesc* in_out, int32_t, int32_t) override {
    if (pos == 1) return in_out[1].type == in_out[0].type && in_out[1].format == in_out[0].format;
    const bool is_packed = in_out[0].format == TensorFormat::kLINEAR || in_out[0].format == TensorFormat::kHWC;
    return in_out[0].type == DataType::kFLOAT && is_packed;
  }

  // Told the extents when they change, so that enqueue need not multiply.
  void configurePlugin(const DynamicPluginTensorDesc* in, int32_t, const DynamicPluginTensorDesc*, int32_t) override {
    volume_ = 1;
    for (int32_t i = 0; i < in[0].desc.dims.nbDims; ++i) volume_ *= in[0].desc.dims.d[i];
  }

  int32_t enqueue(const PluginTensorDesc*, const PluginTensorDesc*, const void* const* inputs, void* const* outputs,
                  void*, Stream) override {
    const float* x = static_cast<const float*>(inputs[0]);
    float* y = static_cast<float*>(outputs[0]);
    const float steps = static_cast<float>(levels_ - 1);
    const int64_t n = volume_;
    constexpr int64_t kTask = 1 << 16;  // elements; enough that handing out a task costs nothing
    run().parallel_for((n + kTask - 1) / kTask, [=](int64_t task) {
      const int64_t end = (task + 1) * kTask < n ? (task + 1) * kTask : n;
      for (int64_t i = task * kTask; i < end; ++i) {
        const float inside = x[i] > 0 ? (x[i] < 1 ? x[i] : 1.0f) : 0.0f;
        y[i] = std::floor(inside * steps + 0.5f) / steps;
      }
    });
    return 0;
  }

  IPluginV2DynamicExt* clone() const override { return new Posterize(*this); }
  size_t getSerializationSize() const override { return sizeof levels_; }
  void serialize(void* buffer) const override { std::memcpy(buffer, &levels_, sizeof levels_); }

 private:
  int32_t levels_;
  int64_t volume_ = 0;
};

constexpr int32_t kLevels = 4;

class PosterizeCreator final : public IPluginCreator {
 public:
  const char* getPluginName() const override { return "Posterize"; }
  const char* getPluginVersion() const override { return "1"; }
  const char* getDescription() const override { return "Values in 0..1, rounded to one of `levels`."; }

  const PluginFieldCollection* getFieldNames() override {
    static const PluginField field("levels", &kLevels, PluginFieldType::kINT32, 1);
    static const PluginFieldCollection all = {1, &field};
    return &all;
  }
  void describeField(const PluginField&, FieldNotes& notes) const override {
    notes.doc = "How many values are left.";
    notes.low = 2;
    notes.high = 256;
  }

  IPluginV2* createPlugin(const char*, const PluginFieldCollection* fc) override {
    int32_t levels = kLevels;
    if (fc->nbFields > 0) std::memcpy(&levels, fc->fields[0].data, sizeof levels);
    return new Posterize(levels);
  }

  IPluginV2* deserializePlugin(const char*, const void* data, size_t length) override {
    int32_t levels = 0;
    if (length != sizeof levels) fail(DT_PLAN_CORRUPT, "%zu bytes of state, expected %zu", length, sizeof levels);
    std::memcpy(&levels, data, length);
    return new Posterize(levels);
  }
};

}  // namespace acme

REGISTER_DOVETAIL_PLUGIN(acme::PosterizeCreator)
DOVETAIL_LIBRARY("acme-posterize", "1.0", "acme")
