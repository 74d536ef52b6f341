// SPDX-License-Identifier: Apache-2.0
// The plugin interface for C++17: header only, made of plugin.h, linked with nothing of dovetail's.
//
// Two ways to write a plugin; a library may use both:
//   rows     kernels for an op that is described elsewhere: DOVETAIL_READS, Row, DOVETAIL_IMPLEMENTS (detail/rows.hpp)
//   classes  an op and its kernel in one class with TensorRT's names: IPluginV2DynamicExt,
//            IPluginCreator, REGISTER_DOVETAIL_PLUGIN (detail/v2.hpp)
//
// Exactly one source file of a library must have the line DOVETAIL_LIBRARY("acme_nms", "2.1.0", "acme"); otherwise
// linking fails. Build with
//   c++ -shared -fPIC -std=c++17 -fvisibility=hidden -I<include folder> acme_nms.cpp -o libacme_nms.so
// or through the CMake lines in dovetail/plugin.cmake, which also hide what the standard library leaves behind.
#ifndef DOVETAIL_PLUGIN_HPP
#define DOVETAIL_PLUGIN_HPP

#include "dovetail/detail/rows.hpp"
#include "dovetail/detail/v2_register.hpp"

DOVETAIL_OPEN_NAMESPACE

namespace detail {

// An extension of the library: a table that the host knows by an id.
struct Extension {
  const char* id;
  const void* table;
  const Extension* next;
};
inline const Extension* extensions = nullptr;

struct OfferExtension {
  Extension item;
  OfferExtension(const char* id, const void* table) : item{id, table, extensions} { extensions = &item; }
  OfferExtension(const OfferExtension&) = delete;
  OfferExtension& operator=(const OfferExtension&) = delete;
};

inline const void* extension_named(const char* id) noexcept {
  for (const Extension* item = extensions; item; item = item->next)
    if (std::strcmp(item->id, id) == 0) return item->table;
  return nullptr;
}

// The library's table, made by the first call of the entry; the host calls it under its loader lock.
inline const dt_plugin* enter(const dt_host* with, const char* name, const char* version, const char* namespace_,
                              const char* vendor, const char* license, const char* url) noexcept {
  static dt_plugin plugin = {};
  host = with;
  if (plugin.h.struct_size != 0) return &plugin;
  const dt_code code = guard(
      nullptr, [&](Subject& subject) { std::snprintf(subject.text, sizeof subject.text, "%s", name); },
      [&] {
        list_creators(namespace_ ? namespace_ : "");
        plugin.name = name;
        plugin.version = version;
        plugin.namespace_ = namespace_;
        plugin.vendor = vendor;
        plugin.license = license;
        plugin.url = url;
        plugin.ops = ops.array(&plugin.n_ops);
        plugin.implementations = implementations.array(&plugin.n_implementations);
        plugin.extension = extension_named;
        plugin.h = DT_HDR(dt_plugin);
      });
  return code == DT_OK ? &plugin : nullptr;
}

}  // namespace detail

DOVETAIL_CLOSE_NAMESPACE

// The entry of the library. `space` is the namespace of its ops where they name none.
#define DOVETAIL_LIBRARY(name, version, space) DOVETAIL_LIBRARY_FROM(name, version, space, nullptr, nullptr, nullptr)
// The same, with vendor, license and URL.
#define DOVETAIL_LIBRARY_FROM(name, version, space, vendor, license, url)                                      \
  static_assert(sizeof(name) > 1, "DOVETAIL_LIBRARY(name, version, namespace): the name must not be empty");   \
  extern "C" const char one_source_file_must_say_DOVETAIL_LIBRARY = 1;                                         \
  extern "C" __attribute__((visibility("default"))) const dt_plugin* dovetail_plugin_entry_v1(const dt_host*); \
  extern "C" const dt_plugin* dovetail_plugin_entry_v1(const dt_host* host) {                                  \
    return ::dovetail::detail::enter(host, name, version, space, vendor, license, url);                        \
  }

// Registers a dt_op or a dt_implementation that was written by hand as a C table.
#define DOVETAIL_LIST_OP(table) static const ::dovetail::detail::ListOp DOVETAIL_JOIN(dovetail_op_, __LINE__)(table);
#define DOVETAIL_LIST_IMPLEMENTATION(table) \
  static const ::dovetail::detail::ListImplementation DOVETAIL_JOIN(dovetail_table_, __LINE__)(table);

// Offers a table of the library's to hosts that know its id, such as DT_DEVICE_EXTENSION of device.h.
#define DOVETAIL_EXTENSION(id, table) \
  static const ::dovetail::detail::OfferExtension DOVETAIL_JOIN(dovetail_extension_, __LINE__){id, table};

#endif
