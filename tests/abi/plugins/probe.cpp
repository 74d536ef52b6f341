// SPDX-License-Identifier: Apache-2.0
// A V2 plugin that writes every call of its life into the host's log, and fails where and how it is told:
// y = gain * x + bias. Fields: gain, bias, fail (a method's name), how ("throw", "int", "code").
#include <stdexcept>
#include <string>

#include "dovetail/plugin.hpp"

#ifndef PROBE_NAMESPACE
#define PROBE_NAMESPACE "acme"
#endif

namespace {

using namespace dovetail;

int alive = 0;  // plugin objects
int made = 0;   // numbers them, so that the log tells clones apart

struct Wishes {
  float gain = 2.0f, bias = 0.5f;
  char fail[40] = "", how[40] = "throw";

  // Logs the call; true if it is to go wrong in the method's own way, and throws if it is to go wrong by throwing.
  bool enter(const char* method, int id) const {
    char line[80];
    std::snprintf(line, sizeof line, "%d %s", id, method);
    log(DT_LOG_VERBOSE, line);
    if (std::strcmp(fail, method) != 0) return false;
    if (std::strcmp(how, "code") == 0) return true;
    if (std::strcmp(how, "int") == 0) throw 42;
    throw std::runtime_error(std::string("as told, in ") + method);
  }
};

class Probe final : public IPluginV2DynamicExt {
 public:
  explicit Probe(const Wishes& wishes) : wishes_(wishes), id_(++made) { ++alive; }
  Probe(const Probe& other) : IPluginV2DynamicExt(other), wishes_(other.wishes_), id_(++made) { ++alive; }
  Probe& operator=(const Probe&) = delete;
  ~Probe() override { --alive; }

  const char* getPluginType() const override { return "Probe"; }
  const char* getPluginVersion() const override { return "1"; }
  int32_t getNbOutputs() const override { return wishes_.enter("getNbOutputs", id_) ? -1 : 1; }
  DataType getOutputDataType(int32_t, const DataType* types, int32_t) const override {
    return wishes_.enter("getOutputDataType", id_) ? static_cast<DataType>(77) : types[0];
  }
  // One longer than the input in the first extent, which is copied out of its first row.
  DimsExprs getOutputDimensions(int32_t, const DimsExprs* inputs, int32_t, IExprBuilder& builder) override {
    DimsExprs out(inputs[0]);
    if (wishes_.enter("getOutputDimensions", id_)) out.nbDims = -1;
    if (std::strcmp(wishes_.fail, "operation") == 0) {
      out.d[0] = builder.operation(static_cast<DimensionOperation>(99), inputs[0].d[0], inputs[0].d[0]);
    } else if (std::strcmp(wishes_.fail, "division") == 0) {
      out.d[0] = builder.operation(DimensionOperation::kFLOOR_DIV, *inputs[0].d[0], *builder.constant(0));
    } else {
      out.d[0] = builder.operation(DimensionOperation::kSUM, *inputs[0].d[0], *builder.constant(1));
    }
    return out;
  }
  bool supportsFormatCombination(int32_t pos, const PluginTensorDesc* in_out, int32_t n_in, int32_t n_out) override {
    wishes_.enter("supportsFormatCombination", id_);
    for (int32_t i = pos + 1; i < n_in + n_out; ++i) {
      if (in_out[i].type == DataType::kFLOAT) throw std::logic_error("a position after pos is filled");
    }
    return in_out[pos].type == DataType::kFLOAT && in_out[pos].format == TensorFormat::kLINEAR;
  }
  void configurePlugin(const DynamicPluginTensorDesc* in, int32_t, const DynamicPluginTensorDesc*, int32_t) override {
    char line[80];
    std::snprintf(line, sizeof line, "configurePlugin %lld in %lld..%lld", static_cast<long long>(in[0].desc.dims.d[0]),
                  static_cast<long long>(in[0].min.d[0]), static_cast<long long>(in[0].max.d[0]));
    wishes_.enter(line, id_);
    if (std::strcmp(wishes_.fail, "configurePlugin") == 0) throw std::runtime_error("as told, in configurePlugin");
    if (in[0].desc.dims.d[0] >= 0 && std::strcmp(wishes_.fail, "configurePlugin at execution") == 0) {
      throw std::runtime_error("as told, at execution");
    }
  }
  size_t getWorkspaceSize(const PluginTensorDesc* in, int32_t, const PluginTensorDesc*, int32_t) const override {
    wishes_.enter("getWorkspaceSize", id_);
    return static_cast<size_t>(in[0].dims.d[0]) * 4;
  }
  int32_t initialize() override { return wishes_.enter("initialize", id_) ? 3 : 0; }
  void terminate() override { wishes_.enter("terminate", id_); }
  void attachToContext(void*, void*, void*) override { wishes_.enter("attachToContext", id_); }
  void detachFromContext() override { wishes_.enter("detachFromContext", id_); }
  IPluginV2DynamicExt* clone() const override { return wishes_.enter("clone", id_) ? nullptr : new Probe(*this); }
  void destroy() override {
    const Wishes wishes = wishes_;
    const int id = id_;
    delete this;
    char line[40];
    std::snprintf(line, sizeof line, "%d left", alive);
    log(DT_LOG_VERBOSE, line);
    wishes.enter("destroy", id);
  }
  size_t getSerializationSize() const override {
    return wishes_.enter("getSerializationSize", id_) ? sizeof(Wishes) - 4 : sizeof(Wishes);
  }
  void serialize(void* buffer) const override {
    wishes_.enter("serialize", id_);
    std::memcpy(buffer, &wishes_, sizeof wishes_);
  }
  void setPluginNamespace(const char* space) override {
    wishes_.enter("setPluginNamespace", id_);
    IPluginV2DynamicExt::setPluginNamespace(space);
  }
  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc*, const void* const* inputs, void* const* outputs,
                  void*, Stream) override {
    if (wishes_.enter("enqueue", id_)) return 3;
    if (std::strcmp(wishes_.fail, "task") == 0) {
      run().parallel_for(4, [](int task) {
        if (task == 2) fail(DT_DEVICE_FAULT, "task %d gave up", task);
      });
    }
    if (std::strcmp(wishes_.fail, "tasks") == 0) run().parallel_for(int64_t{1} << 32, [](int) {});
    int64_t row = 1;
    for (int32_t i = 1; i < in[0].dims.nbDims; ++i) row *= in[0].dims.d[i];
    const float* x = static_cast<const float*>(inputs[0]);
    float* y = static_cast<float*>(outputs[0]);
    for (int64_t i = 0; i < (in[0].dims.d[0] + 1) * row; ++i) {
      y[i] = wishes_.gain * x[i < in[0].dims.d[0] * row ? i : i % row] + wishes_.bias;
    }
    return 0;
  }

 private:
  Wishes wishes_;
  int id_;
};

constexpr float kGain = 2.0f;

class ProbeCreator final : public IPluginCreator {
 public:
  const char* getPluginName() const override { return "Probe"; }
  const char* getPluginVersion() const override { return "1"; }
  const char* getDescription() const override { return "y = gain * x + bias, with one row more."; }
  const PluginFieldCollection* getFieldNames() override {
    static const PluginField fields[] = {{"gain", &kGain, PluginFieldType::kFLOAT32, 1},
                                         {"bias", nullptr, PluginFieldType::kFLOAT32, 1},
                                         {"fail", nullptr, PluginFieldType::kCHAR, 1},
                                         {"how", nullptr, PluginFieldType::kCHAR, 1}};
    static PluginFieldCollection all;
    all.nbFields = 4;
    all.fields = fields;
    return &all;
  }
  void describeField(const PluginField& field, FieldNotes& notes) const override {
    if (std::strcmp(field.name, "gain") != 0) return;
    notes.doc = "Factor.";
    notes.low = -8;
    notes.high = 8;
  }
  IPluginV2* createPlugin(const char*, const PluginFieldCollection* fc) override {
    Wishes wishes;
    for (int32_t i = 0; i < fc->nbFields; ++i) {
      const PluginField& field = fc->fields[i];
      if (std::strcmp(field.name, "gain") == 0) wishes.gain = *static_cast<const float*>(field.data);
      if (std::strcmp(field.name, "bias") == 0) wishes.bias = *static_cast<const float*>(field.data);
      const char* text = static_cast<const char*>(field.data);
      if (std::strcmp(field.name, "fail") == 0) std::snprintf(wishes.fail, sizeof wishes.fail, "%s", text);
      if (std::strcmp(field.name, "how") == 0) std::snprintf(wishes.how, sizeof wishes.how, "%s", text);
    }
    return wishes.enter("createPlugin", 0) ? nullptr : new Probe(wishes);
  }
  IPluginV2* deserializePlugin(const char*, const void* data, size_t length) override {
    if (length != sizeof(Wishes)) fail(DT_PLAN_CORRUPT, "%zu bytes of state, expected %zu", length, sizeof(Wishes));
    Wishes wishes;
    std::memcpy(&wishes, data, sizeof wishes);
    return wishes.enter("deserializePlugin", 0) ? nullptr : new Probe(wishes);
  }
};

REGISTER_DOVETAIL_PLUGIN(ProbeCreator)

}  // namespace

DOVETAIL_LIBRARY_FROM("probe", "1.2.3", PROBE_NAMESPACE, "Acme", "Apache-2.0", nullptr)
