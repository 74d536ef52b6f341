// SPDX-License-Identifier: Apache-2.0
// A small host on plugin.h alone. It drives a library through its tables and prints what came of each call.
//   host list LIB...                          the tables of each library, all in one process
//   host run LIB ID [name:type=value...]      one layer of op ID (ns::Name@1) or implementation ID (op#name), start to
//   end
// Each line is "step: result"; what a plugin logs stands between them, indented. The exit status is 0 unless the host
// itself cannot go on.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dovetail/plugin.h"

struct dt_expr {
  bool known;
  int64_t value;
  std::string text;
};

namespace {

struct Call {
  std::string message, blob;
  std::deque<std::vector<char>> memory;
};

void raise(void* call, dt_code, const char* kind, const char* message, const char* file, int32_t line) {
  std::string text = std::string(kind ? kind : "") + ": " + message;
  if (file)
    text +=
        std::string(" [") + (std::strrchr(file, '/') ? std::strrchr(file, '/') + 1 : file) + (line > 0 ? "]" : "?]");
  if (call) {
    static_cast<Call*>(call)->message = text;
  } else {
    std::printf("raised at entry: %s\n", text.c_str());
  }
}
void log(void*, int32_t level, const char* message) {
  std::printf("  %s%s\n", level == DT_LOG_ERROR ? "error " : "", message);
}
dt_code emit(void* call, const void* bytes, uint64_t n) {
  static_cast<Call*>(call)->blob.append(static_cast<const char*>(bytes), n);
  return DT_OK;
}
void* alloc(void* call, uint64_t n, uint64_t align) {
  auto& memory = static_cast<Call*>(call)->memory;
  memory.emplace_back(n + align);
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory.back().data());
  return reinterpret_cast<void*>((address + align - 1) / align * align);
}
const void* extension(const char*) { return nullptr; }

dt_host make_host() {
  dt_host table = {};
  table.h = DT_HDR(dt_host);
  table.name = "host.cpp";
  table.version = "0";
  table.raise = raise;
  table.log = log;
  table.emit = emit;
  table.alloc = alloc;
  table.extension = extension;
  return table;
}

const char* code_name(dt_code code) {
#define CODE_CASE(name, value, error) \
  if (code == value) return #name;
  DT_CODES(CODE_CASE)
#undef CODE_CASE
  return "?";
}

bool say(const char* step, dt_code code, Call& call) {
  if (code == DT_OK) return true;
  std::printf("%s: %s, %s\n", step, code_name(code), call.message.c_str());
  return false;
}

// ---- expressions, printed

std::deque<dt_expr> pool;
const dt_expr* keep(dt_expr e) {
  pool.push_back(std::move(e));
  return &pool.back();
}
const dt_expr* constant(void*, int64_t v) { return keep({true, v, std::to_string(v)}); }
const dt_expr* operation(void*, int32_t op, const dt_expr* a, const dt_expr* b) {
  static const char* const kSigns[] = {"+", "*", "max", "min", "-", "==", "<", "//", "^/"};
  if (op < 0 || op > 8 || !a || !b) return nullptr;
  if ((op == DT_DIM_FLOOR_DIV || op == DT_DIM_CEIL_DIV) && b->known && b->value == 0) return nullptr;
  if (op == DT_DIM_SUM && a->known && b->known) return constant(nullptr, a->value + b->value);
  return keep({false, 0, "(" + a->text + " " + kSigns[op] + " " + b->text + ")"});
}
int32_t constant_value(void*, const dt_expr* e, int64_t* value) {
  if (e->known) *value = e->value;
  return e->known;
}

// ---- fields of the command line: name:type=value, type one of f32 f64 i32 i64 str tensor

struct FieldArg {
  std::string name, text;
  std::vector<float> f32;
  std::vector<double> f64;
  std::vector<int32_t> i32;
  std::vector<int64_t> i64;
  int64_t shape = 0;
  dt_layout layout = {};
  dt_tensor tensor = {};
  dt_field field = {};

  explicit FieldArg(const std::string& arg) {
    const size_t colon = arg.find(':'), equals = arg.find('=');
    name = arg.substr(0, colon);
    text = arg.substr(equals + 1);
    const std::string type = arg.substr(colon + 1, equals - colon - 1);
    for (const char* p = text.c_str(); type != "str" && *p;) {
      char* end = nullptr;
      const double value = std::strtod(p, &end);
      f32.push_back(static_cast<float>(value));
      f64.push_back(value);
      i32.push_back(static_cast<int32_t>(value));
      i64.push_back(static_cast<int64_t>(value));
      p = *end ? end + 1 : end;
    }
    field.h = DT_HDR(dt_field);
    field.name = name.c_str();
    field.length = static_cast<int64_t>(f64.size());
    if (type == "f32") set(DT_FIELD_FLOAT32, f32.data());
    if (type == "f64") set(DT_FIELD_FLOAT64, f64.data());
    if (type == "i32") set(DT_FIELD_INT32, i32.data());
    if (type == "i64") set(DT_FIELD_INT64, i64.data());
    if (type == "str") {
      set(DT_FIELD_CHAR, text.c_str());
      field.length = static_cast<int64_t>(text.size());
    }
    if (type == "tensor") {
      shape = field.length;
      layout.h = DT_HDR(dt_layout);
      layout.scale = -1;
      tensor.data = f32.data();
      tensor.device_type = DT_DEVICE_CPU;
      tensor.ndim = 1;
      tensor.type_code = 2;
      tensor.type_bits = 32;
      tensor.type_lanes = 1;
      tensor.shape = &shape;
      tensor.layout = &layout;
      set(DT_FIELD_TENSOR, &tensor);
      field.length = 1;
    }
  }
  FieldArg(const FieldArg&) = delete;

 private:
  void set(int32_t type, const void* data) {
    field.type = type;
    field.data = data;
  }
};

// ---- one tensor, 1-D float of 3..5 elements, as a description and as memory

dt_desc make_desc(int64_t low, int64_t high) {
  dt_desc desc = {};
  desc.h = DT_HDR(dt_desc);
  desc.ndim = 1;
  desc.data_type = DT_TYPE_FLOAT;
  desc.format = DT_FORMAT_LINEAR;
  desc.scale = -1;
  desc.dims[0] = low == high ? low : -1;
  desc.min[0] = low;
  desc.opt[0] = desc.max[0] = high;
  return desc;
}

struct Buffer {
  std::vector<float> values;
  int64_t shape;
  dt_layout layout = {};
  dt_tensor tensor = {};
  explicit Buffer(int64_t n) : values(static_cast<size_t>(n)), shape(n) {
    for (int64_t i = 0; i < n; ++i) values[static_cast<size_t>(i)] = static_cast<float>(i);
    layout.h = DT_HDR(dt_layout);
    layout.scale = -1;
    tensor.data = values.data();
    tensor.device_type = DT_DEVICE_CPU;
    tensor.ndim = 1;
    tensor.type_code = 2;
    tensor.type_bits = 32;
    tensor.type_lanes = 1;
    tensor.shape = &shape;
    tensor.layout = &layout;
  }
  Buffer(const Buffer&) = delete;
};

void run_tasks(void*, int32_t n, void (*fn)(void*, int32_t), void* arg) {
  std::thread other([&] {
    for (int32_t i = 1; i < n; i += 2) fn(arg, i);
  });
  for (int32_t i = 0; i < n; i += 2) fn(arg, i);
  other.join();
}

// False: a host of 1.0, which never heard of dt_row.plan.
bool knows_plan = true;

// Runs twice at each of two sizes on one context; false at the first failure.
bool run_context(const dt_implementation* table, const dt_row* row, void* object, const std::string& packed,
                 int64_t grows) {
  Call call;
  void* context = object;
  if (table->make_context && !say("make_context", table->make_context(&call, object, &context), call)) return false;
  dt_pool threads = {};
  threads.h = DT_HDR(dt_pool);
  threads.n_threads = 2;
  threads.run = run_tasks;
  dt_stream stream = {};
  stream.h = DT_HDR(dt_stream);
  bool good = true;
  for (const int64_t n : {3, 5}) {
    Buffer x(n), y(n + grows);
    const dt_tensor *inputs[] = {&x.tensor}, *outputs[] = {&y.tensor};
    dt_run run = {};
    run.h = DT_HDR(dt_run);
    run.call = &call;
    run.n_inputs = run.n_outputs = 1;
    run.inputs = inputs;
    run.outputs = outputs;
    run.packed = packed.empty() ? nullptr : packed.data();
    run.packed_bytes = packed.size();
    run.pool = &threads;
    run.stream = &stream;
    good = !table->shape_changed || say("shape_changed", table->shape_changed(context, &run), call);
    if (good && row && knows_plan && DT_HAS(dt_row, row, plan)) good = say("plan", row->plan(context, &run), call);
    for (int i = 0; good && i < 2; ++i)
      good = say("enqueue", (row ? row->enqueue : table->enqueue)(context, &run), call);
    if (!good) break;
    std::printf("y:");
    for (const float value : y.values) std::printf(" %g", static_cast<double>(value));
    std::printf("\n");
  }
  if (table->drop_context) {
    table->drop_context(context);
    std::printf("drop_context: done\n");
  }
  return good;
}

bool plan_and_run(const dt_implementation* table, const dt_row* row, void* object, int64_t grows) {
  Call call;
  const dt_desc in = make_desc(3, 5), out = make_desc(3 + grows, 5 + grows);
  const dt_desc *inputs[] = {&in}, *outputs[] = {&out};
  if (row) std::printf("row %s:\n", row->tactic);
  if (table->configure && !say("configure", table->configure(&call, object, inputs, 1, outputs, 1), call)) return false;
  if (row && row->fits && !say("fits", row->fits(&call, object, inputs, 1, outputs, 1), call)) return false;
  if (row && row->prepare && !say("prepare", row->prepare(&call, object, inputs, 1, outputs, 1), call)) return false;
  auto* workspace = row ? row->workspace : table->workspace;
  if (workspace) {
    uint64_t bytes = 0;
    if (!say("workspace", workspace(&call, object, inputs, 1, outputs, 1, 2, &bytes), call)) return false;
    std::printf("workspace: %llu\n", static_cast<unsigned long long>(bytes));
  }
  return run_context(table, row, object, call.blob, grows);
}

const dt_implementation* implementation_of(const dt_plugin* plugin, const std::string& id) {
  for (uint32_t i = 0; i < plugin->n_implementations; ++i) {
    const dt_implementation* table = plugin->implementations[i];
    const std::string op = table->op;
    if (op == id || op + "#" + table->name == id) return table;
  }
  return nullptr;
}

void run_op(const dt_op* op, const dt_implementation* table, uint32_t n, const dt_field* const* fields) {
  Call call;
  void* object = nullptr;
  if (!say("create", op->create(&call, "layer", n, fields, &object), call)) return;
  const auto finish = [&](void* made) {
    op->destroy(made);
    std::printf("destroy: done\n");
  };
  int32_t count = 0, type = DT_TYPE_FLOAT, answer = 0;
  bool good = say("count_outputs", op->count_outputs(&call, object, 1, &count), call) &&
              say("infer_type", op->infer_type(&call, object, 0, &type, 1, &answer), call);
  dt_expr_builder builder = {};
  builder.h = DT_HDR(dt_expr_builder);
  builder.constant = constant;
  builder.operation = operation;
  builder.constant_value = constant_value;
  dt_dims_exprs in = {}, out = {};
  in.ndim = 1;
  in.d[0] = keep({false, 0, "N"});
  const dt_dims_exprs* dims[] = {&in};
  good = good && say("infer_dims", op->infer_dims(&call, object, 0, dims, 1, &builder, &out), call);
  if (good) std::printf("outputs: %d of type %d [%s]\n", count, answer, out.d[0]->text.c_str());
  const dt_desc desc = make_desc(3, 5);
  for (int32_t pos = 0; good && table->supports && pos < 2; ++pos) {
    const dt_desc* in_out[] = {&desc, pos > 0 ? &desc : nullptr};
    int32_t yes = 0;
    good = say("supports", table->supports(&call, object, pos, in_out, 1, 1, &yes), call);
    if (good) std::printf("supports %d: %d\n", pos, yes);
  }
  if (good && op->clone) {  // the builder's copy is what goes on
    void* copy = nullptr;
    if ((good = say("clone", op->clone(&call, object, &copy), call))) {
      finish(object);
      object = copy;
    }
  }
  good = good && plan_and_run(table, nullptr, object, 1);
  call.blob.clear();
  good = good && (!op->save || say("save", op->save(&call, object), call));
  finish(object);
  if (!good || !op->save) return;
  void* loaded = nullptr;
  std::printf("load:\n");
  if (!say("load", op->load(&call, "layer", call.blob.data(), call.blob.size(), &loaded), call)) return;
  plan_and_run(table, nullptr, loaded, 1);  // as an engine does, which does not ask who was configured before
  finish(loaded);
  if (!say("load of 3 bytes", op->load(&call, "layer", "abc", 3, &loaded), call)) return;
}

void run_rows(const dt_implementation* table, uint32_t n, const dt_field* const* fields) {
  Call call;
  void* object = nullptr;
  if (!say("create", table->create(&call, "layer", n, fields, &object), call)) return;
  for (uint32_t i = 0; i < table->n_rows; ++i) plan_and_run(table, table->rows[i], object, 0);
  table->destroy(object);
}

const char* or_none(const char* text) { return text ? text : "-"; }

void list(const dt_plugin* plugin) {
  std::printf("plugin %s %s namespace '%s' vendor %s, %u ops, %u implementations\n", plugin->name, plugin->version,
              plugin->namespace_, or_none(plugin->vendor), plugin->n_ops, plugin->n_implementations);
  for (uint32_t i = 0; i < plugin->n_ops; ++i) {
    const dt_op* op = plugin->ops[i];
    std::printf("op %s::%s@%s: %s\n", op->namespace_ ? op->namespace_ : plugin->namespace_, op->name, op->version,
                op->doc);
    for (uint32_t k = 0; k < op->n_fields; ++k) {
      const dt_field_spec* f = op->fields[k];
      std::printf("field %s type %d length %lld..%lld%s range %g..%g %s\n", f->name, f->type,
                  static_cast<long long>(f->min_length), static_cast<long long>(f->max_length),
                  f->default_value ? ", has a default," : "", f->low, f->high, f->doc);
    }
  }
  for (uint32_t i = 0; i < plugin->n_implementations; ++i) {
    const dt_implementation* table = plugin->implementations[i];
    std::printf("implementation %s#%s device %d traits %u\n", table->op, table->name, table->device, table->traits);
    for (uint32_t k = 0; k < table->n_reads; ++k) {
      const dt_read* r = table->reads[k];
      const char* file = std::strrchr(r->where, '/') ? std::strrchr(r->where, '/') + 1 : r->where;
      std::printf("reads %s type %d up to %lld at %s\n", r->name, r->type, static_cast<long long>(r->max_length), file);
    }
    for (uint32_t k = 0; k < table->n_rows; ++k) {
      const dt_row* r = table->rows[k];
      std::printf("row %s needs %llx sm %d traits %u types '%s' formats '%s'\n", r->tactic,
                  static_cast<unsigned long long>(r->needs), r->min_sm, r->traits, r->types, or_none(r->formats));
    }
  }
}

const dt_plugin* open(const char* path, const dt_host* host) {
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    std::printf("%s\n", dlerror());
    std::exit(2);
  }
  dt_plugin_entry entry = nullptr;
  void* symbol = dlsym(handle, DT_ENTRY_NAME);
  if (!symbol) std::exit(3);
  std::memcpy(&entry, &symbol, sizeof entry);
  if (entry(host) != entry(host)) std::printf("the second call of the entry gives another table\n");
  return entry(host);
}

}  // namespace

int main(int argc, char** argv) {
  static const dt_host host = make_host();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argc > 2 && std::strcmp(argv[1], "list") == 0) {
    std::vector<const dt_plugin*> plugins;
    for (int i = 2; i < argc; ++i) plugins.push_back(open(argv[i], &host));
    for (const dt_plugin* plugin : plugins) {
      if (plugin) {
        list(plugin);
      } else {
        std::printf("the entry returned null\n");
      }
    }
    return 0;
  }
  if (argc < 4) return 4;
  knows_plan = std::strcmp(argv[1], "run_as_1_0") != 0;
  const dt_plugin* plugin = open(argv[2], &host);
  const dt_implementation* table = plugin ? implementation_of(plugin, argv[3]) : nullptr;
  if (!table) return 5;
  std::vector<std::unique_ptr<FieldArg>> fields;
  std::vector<const dt_field*> pointers;
  for (int i = 4; i < argc; ++i) {
    fields.push_back(std::make_unique<FieldArg>(argv[i]));
    pointers.push_back(&fields.back()->field);
  }
  const uint32_t n = static_cast<uint32_t>(pointers.size());
  if (table->traits & DT_TRAIT_OP_OBJECT) {
    run_op(plugin->ops[0], table, n, pointers.data());
  } else {
    run_rows(table, n, pointers.data());
  }
  return 0;
}
