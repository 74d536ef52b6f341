// SPDX-License-Identifier: Apache-2.0
#include "runtime/table_check.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include "runtime/host.hpp"
#include "runtime/library.hpp"
#include "runtime/object.hpp"

namespace dovetail {
namespace {

// Bytes of a struct as minor 0 had it: up to its last member of then. These never change.
#define DT_SIZE_1_0(type, last) (offsetof(type, last) + sizeof(((type*)nullptr)->last))

std::string quoted(const char* text) { return text ? "'" + std::string(text) + "'" : "null"; }
bool is_blank(const char* text) { return !text || !*text; }

// "acme::NMS@2": parts of letters, digits and ._- with a name and a version.
bool is_op_id(const char* text) {
  if (is_blank(text)) return false;
  const std::string id = text;
  const size_t at = id.find('@'), colons = id.rfind("::");
  if (at == std::string::npos || at + 1 == id.size()) return false;
  const size_t name = colons == std::string::npos ? 0 : colons + 2;
  if (name >= at || colons == 0) return false;
  return std::all_of(id.begin(), id.end(), [](unsigned char c) { return c > ' ' && c < 0x7f && c != '#'; }) &&
         id.find('@', at + 1) == std::string::npos;
}

class Checker {
 public:
  explicit Checker(const dt_plugin& plugin) : plugin_(plugin) {}

  std::vector<std::pair<std::string, std::string>> run() {
    if (!sized("plugin", &plugin_, DT_SIZE_1_0(dt_plugin, extension))) return std::move(lines_);
    if (is_blank(plugin_.name)) add("plugin", "its name is null or empty");
    check_extensions();
    each("plugin", "op", plugin_.n_ops, plugin_.ops,
         [&](const std::string& where, const dt_op* op) { check_op(where, op); });
    each("plugin", "implementation", plugin_.n_implementations, plugin_.implementations,
         [&](const std::string& where, const dt_implementation* one) { check_implementation(where, one); });
    return std::move(lines_);
  }

 private:
  void add(const std::string& where, const std::string& what) { lines_.emplace_back(where, what); }

  template <typename Table>
  bool sized(const std::string& where, const Table* table, size_t least) {
    if (table->h.abi_major != DT_ABI_MAJOR) {
      add(where, "is of interface major " + std::to_string(table->h.abi_major) + ", this host has " +
                     std::to_string(DT_ABI_MAJOR));
      return false;
    }
    if (table->h.struct_size < least) {
      add(where,
          "struct_size is " + std::to_string(table->h.struct_size) + ", interface 1.0 has " + std::to_string(least));
      return false;
    }
    return true;
  }

  // Calls visit(where, pointer) for each entry of an array of pointers, and reports null arrays and entries.
  template <typename T, typename Visit>
  void each(const std::string& owner, const char* noun, uint32_t n, const T* const* entries, Visit visit) {
    if (n && !entries) {
      add(owner, "says " + std::to_string(n) + " " + noun + "s, the array is null");
      return;
    }
    for (uint32_t i = 0; i < n; ++i) {
      const std::string where = owner == "plugin" ? std::string(noun) + " " + std::to_string(i)
                                                  : owner + " " + noun + " " + std::to_string(i);
      if (!entries[i]) {
        add(where, "is a null pointer");
      } else {
        visit(where, entries[i]);
      }
    }
  }

  void check_extensions() {
    if (plugin_.n_required_extensions && !plugin_.required_extensions) {
      add("plugin",
          "says " + std::to_string(plugin_.n_required_extensions) + " required extensions, the array is null");
      return;
    }
    for (uint32_t i = 0; i < plugin_.n_required_extensions; ++i) {
      const char* id = plugin_.required_extensions[i];
      if (is_blank(id) || !host_table()->extension(id)) {
        add("extension", "it cannot do without " + quoted(id) + ", which this host does not have");
      }
    }
  }

  void check_op(std::string where, const dt_op* op) {
    if (!sized(where, op, DT_SIZE_1_0(dt_op, infer_dims))) return;
    if (is_blank(op->name) || is_blank(op->version)) {
      add(where, "its name is " + quoted(op->name) + ", its version " + quoted(op->version));
      return;
    }
    const std::string id = op_id(plugin_, *op);
    where = "op " + id;
    if (!is_op_id(id.c_str())) add(where, "is not of the form namespace::Name@version");
    if (!ops_.insert(id).second) add(where, "is there twice");
    if (!op->create) add(where, "create is null");
    if (!op->infer_dims) add(where, "infer_dims is null");
    if (!op->n_outputs && !op->count_outputs) add(where, "has neither outputs nor count_outputs");
    if (op->save && !op->load) add(where, "has save without load");
    each(where, "field", op->n_fields, op->fields,
         [&](const std::string& at, const dt_field_spec* field) { check_field(at, field); });
    std::set<std::string> inputs, outputs;
    each(where, "input", op->n_inputs, op->inputs,
         [&](const std::string& at, const dt_port* port) { check_port(at, port, nullptr, &inputs); });
    each(where, "output", op->n_outputs, op->outputs, [&](const std::string& at, const dt_port* port) {
      check_port(at, port, op->infer_type ? nullptr : &inputs, &outputs, &inputs);
    });
    if (!op->n_outputs && !op->infer_type) add(where, "has neither outputs nor infer_type");
  }

  void check_field(const std::string& at, const dt_field_spec* field) {
    if (!sized(at, field, DT_SIZE_1_0(dt_field_spec, doc))) return;
    if (is_blank(field->name)) add(at, "its name is null or empty");
    if (!is_field_type(field->type)) {
      add(at, quoted(field->name) + " has type " + std::to_string(field->type) + ", none of DT_FIELD_TYPES");
    }
    const dt_field* value = field->default_value;
    if (!value || !sized(at + " default", value, DT_SIZE_1_0(dt_field, data))) return;
    if (value->type != field->type) {
      add(at, quoted(field->name) + " has type " + std::to_string(field->type) + ", its default has type " +
                  std::to_string(value->type));
    }
    if (value->length < 0 || (value->length > 0 && !value->data))
      add(at, quoted(field->name) + " has a default without data");
  }

  // `untyped`: refuse a null `types` (nobody else tells the type of this output). `like`: what "=x" may name.
  void check_port(const std::string& at, const dt_port* port, const std::set<std::string>* untyped,
                  std::set<std::string>* seen, const std::set<std::string>* like = nullptr) {
    if (!sized(at, port, DT_SIZE_1_0(dt_port, doc))) return;
    if (is_blank(port->name)) {
      add(at, "its name is null or empty");
    } else if (!seen->insert(port->name).second) {
      add(at, quoted(port->name) + " is there twice");
    }
    if (is_blank(port->types)) {
      if (untyped) add(at, quoted(port->name) + " has no types, and there is no infer_type");
      return;
    }
    if (like && port->types[0] == '=') {
      if (!like->count(port->types + 1)) add(at, quoted(port->types) + " names no input");
      return;
    }
    RowSide inputs, outputs;
    std::string error;
    if (!parse_row(std::string(port->types) + " ->", false, &inputs, &outputs, &error)) {
      add(at, "types " + quoted(port->types) + ": " + error);
    } else if (untyped && inputs.words.size() > 1) {
      add(at, "types " + quoted(port->types) + " leave a choice, and there is no infer_type");
    }
  }

  static bool is_field_type(int32_t type) {
#define DT_IS_FIELD(name, value, bytes) \
  if (type == value) return true;
    DT_FIELD_TYPES(DT_IS_FIELD)
#undef DT_IS_FIELD
    return false;
  }

  void check_implementation(std::string where, const dt_implementation* one) {
    if (!sized(where, one, DT_SIZE_1_0(dt_implementation, enqueue))) return;
    if (!is_op_id(one->op)) {
      add(where, "implements " + quoted(one->op) + ", which is not of the form namespace::Name@version");
      return;
    }
    if (is_blank(one->name)) {
      add(where + " of " + one->op, "its name is null or empty");
      return;
    }
    where = std::string(one->op) + "#" + one->name;
    if (!implementations_.insert(where).second) add(where, "is there twice");
    if (one->device != DT_DEVICE_CPU && one->device != DT_DEVICE_CUDA) {
      add(where, "device " + std::to_string(one->device) + " is neither DT_DEVICE_CPU nor DT_DEVICE_CUDA");
    }
    if (one->traits & DT_TRAIT_OP_OBJECT) {
      if (one->create) add(where, "works on the op's object (DT_TRAIT_OP_OBJECT) and has a create of its own");
      if (!ops_.count(one->op)) add(where, "works on the object of an op that is not in this library");
    } else if (one->create && !one->destroy) {
      add(where, "has create without destroy");
    }
    if (one->make_context && !one->drop_context) add(where, "has make_context without drop_context");
    each(where, "read", one->n_reads, one->reads, [&](const std::string& at, const dt_read* read) {
      if (!sized(at, read, DT_SIZE_1_0(dt_read, where))) return;
      if (is_blank(read->name)) add(at, "its name is null or empty");
      if (!is_field_type(read->type)) {
        add(at, quoted(read->name) + " has type " + std::to_string(read->type) + ", none of DT_FIELD_TYPES");
      }
    });
    each(where, "row", one->n_rows, one->rows,
         [&](const std::string& at, const dt_row* row) { check_row(where, at, row); });
    if (one->n_rows) return;
    if (!one->supports) add(where, "has neither rows nor supports");
    if (!one->enqueue) add(where, "has neither rows nor enqueue");
  }

  void check_row(const std::string& owner, std::string at, const dt_row* row) {
    if (!sized(at, row, DT_SIZE_1_0(dt_row, enqueue))) return;
    if (is_blank(row->tactic)) {
      add(at, "its tactic is null or empty");
    } else {
      at = owner + " row " + row->tactic;
    }
    if (!row->enqueue) add(at, "enqueue is null");
    RowSide type_in, type_out, format_in, format_out;
    std::string error;
    if (is_blank(row->types)) {
      add(at, "types are null or empty");
    } else if (!parse_row(row->types, false, &type_in, &type_out, &error)) {
      add(at, "types " + quoted(row->types) + ": " + error);
    }
    if (is_blank(row->formats)) return;
    std::string format_error;
    if (!parse_row(row->formats, true, &format_in, &format_out, &format_error)) {
      add(at, "formats " + quoted(row->formats) + ": " + format_error);
    } else if (error.empty() && !same_tensors(type_in, type_out, format_in, format_out)) {
      add(at, "types " + quoted(row->types) + " and formats " + quoted(row->formats) + " are of different tensors");
    }
  }

  static bool same_tensors(const RowSide& type_in, const RowSide& type_out, const RowSide& format_in,
                           const RowSide& format_out) {
    const auto single = [](const RowSide& in, const RowSide& out) {  // one word that stands for all
      return in.words.size() == 1 && out.words.size() == 1 && in.repeats_last && out.repeats_last;
    };
    if (single(type_in, type_out) || single(format_in, format_out)) return true;
    const bool open = type_in.repeats_last || format_in.repeats_last;
    return (open || type_in.words.size() == format_in.words.size()) && type_out.words.size() == format_out.words.size();
  }

  const dt_plugin& plugin_;
  std::vector<std::pair<std::string, std::string>> lines_;
  std::set<std::string> ops_, implementations_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> check_tables(const dt_plugin& plugin) { return Checker(plugin).run(); }

}  // namespace dovetail
