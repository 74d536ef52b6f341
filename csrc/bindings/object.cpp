// SPDX-License-Identifier: Apache-2.0
// Ops, implementations and their objects, and one step run outside of an engine.
#include <pybind11/stl.h>

#include <cmath>

#include "bindings/device_buffer.hpp"
#include "bindings/module.hpp"
#include "bindings/native.hpp"
#include "bindings/trial.hpp"
#include "runtime/thread_pool.hpp"

namespace dovetail {
namespace {

py::object bound_or_none(double value) { return std::isnan(value) ? py::object(py::none()) : py::float_(value); }

py::list fields_of(const NativeOp& op) {
  py::list fields;
  for (uint32_t i = 0; i < op.table->n_fields; ++i) {
    const dt_field_spec& spec = *op.table->fields[i];
    const bool has_default = !spec.required && spec.default_value;
    py::dict field;
    field["name"] = text_or_empty(spec.name);
    field["type"] = spec.type;
    field["min_length"] = spec.min_length;
    field["max_length"] = spec.max_length;
    field["required"] = spec.required != 0;
    field["default"] = has_default ? field_to_python(*spec.default_value, spec.max_length == 1) : py::none();
    field["low"] = bound_or_none(spec.low);
    field["high"] = bound_or_none(spec.high);
    field["doc"] = text_or_empty(spec.doc);
    fields.append(field);
  }
  return fields;
}

py::object ports_of(uint32_t n, const dt_port* const* ports) {
  if (!ports) return py::none();
  py::list result;
  for (uint32_t i = 0; i < n; ++i) {
    py::dict port;
    port["name"] = text_or_empty(ports[i]->name);
    port["types"] = text_or_empty(ports[i]->types);
    port["flags"] = ports[i]->flags;
    port["doc"] = text_or_empty(ports[i]->doc);
    result.append(port);
  }
  return result;
}

py::list rows_of(const NativeImplementation& implementation) {
  py::list rows;
  for (uint32_t i = 0; i < implementation.table->n_rows; ++i) {
    const dt_row& row = *implementation.table->rows[i];
    py::dict entry;
    entry["tactic"] = text_or_empty(row.tactic);
    entry["needs"] = row.needs;
    entry["min_sm"] = row.min_sm;
    entry["traits"] = row.traits;
    entry["traits"] = row.traits;
    entry["replaces"] = DT_HAS(dt_row, &row, replaces) ? row.replaces : uint64_t{0};
    entry["types"] = text_or_empty(row.types);
    entry["absorbs"] = DT_HAS(dt_row, &row, absorb);
    entry["formats"] = row.formats && *row.formats ? row.formats : "linear";
    rows.append(entry);
  }
  return rows;
}

py::list reads_of(const NativeImplementation& implementation) {
  py::list reads;
  for (uint32_t i = 0; i < implementation.table->n_reads; ++i) {
    const dt_read& read = *implementation.table->reads[i];
    reads.append(py::make_tuple(text_or_empty(read.name), read.type, read.max_length, text_or_empty(read.where)));
  }
  return reads;
}

template <typename Native>
ObjectPointer create_object(const Native& native, const std::string& layer, const py::iterable& fields,
                            std::shared_ptr<void> keep) {
  const std::vector<FieldValue> values = field_values(fields, native.id);
  py::gil_scoped_release release;
  return Object::create(native.table, native.id, layer, std::make_shared<FieldArray>(values, native.id),
                        std::move(keep));
}

ObjectPointer create_implementation_object(const NativeImplementation& self, const std::string& layer,
                                           const py::iterable& fields) {
  if (self.table->traits & DT_TRAIT_OP_OBJECT) {
    throw Failure{DT_INVALID_ARGUMENT,
                  self.id + " has no objects of its own",
                  {{"works on", std::string("the object of ") + self.table->op}},
                  "Pass that one."};
  }
  return create_object(self, layer, fields, self.keep);
}

bool supports(const NativeImplementation& self, const ObjectPointer& object, int32_t pos, const py::sequence& descs,
              int32_t n_inputs, int32_t n_outputs) {
  if (self.table->n_rows) {
    throw Failure{DT_INVALID_ARGUMENT, self.id + " is not asked position by position: it has rows", {}, "Use fits."};
  }
  const BoundImplementation bound = bind_object(self, object, -1);
  const DescArray array(descs);
  py::gil_scoped_release release;
  return bound.supports(pos, array.pointers(), n_inputs, n_outputs);
}

// Calls function(bound, descs) without the GIL.
template <typename Function>
auto with_descs(const NativeImplementation& self, const ObjectPointer& object, int32_t row, const py::sequence& inputs,
                const py::sequence& outputs, Function function) {
  const BoundImplementation bound = bind_object(self, object, row);
  const DescArray ins(inputs), outs(outputs);
  py::gil_scoped_release release;
  return function(bound, Descs{ins.pointers(), outs.pointers()});
}

py::object fits(const NativeImplementation& self, const ObjectPointer& object, int32_t row, const py::sequence& inputs,
                const py::sequence& outputs) {
  std::string reason;
  const bool yes =
      with_descs(self, object, row, inputs, outputs,
                 [&](const BoundImplementation& bound, const Descs& descs) { return bound.fits(descs, &reason); });
  return yes ? py::object(py::none()) : py::str(reason);
}

void configure(const NativeImplementation& self, const ObjectPointer& object, const py::sequence& inputs,
               const py::sequence& outputs) {
  with_descs(self, object, self.table->n_rows ? 0 : -1, inputs, outputs,
             [](const BoundImplementation& bound, const Descs& descs) { bound.configure(descs); });
}

// What a row packed, handed to Python without a copy: weights are large.
struct Packed {
  Emitted emitted;
};

py::memoryview prepare(const NativeImplementation& self, const ObjectPointer& object, int32_t row,
                       const py::sequence& inputs, const py::sequence& outputs) {
  Packed made{with_descs(self, object, row, inputs, outputs,
                         [](const BoundImplementation& bound, const Descs& descs) { return bound.prepare(descs); })};
  return py::memoryview(py::cast(std::move(made)));
}

uint64_t workspace(const NativeImplementation& self, const ObjectPointer& object, int32_t row,
                   const py::sequence& inputs, const py::sequence& outputs, int32_t n_threads) {
  const int32_t threads = n_threads > 0 ? n_threads : default_threads();
  return with_descs(self, object, row, inputs, outputs, [&](const BoundImplementation& bound, const Descs& descs) {
    return bound.workspace(descs, threads);
  });
}

uint32_t absorbed(const NativeImplementation& self, const ObjectPointer& object, int32_t row,
                  const py::sequence& inputs, const py::sequence& outputs, const py::object& epilogue,
                  const py::sequence& operands) {
  const DescArray descs(operands);
  const EpilogueProgram program = epilogue_of(epilogue, descs.pointers().size());
  const EpilogueTable table(program, static_cast<uint32_t>(descs.pointers().size()), descs.pointers().data(), nullptr);
  return with_descs(self, object, row, inputs, outputs, [&](const BoundImplementation& bound, const Descs& own) {
    return bound.absorbed(own, *table.get());
  });
}

int32_t infer_type(const ObjectPointer& self, int32_t index, const std::vector<int32_t>& types) {
  py::gil_scoped_release release;
  return self->infer_type(index, types);
}

void bind_object_class(py::module_& m) {
  py::class_<Object, ObjectPointer>(m, "Object",
                                    "An object of an op or of an implementation; destroyed with its last holder.")
      .def_property_readonly("subject", [](const ObjectPointer& self) { return self->subject(); })
      .def_property_readonly("layer", [](const ObjectPointer& self) { return self->layer(); })
      .def_property_readonly("has_save", [](const ObjectPointer& self) { return self->has_save(); })
      .def("clone",
           [](const ObjectPointer& self) {
             py::gil_scoped_release release;
             return self->clone();
           })
      .def("save",
           [](const ObjectPointer& self) {
             std::string blob;
             {
               py::gil_scoped_release release;
               blob = self->save();
             }
             return py::bytes(blob);
           })
      .def(
          "count_outputs",
          [](const ObjectPointer& self, int32_t n_inputs) {
            py::gil_scoped_release release;
            return self->count_outputs(n_inputs);
          },
          py::arg("n_inputs"))
      .def("infer_type", infer_type, py::arg("index"), py::arg("types"))
      .def(
          "infer_dims",
          [](const ObjectPointer& self, int32_t index, const py::sequence& inputs, const py::object& builder) {
            return infer_dims(*self, index, inputs, builder);
          },
          py::arg("index"), py::arg("inputs"), py::arg("builder"))
      .def("__repr__", [](const ObjectPointer& self) {
        return "<Object of " + self->subject() + " for layer '" + self->layer() + "'>";
      });
}

void bind_op_class(py::module_& m) {
  py::class_<NativeOp>(m, "NativeOp", "The table of an op.")
      .def_property_readonly("name", [](const NativeOp& self) { return text_or_empty(self.table->name); })
      .def_property_readonly("version", [](const NativeOp& self) { return text_or_empty(self.table->version); })
      .def_readonly("namespace", &NativeOp::space)
      .def_readonly("id", &NativeOp::id)
      .def_property_readonly("doc", [](const NativeOp& self) { return text_or_empty(self.table->doc); })
      .def_property_readonly("fields", fields_of)
      .def_property_readonly("inputs",
                             [](const NativeOp& self) { return ports_of(self.table->n_inputs, self.table->inputs); })
      .def_property_readonly("outputs",
                             [](const NativeOp& self) { return ports_of(self.table->n_outputs, self.table->outputs); })
      .def_property_readonly("has_save", [](const NativeOp& self) { return DT_HAS(dt_op, self.table, save); })
      .def_property_readonly("has_infer_type",
                             [](const NativeOp& self) { return DT_HAS(dt_op, self.table, infer_type); })
      .def(
          "create",
          [](const NativeOp& self, const std::string& layer, const py::iterable& fields) {
            return create_object(self, layer, fields, self.library);
          },
          py::arg("layer"), py::arg("fields"))
      .def(
          "load",
          [](const NativeOp& self, const std::string& layer, const py::bytes& blob) {
            const std::string bytes = blob;
            py::gil_scoped_release release;
            return Object::load(self.table, self.id, layer, bytes.data(), bytes.size(), self.library);
          },
          py::arg("layer"), py::arg("blob"))
      .def("__repr__", [](const NativeOp& self) { return "<NativeOp " + self.id + ">"; });
}

void bind_implementation_class(py::module_& m) {
  using N = NativeImplementation;
  const auto ins = py::arg("inputs"), outs = py::arg("outputs"), object = py::arg("object").none(false),
             row = py::arg("row");
  // Before what returns a Trial: signatures name the types that are known then.
  py::class_<CacheState>(m, "CacheState", "What the rest of a network leaves in the caches between two runs.")
      .def(py::init<int32_t, uint64_t, double>(), py::arg("n_threads"), py::arg("evicted_bytes"),
           py::arg("cold_share") = 0.0);
  py::class_<Packed>(m, "Packed", py::buffer_protocol(), "Behind the memoryview that prepare returns.")
      .def_buffer([](Packed& self) {
        const auto n = static_cast<py::ssize_t>(self.emitted.bytes);
        return py::buffer_info(self.emitted.memory.data(), 1, "B", 1, {n}, {1}, true);
      });
  py::class_<DeviceBuffer>(m, "DeviceBuffer", "Memory of the current GPU that trials share.")
      .def(py::init<uint64_t, const py::object&>(), py::arg("bytes"), py::arg("contents") = py::none())
      .def_property_readonly("bytes", &DeviceBuffer::bytes);
  py::class_<Trial>(m, "Trial", "A step outside of an engine, made ready.")
      .def("run", &Trial::run, py::arg("repeat") = 1, py::arg("before") = py::none(), "Nanoseconds of each run.")
      .def("settle", &Trial::settle, "Hand outputs over; raises PluginFailed for writing elsewhere.");
  py::class_<N>(m, "NativeImplementation", "The table of an implementation.")
      .def_property_readonly("op", [](const N& self) { return text_or_empty(self.table->op); })
      .def_property_readonly("name", [](const N& self) { return text_or_empty(self.table->name); })
      .def_readonly("id", &N::id)
      .def_readonly("plugin", &N::plugin)
      .def_readonly("library", &N::library)
      .def_property_readonly("device", [](const N& self) { return self.table->device; })
      .def_property_readonly("traits", [](const N& self) { return self.table->traits; })
      .def_property_readonly("reads", reads_of)
      .def_property_readonly("rows", rows_of)
      .def_property_readonly("uses_op_object",
                             [](const N& self) { return (self.table->traits & DT_TRAIT_OP_OBJECT) != 0; })
      .def("create", create_implementation_object, py::arg("layer"), py::arg("fields"))
      .def("supports", supports, object, py::arg("pos"), py::arg("descs"), py::arg("n_inputs"), py::arg("n_outputs"))
      .def("fits", fits, object, row, ins, outs, "None, or the reason why not.")
      .def("configure", configure, object, ins, outs)
      .def("prepare", prepare, object, row, ins, outs)
      .def("workspace", workspace, object, row, ins, outs, py::arg("n_threads") = 0)
      .def("absorbed", absorbed, object, row, ins, outs, py::arg("epilogue"), py::arg("operands"),
           "Steps of an epilogue that the row computes, whole layers only.")
      .def("run_step", run_step, object, row, ins, outs, py::arg("packed") = py::none(), py::arg("workspace_bytes") = 0,
           py::arg("n_threads") = 0, py::arg("repeat") = 1, py::arg("guarded") = false,
           py::arg("epilogue") = py::none(), py::arg("n_operands") = 0,
           "Runs it on (desc, buffer) pairs in a context of its own; nanoseconds of each run.")
      .def(
          "trial",
          [](const N& self, const ObjectPointer& object, int32_t row, const py::sequence& inputs,
             const py::sequence& outputs, const py::object& packed, uint64_t workspace_bytes, int32_t n_threads,
             bool guarded, const py::object& epilogue, size_t n_operands) {
            return std::make_unique<Trial>(self, object, row, inputs, outputs, packed, workspace_bytes, n_threads,
                                           guarded, epilogue, n_operands);
          },
          object, row, ins, outs, py::arg("packed") = py::none(), py::arg("workspace_bytes") = 0,
          py::arg("n_threads") = 0, py::arg("guarded") = false, py::arg("epilogue") = py::none(),
          py::arg("n_operands") = 0, "What run_step runs, made ready to be run again and again.")
      .def("__repr__", [](const N& self) { return "<NativeImplementation " + self.id + ">"; });
  m.def("cache_bytes", &cache_bytes, "Bytes of a core's own cache and of the last one; 0: not known.");
  m.def("measured_cold_share", &measured_cold_share, py::arg("bytes"), py::arg("n_threads") = 0,
        py::call_guard<py::gil_scoped_release>(),
        "How much of so many bytes comes from no cache when threads read them again and again, from 0 to 1: measured.");
}

}  // namespace
}  // namespace dovetail

void bind_objects(py::module_& m) {
  dovetail::bind_object_class(m);
  dovetail::bind_op_class(m);
  dovetail::bind_implementation_class(m);
}
