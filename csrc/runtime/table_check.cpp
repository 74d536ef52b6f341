// SPDX-License-Identifier: Apache-2.0
#include "runtime/table_check.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <set>

#include "runtime/host.hpp"
#include "runtime/layout.hpp"
#include "runtime/library.hpp"
#include "runtime/object.hpp"

namespace dovetail {
namespace {

// Bytes of a struct as minor 0 had it: up to its last member of then. These never change.
#define DT_SIZE_1_0(type, last) (offsetof(type, last) + sizeof(((type*)nullptr)->last))

constexpr uint32_t kMostEntries = 65536;      // of one array: a count above it is taken for garbage
constexpr size_t kLongestName = 255;          // bytes of a name, a version, a namespace or a tactic
constexpr size_t kLongestText = 1024 * 1024;  // of documentation

bool is_blank(const char* text) { return !text || !*text; }

// Length of the UTF-8 character at `text`, which a NUL ends; 0 if there is none.
size_t utf8_length(const unsigned char* text) {
  const unsigned char lead = text[0];
  if (lead < 0x80) return 1;
  const size_t n = lead >= 0xc2 && lead < 0xe0   ? 2
                   : lead >= 0xe0 && lead < 0xf0 ? 3
                   : lead >= 0xf0 && lead < 0xf5 ? 4
                                                 : 0;
  for (size_t i = 1; i < n; ++i)
    if ((text[i] & 0xc0) != 0x80) return 0;
  if (n < 3) return n;
  const unsigned char second = text[1];
  const bool is_fine = lead == 0xe0   ? second >= 0xa0  // no longer than it need be,
                       : lead == 0xed ? second < 0xa0   // no surrogates,
                       : lead == 0xf0 ? second >= 0x90
                       : lead == 0xf4 ? second < 0x90  // nothing above U+10FFFF
                                      : true;
  return is_fine ? n : 0;
}

// Bytes of `text`, at most `most` + 1; `*is_utf8` says whether they are characters.
size_t text_length(const char* text, size_t most, bool* is_utf8) {
  const auto* at = reinterpret_cast<const unsigned char*>(text);
  size_t n = 0;
  *is_utf8 = true;
  while (n <= most && at[n]) {
    const size_t step = utf8_length(at + n);
    if (!step) {
      *is_utf8 = false;
      return ::strnlen(text, most + 1);
    }
    n += step;
  }
  return n;
}

// For a message: the start of a long text, and bytes that are not UTF-8 as \\xff.
std::string quoted(const char* text) {
  if (!text) return "null";
  std::string shown;
  const auto* at = reinterpret_cast<const unsigned char*>(text);
  while (*at && shown.size() < 80) {
    const size_t step = utf8_length(at);
    if (step) {
      shown.append(reinterpret_cast<const char*>(at), step);
    } else {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", *at);
      shown += escape;
    }
    at += step ? step : 1;
  }
  return "'" + shown + (*at ? "...'" : "'");
}

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
    const bool names = check_name("plugin", "name", plugin_.name) & check_name("plugin", "version", plugin_.version) &
                       check_name("plugin", "namespace", plugin_.namespace_);
    check_text("plugin", "vendor", plugin_.vendor);
    check_text("plugin", "license", plugin_.license);
    check_text("plugin", "url", plugin_.url);
    if (!names) return std::move(lines_);  // ids are made of these
    check_extensions();
    each("plugin", "op", plugin_.n_ops, plugin_.ops,
         [&](const std::string& where, const dt_op* op) { check_op(where, op); });
    each("plugin", "implementation", plugin_.n_implementations, plugin_.implementations,
         [&](const std::string& where, const dt_implementation* one) { check_implementation(where, one); });
    return std::move(lines_);
  }

 private:
  void add(const std::string& where, const std::string& what) { lines_.emplace_back(where, what); }

  // Null is fine, or somebody else's to report.
  bool check_text(const std::string& where, const char* noun, const char* text, size_t most = kLongestText) {
    bool is_utf8 = true;
    const size_t n = text ? text_length(text, most, &is_utf8) : 0;
    if (n > most) add(where, std::string("its ") + noun + " is longer than " + std::to_string(most) + " bytes");
    if (!is_utf8) add(where, std::string("its ") + noun + " is not UTF-8: " + quoted(text));
    return n <= most && is_utf8;
  }
  bool check_name(const std::string& where, const char* noun, const char* text) {
    return check_text(where, noun, text, kLongestName);
  }

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
    if (n > kMostEntries) {
      add(owner, "says " + std::to_string(n) + " " + noun + "s, " + std::to_string(kMostEntries) + " are the most");
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
    if (plugin_.n_required_extensions > kMostEntries) {
      add("plugin", "says " + std::to_string(plugin_.n_required_extensions) + " required extensions, " +
                        std::to_string(kMostEntries) + " are the most");
      return;
    }
    for (uint32_t i = 0; i < plugin_.n_required_extensions; ++i) {
      const char* id = plugin_.required_extensions[i];
      if (is_blank(id) || !check_name("extension", "id", id) || !host_table()->extension(id)) {
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
    const bool names = check_name(where, "name", op->name) & check_name(where, "version", op->version) &
                       check_name(where, "namespace", op->namespace_);
    if (!names) return;
    const std::string id = op_id(plugin_, *op);
    where = "op " + id;
    check_text(where, "doc", op->doc);
    if (!is_op_id(id.c_str())) add(where, "is not of the form namespace::Name@version");
    if (!ops_.insert(id).second) add(where, "is there twice");
    if (!op->create) add(where, "create is null");
    if (!op->infer_dims) add(where, "infer_dims is null");
    if (!op->n_outputs && !op->count_outputs) add(where, "has neither outputs nor count_outputs");
    if (op->save && !op->load) add(where, "has save without load");
    std::set<std::string> fields, inputs, outputs;
    each(where, "field", op->n_fields, op->fields,
         [&](const std::string& at, const dt_field_spec* field) { check_field(at, field, &fields); });
    each(where, "input", op->n_inputs, op->inputs,
         [&](const std::string& at, const dt_port* port) { check_port(at, port, nullptr, &inputs); });
    each(where, "output", op->n_outputs, op->outputs, [&](const std::string& at, const dt_port* port) {
      check_port(at, port, op->infer_type ? nullptr : &inputs, &outputs, &inputs);
    });
    if (!op->n_outputs && !op->infer_type) add(where, "has neither outputs nor infer_type");
  }

  void check_field(const std::string& at, const dt_field_spec* field, std::set<std::string>* seen) {
    if (!sized(at, field, DT_SIZE_1_0(dt_field_spec, doc))) return;
    check_text(at, "doc", field->doc);
    if (is_blank(field->name)) {
      add(at, "its name is null or empty");
    } else if (check_name(at, "name", field->name) && !seen->insert(field->name).second) {
      add(at, quoted(field->name) + " is there twice");
    }
    if (!is_field_type(field->type)) {
      add(at, quoted(field->name) + " has type " + std::to_string(field->type) + ", none of DT_FIELD_TYPES");
      return;
    }
    const int64_t least = field->min_length, most = field->max_length;
    if (least < 0 || most < -1 || (most >= 0 && least > most)) {
      add(at, quoted(field->name) + " takes " + std::to_string(least) + " to " + std::to_string(most) + " elements");
    }
    if (field->low > field->high) {
      add(at, quoted(field->name) + " is allowed from " + std::to_string(field->low) + " to " +
                  std::to_string(field->high));
    }
    if (field->default_value) check_default(at, *field, *field->default_value);
  }

  void check_default(const std::string& at, const dt_field_spec& field, const dt_field& value) {
    if (!sized(at + " default", &value, DT_SIZE_1_0(dt_field, data))) return;
    const std::string name = quoted(field.name);
    if (value.type != field.type) {
      add(at,
          name + " has type " + std::to_string(field.type) + ", its default has type " + std::to_string(value.type));
      return;
    }
    if (value.length < 0 || value.length > int64_t{kLongestText} || (value.length > 0 && !value.data)) {
      add(at, name + " has a default without data, of " + std::to_string(value.length) + " elements");
      return;
    }
    if (field.type == DT_FIELD_TENSOR) check_tensor(at, name, value);
    if (field.type == DT_FIELD_DIMS && (value.length != 1 || rank_of(value) < 0 || rank_of(value) > DT_MAX_RANK))
      add(at, name + " has a default that is not a Dims of rank 0 to 8");
    if (field.type != DT_FIELD_CHAR) return;
    const std::string text(static_cast<const char*>(value.data), static_cast<size_t>(value.length));
    if (text.find('\0') != std::string::npos) {
      add(at, name + " has a default with a NUL inside");
    } else {
      check_text(at, "default", text.c_str());
    }
  }

  static int32_t rank_of(const dt_field& dims) {
    int32_t rank = -1;
    std::memcpy(&rank, dims.data, sizeof rank);
    return rank;
  }

  void check_tensor(const std::string& at, const std::string& name, const dt_field& value) {
    const auto* tensor = value.length == 1 ? static_cast<const dt_tensor*>(value.data) : nullptr;
    uint64_t bytes = 0;
    const bool is_sound =
        tensor && tensor->ndim >= 0 && tensor->ndim <= DT_MAX_RANK && (tensor->shape || !tensor->ndim) &&
        tensor->layout && tensor->data && !tensor->strides && tensor->byte_offset == 0 &&
        tensor_bytes(tensor->shape, tensor->ndim, tensor->layout->data_type, DT_FORMAT_LINEAR, &bytes) &&
        tensor->layout->format == DT_FORMAT_LINEAR;
    if (!is_sound) add(at, name + " has a default that is not one whole tensor in row-major order");
  }

  // `untyped`: refuse a null `types` (nobody else tells the type of this output). `like`: what "=x" may name.
  void check_port(const std::string& at, const dt_port* port, const std::set<std::string>* untyped,
                  std::set<std::string>* seen, const std::set<std::string>* like = nullptr) {
    if (!sized(at, port, DT_SIZE_1_0(dt_port, doc))) return;
    check_text(at, "doc", port->doc);
    if (!check_name(at, "name", port->name) || !check_text(at, "types", port->types)) return;
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
    if (!check_text(where, "op", one->op, 3 * kLongestName + 3) || !check_name(where, "name", one->name)) return;
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
      if (!check_name(at, "name", read->name) || !check_text(at, "where", read->where)) return;
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
    const bool texts = check_name(at, "tactic", row->tactic) & check_text(at, "types", row->types) &
                       check_text(at, "formats", row->formats);
    if (!texts) return;
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
    if (DT_HAS(dt_row, row, replaces)) check_replaces(at, *row, type_in);
    if (is_blank(row->formats)) return;
    std::string format_error;
    if (!parse_row(row->formats, true, &format_in, &format_out, &format_error)) {
      add(at, "formats " + quoted(row->formats) + ": " + format_error);
    } else if (error.empty() && !same_tensors(type_in, type_out, format_in, format_out)) {
      add(at, "types " + quoted(row->types) + " and formats " + quoted(row->formats) + " are of different tensors");
    }
  }

  void check_replaces(const std::string& at, const dt_row& row, const RowSide& inputs) {
    if (!row.prepare) add(at, "replaces inputs and has no prepare");
    if (inputs.repeats_last || inputs.words.size() >= 64 || row.replaces >> inputs.words.size() == 0) return;
    add(at, "replaces inputs " + std::to_string(row.replaces) + " (1 << i for each), and its types have " +
                std::to_string(inputs.words.size()));
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
