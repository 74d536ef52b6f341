// SPDX-License-Identifier: Apache-2.0
// runtime.h over the classes of the runtime. Compiled into libdovetail alone.
#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include "dovetail/runtime.h"
#include "runtime/context.hpp"
#include "runtime/layout.hpp"

// A dt_engine holds a share, so that contexts may outlive it.
struct dt_engine {
  std::shared_ptr<const dovetail::Engine> engine;
};
struct dt_context {
  dovetail::Context context;
};

namespace {

using namespace dovetail;

thread_local std::string last_error;

// Runs `body`; whatever it throws becomes a code and the text of dt_last_error.
template <typename Body>
dt_code guarded(const Body& body) {
  try {
    body();
    return DT_OK;
  } catch (const Failure& failure) {
    last_error = status::text_of(failure);
    return failure.code;
  } catch (const std::bad_alloc&) {
    last_error = "out of memory";
    return DT_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    last_error = std::string("unexpected failure: ") + error.what();
    return DT_INTERNAL;
  }
}

void require(bool is_given, const char* what) {
  if (!is_given) throw status::argument_missing(what);
}

std::shared_ptr<const Engine> engine_of(const dt_engine* engine) {
  require(engine != nullptr, "engine");
  return engine->engine;
}

Context& context_of(dt_context* context) {
  require(context != nullptr, "context");
  return context->context;
}

// A negative index becomes a huge one, which is refused where indices are checked.
size_t index_of(int32_t index) { return static_cast<size_t>(static_cast<int64_t>(index)); }

void register_library(const std::shared_ptr<Library>& library) {
  const dt_plugin& plugin = *library->plugin;
  std::vector<ImplementationEntry> entries;
  for (uint32_t i = 0; i < plugin.n_implementations; ++i) {
    const dt_implementation* table = plugin.implementations[i];
    ImplementationEntry entry;
    entry.id = std::string(table->op) + "#" + table->name;
    entry.implementation = table;
    for (uint32_t o = 0; o < plugin.n_ops; ++o)
      if (op_id(plugin, *plugin.ops[o]) == table->op) entry.op = plugin.ops[o];
    entry.plugin = plugin.name;
    entry.plugin_version = plugin.version ? plugin.version : "";
    entry.library = library->path;
    entry.hash = library->hash;
    entry.keep = library;
    ImplementationEntry present;
    if (!find_implementation(entry.id, &present)) {
      entries.push_back(std::move(entry));
    } else if (present.implementation != table && present.hash != entry.hash) {
      register_implementation(std::move(entry));  // throws the sentence with both owners; nothing is registered yet
    }
  }
  for (ImplementationEntry& entry : entries) register_implementation(std::move(entry));
}

}  // namespace

const char* dt_runtime_version(void) { return DOVETAIL_VERSION; }

const char* dt_last_error(void) { return last_error.c_str(); }

dt_code dt_runtime_load_library(const char* path) {
  return guarded([&] {
    require(path != nullptr, "path");
    register_library(open_library(path));
  });
}

void dt_runtime_set_log(void (*sink)(int32_t level, const char* message)) { set_log_sink(sink); }

dt_code dt_engine_load_file(const char* path, int32_t n_threads, dt_engine** engine) {
  return guarded([&] {
    require(path != nullptr, "path");
    require(engine != nullptr, "engine");
    *engine = new dt_engine{Engine::load(std::string(path), {.count = n_threads})};
  });
}

dt_code dt_engine_load_memory(const void* bytes, uint64_t n, int32_t n_threads, dt_engine** engine) {
  return guarded([&] {
    require(bytes != nullptr || n == 0, "bytes");
    require(engine != nullptr, "engine");
    *engine =
        new dt_engine{Engine::load(FileBytes{static_cast<const uint8_t*>(bytes), n, nullptr}, {.count = n_threads})};
  });
}

void dt_engine_destroy(dt_engine* engine) { delete engine; }

dt_code dt_engine_io_count(const dt_engine* engine, int32_t* n_inputs, int32_t* n_outputs) {
  return guarded([&] {
    const Plan& plan = engine_of(engine)->plan();
    if (n_inputs) *n_inputs = static_cast<int32_t>(plan.inputs.size());
    if (n_outputs) *n_outputs = static_cast<int32_t>(plan.outputs.size());
  });
}

dt_code dt_engine_device(const dt_engine* engine, int32_t* device_type, int32_t* device_id) {
  return guarded([&] {
    require(device_type != nullptr && device_id != nullptr, "device_type or device_id");
    const auto shared = engine_of(engine);
    *device_type = shared->device().type();
    *device_id = shared->device().index();
  });
}

dt_code dt_engine_io_info(const dt_engine* engine, int32_t io, dt_io_info* info) {
  return guarded([&] {
    require(info != nullptr, "info");
    const Plan& plan = engine_of(engine)->plan();
    if (index_of(io) >= plan.n_io()) throw status::no_such_tensor(io, plan.n_io());
    const PlanTensor& tensor = plan.tensors[static_cast<size_t>(plan.io_tensor(index_of(io)))];
    dt_io_info full = {};
    full.h = info->h;
    full.name = tensor.name.c_str();
    full.is_input = tensor.where == Where::kInput;
    full.data_type = tensor.data_type;
    full.format = tensor.format;
    full.scale = tensor.scale;
    full.ndim = tensor.rank;
    for (int axis = 0; axis < tensor.rank; ++axis) full.dims[axis] = tensor.dims[axis].value;
    full.device_type = tensor.device;
    full.device_id = tensor.device == DT_DEVICE_CPU ? 0 : engine_of(engine)->device().index();
    std::memcpy(info, &full, std::min<size_t>(info->h.struct_size, sizeof full));
  });
}

dt_code dt_engine_io_index(const dt_engine* engine, const char* name, int32_t* io) {
  return guarded([&] {
    require(name != nullptr, "name");
    require(io != nullptr, "io");
    const Plan& plan = engine_of(engine)->plan();
    std::vector<std::string> names;
    for (size_t i = 0; i < plan.n_io(); ++i) {
      names.push_back(plan.tensors[static_cast<size_t>(plan.io_tensor(i))].name);
      if (names.back() == name) {
        *io = static_cast<int32_t>(i);
        return;
      }
    }
    throw status::no_such_name(name, names);
  });
}

dt_code dt_engine_profile_count(const dt_engine* engine, int32_t* n_profiles) {
  return guarded([&] {
    require(n_profiles != nullptr, "n_profiles");
    *n_profiles = static_cast<int32_t>(engine_of(engine)->plan().profiles.size());
  });
}

dt_code dt_engine_profile_shape(const dt_engine* engine, int32_t profile, int32_t input, int64_t* min, int64_t* opt,
                                int64_t* max) {
  return guarded([&] {
    const Plan& plan = engine_of(engine)->plan();
    if (index_of(profile) >= plan.profiles.size()) throw status::no_such_profile(profile, plan.profiles.size());
    if (index_of(input) >= plan.inputs.size()) throw status::no_such_tensor(input, plan.inputs.size());
    const PlanProfile& from = plan.profiles[index_of(profile)];
    const auto copy = [&](const Leaves& leaves, int64_t* to) {
      const Dims& dims = leaves.extents[index_of(input)];
      if (to) std::copy(dims.begin(), dims.end(), to);
    };
    copy(from.min, min);
    copy(from.opt, opt);
    copy(from.max, max);
  });
}

dt_code dt_engine_memory_bytes(const dt_engine* engine, int32_t profile, uint64_t* bytes) {
  return guarded([&] {
    require(bytes != nullptr, "bytes");
    const auto shared = engine_of(engine);
    if (index_of(profile) >= shared->plan().profiles.size())
      throw status::no_such_profile(profile, shared->plan().profiles.size());
    const Engine::Memory& memory = shared->memory(profile);
    *bytes = shared->device().is_cpu() ? memory.cpu_bytes : memory.cuda_bytes;
  });
}

dt_code dt_context_create(const dt_engine* engine, int32_t profile, int32_t own_memory, dt_context** context) {
  return guarded([&] {
    require(context != nullptr, "context");
    *context = new dt_context{Context(engine_of(engine), profile, own_memory != 0)};
  });
}

void dt_context_destroy(dt_context* context) { delete context; }

dt_code dt_context_set_profile(dt_context* context, int32_t profile) {
  return guarded([&] { context_of(context).set_profile(profile); });
}

dt_code dt_context_set_memory(dt_context* context, void* memory, uint64_t bytes) {
  return guarded([&] { context_of(context).set_memory(memory, bytes); });
}

dt_code dt_context_set_input_shape(dt_context* context, int32_t input, int32_t ndim, const int64_t* dims) {
  return guarded([&] {
    require(dims != nullptr || ndim == 0, "dims");
    context_of(context).set_input_shape(index_of(input), dims, ndim);
  });
}

dt_code dt_context_tensor_shape(dt_context* context, int32_t io, int32_t* ndim, int64_t* dims) {
  return guarded([&] {
    require(ndim != nullptr && dims != nullptr, "ndim or dims");
    Dims extents = {};
    *ndim = context_of(context).shape(index_of(io), &extents);
    std::copy(extents.begin(), extents.end(), dims);
  });
}

dt_code dt_context_tensor_bytes(dt_context* context, int32_t io, uint64_t* bytes) {
  return guarded([&] {
    require(bytes != nullptr, "bytes");
    *bytes = context_of(context).bytes(index_of(io));
  });
}

dt_code dt_context_max_bytes(dt_context* context, int32_t io, uint64_t* bytes) {
  return guarded([&] {
    require(bytes != nullptr, "bytes");
    *bytes = context_of(context).max_bytes(index_of(io));
  });
}

dt_code dt_context_set_output_allocator(dt_context* context, int32_t output, dt_reallocate_output* reallocate,
                                        dt_notify_shape* notify, void* user) {
  return guarded([&] {
    Context::OutputAllocator allocator;
    if (reallocate)
      allocator.allocate = [=](uint64_t bytes, uint64_t alignment) {
        return reallocate(user, output, bytes, alignment);
      };
    if (reallocate && notify)
      allocator.notify = [=](const int64_t* dims, int rank) { notify(user, output, rank, dims); };
    context_of(context).set_output_allocator(index_of(output), std::move(allocator));
  });
}

dt_code dt_context_set_address(dt_context* context, int32_t io, void* address, uint64_t bytes) {
  return guarded([&] { context_of(context).set_address(index_of(io), address, bytes ? bytes : kMaxBytes); });
}

dt_code dt_context_execute(dt_context* context, const dt_stream* stream) {
  return guarded([&] {
    if (stream)
      context_of(context).execute(*stream);
    else
      context_of(context).execute();
  });
}
