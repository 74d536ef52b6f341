// SPDX-License-Identifier: Apache-2.0
// Two V2 classes: one that works on both devices and says in its log which it was told, and one that is registered on
// CUDA alone. Neither launches anything, so no GPU is needed.
#include "dovetail/plugin.hpp"

namespace {

using namespace dovetail;

class Base : public IPluginV2DynamicExt {
 public:
  const char* getPluginVersion() const override { return "1"; }
  int32_t getNbOutputs() const override { return 1; }
  DataType getOutputDataType(int32_t, const DataType* types, int32_t) const override { return types[0]; }
  DimsExprs getOutputDimensions(int32_t, const DimsExprs* inputs, int32_t, IExprBuilder&) override { return inputs[0]; }
  // Half precision on CUDA only.
  bool supportsFormatCombination(int32_t pos, const PluginTensorDesc* in_out, int32_t, int32_t) override {
    say("supportsFormatCombination");
    const bool is_half = in_out[pos].type == DataType::kHALF && device() == DT_DEVICE_CUDA;
    return in_out[pos].format == TensorFormat::kLINEAR && (in_out[pos].type == DataType::kFLOAT || is_half);
  }
  void configurePlugin(const DynamicPluginTensorDesc*, int32_t, const DynamicPluginTensorDesc*, int32_t) override {
    say("configurePlugin");
  }
  size_t getWorkspaceSize(const PluginTensorDesc*, int32_t, const PluginTensorDesc*, int32_t) const override {
    say("getWorkspaceSize");
    return device() == DT_DEVICE_CUDA ? 256 : 64;
  }
  int32_t initialize() override { return say("initialize"), 0; }
  int32_t enqueue(const PluginTensorDesc*, const PluginTensorDesc*, const void* const*, void* const*, void*,
                  Stream) override {
    return say("enqueue"), 0;
  }
  size_t getSerializationSize() const override { return 0; }
  void serialize(void*) const override {}

 private:
  void say(const char* method) const {
    char line[64];
    std::snprintf(line, sizeof line, "%s on %s", method, device() == DT_DEVICE_CUDA ? "cuda" : "cpu");
    log(DT_LOG_VERBOSE, line);
  }
};

class Both final : public Base {
 public:
  const char* getPluginType() const override { return "Both"; }
  IPluginV2DynamicExt* clone() const override { return new Both; }  // does not copy what the base class knows
};

class Cuda final : public Base {
 public:
  const char* getPluginType() const override { return "Cuda"; }
  IPluginV2DynamicExt* clone() const override { return new Cuda(*this); }
};

template <class Plugin>
class Creator : public IPluginCreator {
 public:
  const char* getPluginVersion() const override { return "1"; }
  const PluginFieldCollection* getFieldNames() override {
    static const PluginFieldCollection none;
    return &none;
  }
  IPluginV2* createPlugin(const char*, const PluginFieldCollection*) override { return new Plugin; }
  IPluginV2* deserializePlugin(const char*, const void*, size_t) override { return new Plugin; }
};

class BothCreator final : public Creator<Both> {
 public:
  const char* getPluginName() const override { return "Both"; }
};

class CudaCreator final : public Creator<Cuda> {
 public:
  const char* getPluginName() const override { return "Cuda"; }
  bool isCaptureSafe() const override { return true; }
};

REGISTER_DOVETAIL_PLUGIN(BothCreator)
REGISTER_DOVETAIL_PLUGIN_ON(DT_DEVICE_CUDA, BothCreator)
REGISTER_DOVETAIL_PLUGIN_ON(DT_DEVICE_CUDA, CudaCreator)

}  // namespace

DOVETAIL_LIBRARY("twofold", "1.0", "acme")
