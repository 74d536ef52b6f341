// SPDX-License-Identifier: Apache-2.0
// REGISTER_DOVETAIL_PLUGIN: a creator's fields as a schema, and its tables in the library's lists.
#ifndef DOVETAIL_DETAIL_V2_REGISTER_HPP
#define DOVETAIL_DETAIL_V2_REGISTER_HPP

#include "dovetail/detail/v2_table.hpp"

DOVETAIL_OPEN_NAMESPACE

namespace detail {

// The schema made of getFieldNames; lives as long as the library.
struct V2Schema {
  Array<dt_field_spec> specs;
  Array<dt_field> defaults;
  Array<const dt_field_spec*> pointers;

  explicit V2Schema(IPluginCreator& creator) {
    const PluginFieldCollection* given = creator.getFieldNames();
    const int32_t n = given ? given->nbFields : 0;
    if (n < 0 || n > kMostFields) fail(DT_INCOMPATIBLE, nowhere("getFieldNames() says %d fields"), static_cast<int>(n));
    if (n > 0 && !given->fields) {
      fail(DT_INCOMPATIBLE, nowhere("getFieldNames() says %d fields, the array is null"), static_cast<int>(n));
    }
    for (int32_t i = 0; i < n; ++i) {
      if (!given->fields[i].name) {
        fail(DT_INCOMPATIBLE, nowhere("getFieldNames(): the name of field %d is null"), static_cast<int>(i));
      }
    }
    specs.reset(n);
    defaults.reset(n);
    pointers.reset(n);
    for (int32_t i = 0; i < n; ++i) {
      describe(creator, given->fields[i], specs[i], defaults[i]);
      pointers[i] = &specs[i];
    }
  }

 private:
  static constexpr int32_t kMostFields = 65536;  // a larger count is treated as an error of the plugin

  static void describe(const IPluginCreator& creator, const PluginField& field, dt_field_spec& spec, dt_field& value) {
    FieldNotes notes;
    notes.low = notes.high = std::nan("");
    // Creators written for TensorRT give length 1 for lists, too; a field with a default is a scalar. Dims
    // are one value.
    const bool is_open = field.length <= 0 || (field.length == 1 && field.data == nullptr);
    const bool is_list = field.type == PluginFieldType::kCHAR || (is_open && field.type != PluginFieldType::kDIMS);
    notes.min_length = is_list ? 0 : field.length;
    notes.max_length = is_list ? -1 : field.length;
    creator.describeField(field, notes);
    spec.h = DT_HDR(dt_field_spec);
    spec.name = field.name;
    spec.type = static_cast<int32_t>(field.type);
    spec.min_length = notes.min_length;
    spec.max_length = notes.max_length;
    spec.required = notes.required ? 1 : 0;
    spec.low = notes.low;
    spec.high = notes.high;
    spec.doc = notes.doc;
    if (field.data == nullptr || field.length <= 0) return;
    value.h = DT_HDR(dt_field);
    value.name = field.name;
    value.type = spec.type;
    value.length = field.length;
    value.data = field.data;
    spec.default_value = &value;
  }
};

// A list of functions that add a creator's tables. They run inside the entry, where an exception can be reported.
struct V2Listed {
  void (*list)(const char* space);
  V2Listed* next = nullptr;
  static inline V2Listed* first = nullptr;
  explicit V2Listed(void (*function)(const char*)) : list(function), next(first) { first = this; }
  V2Listed(const V2Listed&) = delete;
  V2Listed& operator=(const V2Listed&) = delete;
};

inline void list_creators(const char* space) {
  for (V2Listed* item = V2Listed::first; item; item = item->next) item->list(space);
  V2Listed::first = nullptr;
}

// The op of one creator class, listed once even if the creator is registered for several devices.
template <class Creator>
class V2OpTable {
 public:
  static V2OpTable& of(const char* space) {
    static V2OpTable table(space);
    return table;
  }
  const char* id() const { return id_; }
  const IPluginCreator& creator() const { return creator_; }

 private:
  explicit V2OpTable(const char* space) : schema_(creator_) {
    const char* own = creator_.getPluginNamespace();
    if (own == nullptr || own[0] == 0) creator_.setPluginNamespace(space);
    kind.creator = &creator_;
    kind.name = said("getPluginName", creator_.getPluginName());
    kind.version = said("getPluginVersion", creator_.getPluginVersion());
    const char* namespace_ = said("getPluginNamespace", creator_.getPluginNamespace());
    op_.h = DT_HDR(dt_op);
    op_.name = kind.name;
    op_.version = kind.version;
    op_.namespace_ = namespace_;
    op_.doc = said("getDescription", creator_.getDescription());
    op_.n_fields = static_cast<uint32_t>(schema_.pointers.size());
    op_.fields = schema_.pointers.get();
    op_.create = create;
    op_.clone = v2_clone;
    op_.destroy = v2_destroy;
    op_.save = v2_save;
    op_.load = load;
    op_.count_outputs = v2_count_outputs;
    op_.infer_type = v2_infer_type;
    op_.infer_dims = v2_infer_dims;
    std::snprintf(id_, sizeof id_, "%s%s%s@%s", namespace_, namespace_[0] ? "::" : "", kind.name, kind.version);
    ops.add(&op_node_, op_before);
  }

  // Returns what a method returned, or throws if it is null.
  static const char* said(const char* method, const char* text) {
    if (!text) fail(DT_PLUGIN_FAILED, nowhere("%s() returned nullptr"), method);
    return text;
  }

  // A new plugin: checks that type and version are those of the creator, and sets its namespace.
  static V2Object* adopt(const char*& method, IPluginV2* made) {
    V2Object* object = v2_own(&kind, [&] { return made; });
    struct Holder {
      V2Object* object;
      ~Holder() { delete object; }
    } holder{object};
    const char* type = said("getPluginType", made->getPluginType());
    const char* version = said("getPluginVersion", made->getPluginVersion());
    if (std::strcmp(type, kind.name) != 0 || std::strcmp(version, kind.version) != 0) {
      fail(DT_PLUGIN_FAILED, nowhere("made a plugin of type %s@%s, the creator is for %s@%s"), type, version, kind.name,
           kind.version);
    }
    method = "setPluginNamespace";
    made->setPluginNamespace(kind.creator->getPluginNamespace());
    holder.object = nullptr;
    return object;
  }
  static dt_code create(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** op) noexcept {
    const char* method = "createPlugin";
    return guard(
        call, [&](Subject& subject) { V2Method{&kind, method}(subject); },
        [&] {
          Array<PluginField> given(n);
          for (uint32_t i = 0; i < n; ++i) {
            if (fields[i]->length > INT32_MAX)
              fail(DT_INVALID_ARGUMENT, nowhere("field '%s' is too long"), fields[i]->name);
            given[i] = PluginField(fields[i]->name, fields[i]->data, static_cast<PluginFieldType>(fields[i]->type),
                                   static_cast<int32_t>(fields[i]->length));
          }
          PluginFieldCollection collection;
          collection.nbFields = static_cast<int32_t>(n);
          collection.fields = given.get();
          *op = adopt(method, kind.creator->createPlugin(layer, &collection));
        });
  }
  static dt_code load(void* call, const char* layer, const void* bytes, uint64_t n, void** op) noexcept {
    const char* method = "deserializePlugin";
    return guard(
        call, [&](Subject& subject) { V2Method{&kind, method}(subject); },
        [&] {
          V2Object* made = adopt(method, kind.creator->deserializePlugin(layer, bytes, static_cast<size_t>(n)));
          made->loaded = true;
          *op = made;
        });
  }

  static inline V2Kind kind;
  Creator creator_;
  V2Schema schema_;
  char id_[1024];
  dt_op op_ = {};
  Listed<dt_op> op_node_ = {&op_, nullptr};
};

// Its implementation on one device, "#cpu" or "#cuda": the same objects, with the device set.
template <class Creator, int32_t device>
class V2ImplementationTable {
  static_assert(std::is_base_of<IPluginCreator, Creator>::value,
                "REGISTER_DOVETAIL_PLUGIN takes a creator: a class derived from dovetail::IPluginCreator");
  static_assert(device == DT_DEVICE_CPU || device == DT_DEVICE_CUDA, "DT_DEVICE_CPU or DT_DEVICE_CUDA");

 public:
  static void list(const char* space) { static V2ImplementationTable table(V2OpTable<Creator>::of(space)); }

 private:
  explicit V2ImplementationTable(const V2OpTable<Creator>& op) {
    table_.h = DT_HDR(dt_implementation);
    table_.op = op.id();
    table_.name = device == DT_DEVICE_CUDA ? "cuda" : "cpu";
    table_.device = device;
    table_.traits = DT_TRAIT_OP_OBJECT | (op.creator().isCaptureSafe() ? DT_TRAIT_CAPTURE_SAFE : 0);
    table_.supports = v2_supports<device>;
    table_.configure = v2_configure<device>;
    table_.workspace = v2_workspace<device>;
    table_.make_context = v2_make_context<device>;
    table_.drop_context = v2_drop_context;
    table_.shape_changed = v2_shape_changed;
    table_.enqueue = v2_enqueue;
    implementations.add(&node_, implementation_before);
  }

  dt_implementation table_ = {};
  Listed<dt_implementation> node_ = {&table_, nullptr};
};

}  // namespace detail

DOVETAIL_CLOSE_NAMESPACE

// Registers a creator: its op, with an implementation on the CPU or on the device that is named. To register a class
// for both devices, write one line for each; device() returns the one that an object runs on.
#define REGISTER_DOVETAIL_PLUGIN(Creator) REGISTER_DOVETAIL_PLUGIN_ON(DT_DEVICE_CPU, Creator)
#define REGISTER_DOVETAIL_PLUGIN_ON(device, Creator) \
  DOVETAIL_NEEDS_LIBRARY                             \
  static ::dovetail::detail::V2Listed DOVETAIL_JOIN( \
      dovetail_creator_, __LINE__)(::dovetail::detail::V2ImplementationTable<Creator, device>::list);

#endif
