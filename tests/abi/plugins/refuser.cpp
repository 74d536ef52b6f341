// SPDX-License-Identifier: Apache-2.0
// A creator that throws while its fields are asked for: the library is refused with its sentence, the process lives.
#include <stdexcept>

#include "dovetail/plugin.hpp"

namespace {

class Refuser final : public dovetail::IPluginCreator {
 public:
  const char* getPluginName() const override { return "Refuser"; }
  const char* getPluginVersion() const override { return "1"; }
  const dovetail::PluginFieldCollection* getFieldNames() override { throw std::runtime_error("no fields today"); }
  dovetail::IPluginV2* createPlugin(const char*, const dovetail::PluginFieldCollection*) override { return nullptr; }
  dovetail::IPluginV2* deserializePlugin(const char*, const void*, size_t) override { return nullptr; }
};

REGISTER_DOVETAIL_PLUGIN(Refuser)

}  // namespace

DOVETAIL_LIBRARY("refuser", "1.0", "")
