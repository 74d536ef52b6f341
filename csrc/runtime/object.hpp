// SPDX-License-Identifier: Apache-2.0
// Objects of plugins: made from field values, owned, and called by name so that a failure says who, where and why.
#ifndef DOVETAIL_RUNTIME_OBJECT_HPP
#define DOVETAIL_RUNTIME_OBJECT_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "dovetail/plugin.h"
#include "runtime/host.hpp"

namespace dovetail {

// A field of type TENSOR: contents in LINEAR, rows as the dims stand. `keep` keeps `data` alive; null if it is borrowed
// from something that outlives the object.
struct TensorValue {
  int32_t data_type = DT_TYPE_FLOAT;
  std::vector<int64_t> dims;
  const void* data = nullptr;
  std::shared_ptr<const void> keep;
};

// A field value from a user or a plan: integers, floats, text or a tensor, and the wire type that the plugin reads.
struct FieldValue {
  std::string name;
  int32_t type = DT_FIELD_UNKNOWN;  // DT_FIELD_*
  std::variant<std::vector<int64_t>, std::vector<double>, std::string, TensorValue> value;
};

// Fields in their wire types, as `create` takes them. Owns all storage; the addresses last as long as this does.
class FieldArray {
 public:
  // `subject` names the reader in messages ("acme::NMS@2"). Throws Failure (DT_INVALID_ARGUMENT) naming every value
  // that does not fit its wire type; integers become floats, never the other way.
  explicit FieldArray(const std::vector<FieldValue>& values, const std::string& subject = "");
  ~FieldArray();
  FieldArray(const FieldArray&) = delete;
  FieldArray& operator=(const FieldArray&) = delete;

  uint32_t size() const { return static_cast<uint32_t>(pointers_.size()); }
  const dt_field* const* data() const { return pointers_.data(); }

 private:
  struct Slot;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<const dt_field*> pointers_;
};

// Tensors of a layer while planning; null is an absent optional input.
struct Descs {
  std::vector<const dt_desc*> inputs, outputs;
  std::shared_ptr<dt_desc> result;  // outputs[0] where it is not the output's own
  int32_t n_inputs() const { return static_cast<int32_t>(inputs.size()); }
  int32_t n_outputs() const { return static_cast<int32_t>(outputs.size()); }
};

// An object of an op or of an implementation, destroyed through the table that made it when the last owner is gone.
// Methods that call the plugin throw Failure with the plugin's message.
class Object {
 public:
  // `subject`: how messages call it, "acme::NMS@2" or "acme::NMS@2#cpu". `keep` keeps the table alive, may be null.
  // A null `create` gives an object with a null pointer: a table of pure functions.
  static std::shared_ptr<Object> create(const dt_op* op, const std::string& subject, const std::string& layer,
                                        std::shared_ptr<const FieldArray> fields, std::shared_ptr<void> keep = {});
  static std::shared_ptr<Object> create(const dt_implementation* implementation, const std::string& subject,
                                        const std::string& layer, std::shared_ptr<const FieldArray> fields,
                                        std::shared_ptr<void> keep = {});
  // From the bytes of `save`.
  static std::shared_ptr<Object> load(const dt_op* op, const std::string& subject, const std::string& layer,
                                      const void* bytes, uint64_t n, std::shared_ptr<void> keep = {});
  ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  // A copy in the same state: the table's clone, or a new object from the same fields. Throws Failure if the clone
  // saves other bytes.
  std::shared_ptr<Object> clone() const;
  bool has_save() const;
  std::string save() const;

  int32_t count_outputs(int32_t n_inputs) const;
  int32_t infer_type(int32_t index, const std::vector<int32_t>& types) const;
  // Null inputs are absent. `out` belongs to the builder.
  dt_dims_exprs infer_dims(int32_t index, const std::vector<const dt_dims_exprs*>& inputs,
                           const dt_expr_builder* builder) const;

  void* get() const { return object_; }
  const dt_op* op() const { return op_; }                                      // null for an implementation's object
  const dt_implementation* implementation() const { return implementation_; }  // null for an op's object
  const std::string& subject() const { return subject_; }
  const std::string& layer() const { return layer_; }

 private:
  Object() = default;
  void check_copy(const Object& copy) const;
  void* object_ = nullptr;
  const dt_op* op_ = nullptr;
  const dt_implementation* implementation_ = nullptr;
  std::string subject_, layer_;
  std::shared_ptr<const FieldArray> fields_;
  std::shared_ptr<void> keep_;
};

// An implementation with its object, which is the op's object if DT_TRAIT_OP_OBJECT is set. `row` is null if the
// implementation has no rows. Each function calls the member of its name in plugin.h.
struct BoundImplementation {
  const dt_implementation* implementation = nullptr;
  const dt_row* row = nullptr;
  std::shared_ptr<Object> object;
  std::string subject;  // "acme::NMS@2#cpu"

  bool supports(int32_t pos, const std::vector<const dt_desc*>& in_out, int32_t n_inputs, int32_t n_outputs) const;
  // True, or false and the reason: the row's answer, or that of `supports` for every tensor where there are no rows.
  // Any other failure than DT_UNSUPPORTED throws.
  bool fits(const Descs& descs, std::string* reason) const;
  void configure(const Descs& descs) const;
  // What the row packs. If `shared` is given, memory of exactly `bytes` bytes comes from it.
  Emitted prepare(const Descs& descs, SharedMemory* shared = nullptr, uint64_t bytes = 0) const;
  uint64_t workspace(const Descs& descs, int32_t n_threads) const;
  // How many steps of the program the row computes on its result, whole layers only; 0 where it has no absorb.
  uint32_t absorbed(const Descs& descs, const dt_epilogue& program) const;
  // Tells the implementation, then the row, the extents in `run`; `*failed` is the name of the member whose code it is.
  dt_code shape_changed(void* context, const dt_run& run, const char** failed) const;
  // The function that computes: the row's, or the implementation's own.
  dt_code (*enqueue() const)(void* context, const dt_run* run);
  // Name of a member in messages: TensorRT's if the object is of a V2 class.
  const char* method(const char* member) const;
};

// The result of make_context, dropped in the destructor. get() is the object itself if there is no make_context.
class LayerContext {
 public:
  explicit LayerContext(const BoundImplementation& bound);
  ~LayerContext();
  LayerContext(const LayerContext&) = delete;
  LayerContext& operator=(const LayerContext&) = delete;

  void* get() const { return context_; }
  // run->call must be `call`; both throw Failure with the plugin's text.
  void shape_changed(Call& call, const dt_run& run) const;
  void enqueue(Call& call, const dt_run& run) const;

 private:
  BoundImplementation bound_;
  void* context_ = nullptr;
  bool owned_ = false;
};

// The row with this index, or null for -1. Throws Failure (DT_INVALID_ARGUMENT) for an index outside the table.
const dt_row* row_at(const dt_implementation& implementation, int32_t index, const std::string& subject);

// The words of a row on one side of its arrow.
struct RowSide {
  std::vector<std::vector<int32_t>> words;  // alternatives of each word
  std::vector<char> on_cpu;                 // per word of formats: does the tensor lie in host memory ("linear@cpu")?
  bool repeats_last = false;                // "f32..."
};
// Splits "f32|f16 i32... -> f32|f16". False and `*error` for an unknown word or a missing arrow; `formats` reads format
// names instead of type names. A single word without an arrow stands for every tensor.
bool parse_row(const std::string& text, bool formats, RowSide* inputs, RowSide* outputs, std::string* error);

}  // namespace dovetail

#endif
