// SPDX-License-Identifier: Apache-2.0
#include "runtime/object.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/float_mode.hpp"
#include "runtime/layout.hpp"

namespace dovetail {

namespace {

constexpr int32_t kMostOutputs = 4096;  // of one layer; a count above it is taken for garbage
// Behind the inputs that an op is asked about: unknown ones, for a plugin that looks at inputs[1] without asking how
// many there are. A plan may leave out what the network had.
constexpr size_t kSpare = 8;

// What the plugin sets, it sets for itself.
struct PluginCall : Call {
  const FloatMode mode;
};

template <typename Table>
void* call_create(const Table* table, const std::string& subject, const std::string& layer, const FieldArray* fields,
                  const char* method) {
  if (!DT_HAS(Table, table, create)) return nullptr;
  PluginCall call;
  void* object = nullptr;
  call.check(
      table->create(&call, layer.c_str(), fields ? fields->size() : 0, fields ? fields->data() : nullptr, &object),
      subject, method, layer);
  return object;
}

Failure no_member(const std::string& subject, const char* member) {
  return Failure{
      DT_PLUGIN_FAILED, subject + " has no " + member, {}, "", {}, {{"plugin", subject}, {"method", member}}};
}

// Where there are no rows: does the predicate take every tensor?
bool supports_all(const BoundImplementation& bound, const Descs& descs, std::string* reason) {
  if (!DT_HAS(dt_implementation, bound.implementation, supports)) return true;
  std::vector<const dt_desc*> in_out = descs.inputs;
  in_out.insert(in_out.end(), descs.outputs.begin(), descs.outputs.end());
  for (size_t pos = 0; pos < in_out.size(); ++pos) {
    if (!in_out[pos]) {
      *reason = "it takes no absent inputs";
      return false;
    }
    if (bound.supports(static_cast<int32_t>(pos), in_out, descs.n_inputs(), descs.n_outputs())) continue;
    const dt_desc& desc = *in_out[pos];
    *reason = std::string(bound.method("supports")) + " refuses tensor " + std::to_string(pos) + ", " +
              tensor_text(desc.data_type, desc.format, desc.dims, desc.ndim);
    return false;
  }
  return true;
}

}  // namespace

std::shared_ptr<Object> Object::create(const dt_op* op, const std::string& subject, const std::string& layer,
                                       std::shared_ptr<const FieldArray> fields, std::shared_ptr<void> keep) {
  std::shared_ptr<Object> made(new Object);
  made->op_ = op;
  made->subject_ = subject;
  made->layer_ = layer;
  made->fields_ = std::move(fields);
  made->keep_ = std::move(keep);
  made->object_ = call_create(op, subject, layer, made->fields_.get(), "createPlugin");
  return made;
}

std::shared_ptr<Object> Object::create(const dt_implementation* implementation, const std::string& subject,
                                       const std::string& layer, std::shared_ptr<const FieldArray> fields,
                                       std::shared_ptr<void> keep) {
  std::shared_ptr<Object> made(new Object);
  made->implementation_ = implementation;
  made->subject_ = subject;
  made->layer_ = layer;
  made->fields_ = std::move(fields);
  made->keep_ = std::move(keep);
  made->object_ = call_create(implementation, subject, layer, made->fields_.get(), "create");
  return made;
}

std::shared_ptr<Object> Object::load(const dt_op* op, const std::string& subject, const std::string& layer,
                                     const void* bytes, uint64_t n, std::shared_ptr<void> keep) {
  if (!DT_HAS(dt_op, op, load)) throw no_member(subject, "load");
  std::shared_ptr<Object> made(new Object);
  made->op_ = op;
  made->subject_ = subject;
  made->layer_ = layer;
  made->keep_ = std::move(keep);
  PluginCall call;
  void* object = nullptr;
  call.check(op->load(&call, layer.c_str(), bytes, n, &object), subject, "deserializePlugin", layer);
  made->object_ = object;
  return made;
}

Object::~Object() {
  if (!object_) return;
  const FloatMode mode;
  if (op_ && DT_HAS(dt_op, op_, destroy)) op_->destroy(object_);
  if (implementation_ && DT_HAS(dt_implementation, implementation_, destroy)) implementation_->destroy(object_);
}

std::shared_ptr<Object> Object::clone() const {
  if (implementation_) return create(implementation_, subject_, layer_, fields_, keep_);
  if (DT_HAS(dt_op, op_, clone)) {
    std::shared_ptr<Object> copy(new Object);
    copy->op_ = op_;
    copy->subject_ = subject_;
    copy->layer_ = layer_;
    copy->fields_ = fields_;
    copy->keep_ = keep_;
    PluginCall call;
    void* object = nullptr;
    call.check(op_->clone(&call, object_, &object), subject_, "clone", layer_);
    copy->object_ = object;
    check_copy(*copy);
    return copy;
  }
  if (!fields_) {  // it was loaded
    const std::string blob = save();
    return load(op_, subject_, layer_, blob.data(), blob.size(), keep_);
  }
  return create(op_, subject_, layer_, fields_, keep_);
}

// A clone that serialises to something else forgot part of the state, and would compute something else.
void Object::check_copy(const Object& copy) const {
  if (!has_save()) return;
  std::string mine, its;
  try {
    mine = save();
    its = copy.save();
  } catch (const Failure&) {  // some can be saved only when they are configured: the plan's own save reports it
    return;
  }
  if (mine == its) return;
  size_t at = 0;
  while (at < mine.size() && at < its.size() && mine[at] == its[at]) ++at;
  // Bytes that differ between two objects made from the same fields are ignored: members that are not set yet.
  if (mine.size() == its.size() && fields_) {
    const std::string twin = create(op_, subject_, layer_, fields_, keep_)->save();
    if (twin.size() == mine.size())
      while (at < mine.size() && (mine[at] == its[at] || mine[at] != twin[at])) ++at;
    if (at == mine.size()) return;
  }
  throw Failure{DT_PLUGIN_FAILED,
                subject_ + " failed in clone" + (layer_.empty() ? "" : " of layer '" + layer_ + "'"),
                {{"original", "serialize() gives " + std::to_string(mine.size()) + " bytes"},
                 {"its clone", "serialize() gives " + std::to_string(its.size()) + " bytes, others from byte " +
                                   std::to_string(at) + " on"}},
                "clone() must copy every member that serialize() writes: the clone is what runs.",
                {},
                {{"plugin", subject_}, {"layer", layer_}, {"method", "clone"}}};
}

bool Object::has_save() const { return op_ && DT_HAS(dt_op, op_, save); }

std::string Object::save() const {
  if (!has_save()) throw no_member(subject_, "save");
  PluginCall call;
  call.check(op_->save(&call, object_), subject_, "serialize", layer_);
  return call.emitted_text();
}

int32_t Object::count_outputs(int32_t n_inputs) const {
  if (!op_) throw no_member(subject_, "count_outputs");
  if (!DT_HAS(dt_op, op_, count_outputs)) return static_cast<int32_t>(op_->n_outputs);
  PluginCall call;
  int32_t n = -1;
  call.check(op_->count_outputs(&call, object_, n_inputs, &n), subject_, "getNbOutputs", layer_);
  if (n < 1 || n > kMostOutputs) {
    const std::string text =
        "it says " + std::to_string(n) + " outputs; 1 to " + std::to_string(kMostOutputs) + " can be";
    call.refuse(text, subject_, "getNbOutputs", layer_);
  }
  return n;
}

int32_t Object::infer_type(int32_t index, const std::vector<int32_t>& types) const {
  if (!op_ || !DT_HAS(dt_op, op_, infer_type)) throw no_member(subject_, "infer_type");
  PluginCall call;
  int32_t type = -1;
  std::vector<int32_t> given = types;
  given.resize(types.size() + kSpare, -1);
  call.check(op_->infer_type(&call, object_, index, given.data(), static_cast<int32_t>(types.size()), &type), subject_,
             "getOutputDataType", layer_);
  if (!type_info(type)) {
    const std::string text = "it says data type " + std::to_string(type) + " for output " + std::to_string(index);
    call.refuse(text, subject_, "getOutputDataType", layer_);
  }
  return type;
}

dt_dims_exprs Object::infer_dims(int32_t index, const std::vector<const dt_dims_exprs*>& inputs,
                                 const dt_expr_builder* builder) const {
  if (!op_ || !DT_HAS(dt_op, op_, infer_dims)) throw no_member(subject_, "infer_dims");
  PluginCall call;
  dt_dims_exprs out = {}, none = {};
  out.ndim = none.ndim = -1;
  std::vector<const dt_dims_exprs*> given = inputs;
  given.resize(inputs.size() + kSpare, &none);
  call.check(op_->infer_dims(&call, object_, index, given.data(), static_cast<int32_t>(inputs.size()), builder, &out),
             subject_, "getOutputDimensions", layer_);
  std::string wrong;
  if (out.ndim < 0 || out.ndim > DT_MAX_RANK) wrong = "it says rank " + std::to_string(out.ndim);
  for (int32_t i = 0; wrong.empty() && i < out.ndim; ++i) {
    if (!out.d[i]) wrong = "dimension " + std::to_string(i) + " of output " + std::to_string(index) + " is null";
  }
  if (!wrong.empty()) call.refuse(wrong, subject_, "getOutputDimensions", layer_);
  return out;
}

// ---- an implementation on an object

const char* BoundImplementation::method(const char* member) const {
  static const char* const kV2[][2] = {
      {"supports", "supportsFormatCombination"}, {"configure", "configurePlugin"}, {"workspace", "getWorkspaceSize"}};
  if (implementation->traits & DT_TRAIT_PYTHON && std::strcmp(member, "workspace") == 0) return "get_workspace_size";
  if (implementation->traits & DT_TRAIT_OP_OBJECT) {
    for (const auto& [ours, theirs] : kV2) {
      if (std::strcmp(ours, member) == 0) return theirs;
    }
  }
  return member;
}

bool BoundImplementation::supports(int32_t pos, const std::vector<const dt_desc*>& in_out, int32_t n_inputs,
                                   int32_t n_outputs) const {
  if (!DT_HAS(dt_implementation, implementation, supports)) throw no_member(subject, "supports");
  PluginCall call;
  int32_t yes = 0;
  call.check(implementation->supports(&call, object->get(), pos, in_out.data(), n_inputs, n_outputs, &yes), subject,
             method("supports"), object->layer());
  return yes != 0;
}

bool BoundImplementation::fits(const Descs& descs, std::string* reason) const {
  if (!row) return supports_all(*this, descs, reason);
  if (!DT_HAS(dt_row, row, fits)) return true;
  PluginCall call;
  const dt_code code =
      row->fits(&call, object->get(), descs.inputs.data(), descs.n_inputs(), descs.outputs.data(), descs.n_outputs());
  if (code == DT_UNSUPPORTED) {
    *reason = call.message.empty() ? "refused by its fits, without a reason" : call.message;
    return false;
  }
  call.check(code, subject, method("fits"), object->layer());
  return true;
}

void BoundImplementation::configure(const Descs& descs) const {
  if (!DT_HAS(dt_implementation, implementation, configure)) return;
  PluginCall call;
  call.check(implementation->configure(&call, object->get(), descs.inputs.data(), descs.n_inputs(),
                                       descs.outputs.data(), descs.n_outputs()),
             subject, method("configure"), object->layer());
}

Emitted BoundImplementation::prepare(const Descs& descs, SharedMemory* shared, uint64_t bytes) const {
  if (!row || !DT_HAS(dt_row, row, prepare)) return {};
  PluginCall call;
  call.shared = shared;
  call.shared_bytes = bytes;
  call.check(row->prepare(&call, object->get(), descs.inputs.data(), descs.n_inputs(), descs.outputs.data(),
                          descs.n_outputs()),
             subject, method("prepare"), object->layer());
  return call.emitted();
}

uint64_t BoundImplementation::workspace(const Descs& descs, int32_t n_threads) const {
  auto* function = row                                                    ? row->workspace
                   : DT_HAS(dt_implementation, implementation, workspace) ? implementation->workspace
                                                                          : nullptr;
  if (!function) return 0;
  PluginCall call;
  uint64_t bytes = 0;
  call.check(function(&call, object->get(), descs.inputs.data(), descs.n_inputs(), descs.outputs.data(),
                      descs.n_outputs(), n_threads, &bytes),
             subject, method("workspace"), object->layer());
  if (bytes > kMaxBytes) {
    call.refuse("it asks for a workspace of " + std::to_string(bytes) + " bytes; no process can map more than " +
                    std::to_string(kMaxBytes),
                subject, method("workspace"), object->layer());
  }
  return bytes;
}

uint32_t BoundImplementation::absorbed(const Descs& descs, const dt_epilogue& program) const {
  if (!row || !DT_HAS(dt_row, row, absorb)) return 0;
  PluginCall call;
  uint32_t n = 0;
  call.check(row->absorb(&call, object->get(), descs.inputs.data(), descs.n_inputs(), descs.outputs.data(),
                         descs.n_outputs(), &program, &n),
             subject, method("absorb"), object->layer());
  n = std::min(n, program.n_steps);
  while (n > 0 && n < program.n_steps && program.steps[n]->layer == program.steps[n - 1]->layer) --n;
  return n;
}

dt_code BoundImplementation::shape_changed(void* context, const dt_run& run, const char** failed) const {
  dt_code code = DT_OK;
  if (DT_HAS(dt_implementation, implementation, shape_changed)) {
    *failed = "shape_changed";
    code = implementation->shape_changed(context, &run);
  }
  if (code == DT_OK && row && DT_HAS(dt_row, row, plan)) {
    *failed = "plan";
    code = row->plan(context, &run);
  }
  return code;
}

dt_code (*BoundImplementation::enqueue() const)(void*, const dt_run*) {
  return row ? row->enqueue : implementation->enqueue;
}

LayerContext::LayerContext(const BoundImplementation& bound) : bound_(bound), context_(bound.object->get()) {
  const dt_implementation* table = bound_.implementation;
  if (!DT_HAS(dt_implementation, table, make_context)) return;
  PluginCall call;
  void* made = nullptr;
  call.check(table->make_context(&call, bound_.object->get(), &made), bound_.subject, "make_context",
             bound_.object->layer());
  context_ = made;
  owned_ = true;
}

LayerContext::~LayerContext() {
  const FloatMode mode;
  if (owned_ && DT_HAS(dt_implementation, bound_.implementation, drop_context)) {
    bound_.implementation->drop_context(context_);
  }
}

void LayerContext::shape_changed(Call& call, const dt_run& run) const {
  const FloatMode mode;
  const char* method = "";
  const dt_code code = bound_.shape_changed(context_, run, &method);
  if (code) call.check(code, bound_.subject, method, bound_.object->layer());
}

void LayerContext::enqueue(Call& call, const dt_run& run) const {
  const dt_code code = bound_.enqueue()(context_, &run);
  if (code) call.check(code, bound_.subject, "enqueue", bound_.object->layer());
}

const dt_row* row_at(const dt_implementation& implementation, int32_t index, const std::string& subject) {
  if (index == -1 && implementation.n_rows == 0) return nullptr;
  if (index < 0 || static_cast<uint32_t>(index) >= implementation.n_rows) {
    throw Failure{DT_INVALID_ARGUMENT,
                  subject + " has no row " + std::to_string(index),
                  {{"rows", std::to_string(implementation.n_rows)}},
                  ""};
  }
  return implementation.rows[index];
}

}  // namespace dovetail
