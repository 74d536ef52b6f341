// SPDX-License-Identifier: Apache-2.0
// Libraries of plugins and the process-wide table of implementations by id.
#ifndef DOVETAIL_RUNTIME_LIBRARY_HPP
#define DOVETAIL_RUNTIME_LIBRARY_HPP

#include <memory>
#include <string>
#include <vector>

#include "dovetail/plugin.h"

namespace dovetail {

// An opened library; never closed. Held by shared_ptr only so that bindings may.
struct Library {
  std::string path, hash;  // hash: 16 hex digits of the file's contents (runtime/checksum.hpp)
  const dt_plugin* plugin = nullptr;
};

// Opens a library and checks it. The same file again, or a copy of it, returns the same object. Throws Failure
// (DT_INCOMPATIBLE) with all reasons against the library, none of which is then in use.
std::shared_ptr<Library> open_library(const std::string& path);

// Paths of the files that open_library has mapped, refused ones too.
std::vector<std::string> opened_paths();

// "acme::NMS@2"; the plugin's namespace where the op gives none.
std::string op_id(const dt_plugin& plugin, const dt_op& op);

// What an engine looks up. `op`: the table of the op in the same library, null where it does not describe it. Its
// object serves where DT_TRAIT_OP_OBJECT is set; in any case its rules for types and dims are asked. `keep` keeps the
// tables alive (a Python implementation).
struct ImplementationEntry {
  std::string id;  // "Scale@1#cpu"
  const dt_implementation* implementation = nullptr;
  const dt_op* op = nullptr;
  std::string plugin, plugin_version, library, hash;
  std::shared_ptr<void> keep;
};

// Throws Failure (DT_CONFLICT) if the id is taken by another table.
void register_implementation(ImplementationEntry entry);
bool deregister_implementation(const std::string& id);
// Copy of the entry, or false. Safe from any thread.
bool find_implementation(const std::string& id, ImplementationEntry* entry);

}  // namespace dovetail

#endif
