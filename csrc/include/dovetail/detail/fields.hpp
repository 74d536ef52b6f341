// SPDX-License-Identifier: Apache-2.0
// A struct of parameters filled by name: DOVETAIL_READS(ScaleParams, mode, channel_axis).
//
// Names and wire types come from the struct itself:
//   int64_t  INT64       Ints    INT64, up to 8        const dt_tensor*  TENSOR, a copy that lives as long as the layer
//   double   FLOAT64     Floats  FLOAT64, up to 8      int32_t, or an enum on it    INT32 (flags and enumerations)
//   float    FLOAT32     Text    CHAR, up to 255 bytes
// A field that is not given keeps the member's default initialiser.
#ifndef DOVETAIL_DETAIL_FIELDS_HPP
#define DOVETAIL_DETAIL_FIELDS_HPP

#include "dovetail/detail/base.hpp"

DOVETAIL_OPEN_NAMESPACE

// Up to eight integers.
struct Ints {
  int64_t n = 0;
  int64_t v[8] = {};
  DOVETAIL_INLINE int64_t operator[](int i) const { return v[i]; }
};

// Up to eight real numbers.
struct Floats {
  int64_t n = 0;
  double v[8] = {};
  DOVETAIL_INLINE double operator[](int i) const { return v[i]; }
};

// A short string, NUL-terminated.
struct Text {
  char v[256] = {};
  DOVETAIL_INLINE bool operator==(const char* other) const { return std::strcmp(v, other) == 0; }
};

namespace detail {

inline const char* field_type_name(int32_t type) {
#define DT_NAME_CASE(name, value, bytes) \
  if (type == value) return #name;
  DT_FIELD_TYPES(DT_NAME_CASE)
#undef DT_NAME_CASE
  return "of an unknown type";
}

// Tensors among the parameters, copied: field values are borrowed for the call.
class TensorCopies {
 public:
  TensorCopies() = default;
  TensorCopies(const TensorCopies&) = delete;
  TensorCopies& operator=(const TensorCopies&) = delete;
  ~TensorCopies() {
    while (first_) {
      Copy* next = first_->next;
      std::free(first_->data);
      delete first_;
      first_ = next;
    }
  }
  const dt_tensor* add(const char* name, const dt_tensor& source) {
    if (source.ndim < 0 || source.ndim > DT_MAX_RANK)
      fail(DT_INVALID_ARGUMENT, nowhere("field '%s' has rank %d"), name, source.ndim);
    if (source.strides) fail(DT_INVALID_ARGUMENT, nowhere("field '%s' is not contiguous"), name);
    int64_t bytes = source.type_bits * source.type_lanes;
    for (int i = 0; i < source.ndim; ++i) bytes *= source.shape[i];
    bytes /= 8;
    Copy* copy = new Copy();
    copy->next = first_;
    first_ = copy;
    // A multiple of the alignment, at least one: data is never null, even for an empty tensor.
    copy->data = std::aligned_alloc(64, static_cast<size_t>(bytes / 64 + 1) * 64);
    if (!copy->data) throw std::bad_alloc();
    if (bytes > 0)
      std::memcpy(copy->data, static_cast<const char*>(source.data) + source.byte_offset, static_cast<size_t>(bytes));
    for (int i = 0; i < source.ndim; ++i) copy->shape[i] = source.shape[i];
    copy->layout.h = DT_HDR(dt_layout);
    if (source.layout) {
      copy->layout.data_type = source.layout->data_type;
      copy->layout.format = source.layout->format;
      copy->layout.scale = source.layout->scale;
      copy->layout.flags = source.layout->flags;
    }
    copy->tensor = source;
    copy->tensor.data = copy->data;
    copy->tensor.shape = copy->shape;
    copy->tensor.byte_offset = 0;
    copy->tensor.layout = source.layout ? &copy->layout : nullptr;
    return &copy->tensor;
  }

 private:
  struct Copy {
    Copy* next = nullptr;
    void* data = nullptr;
    int64_t shape[DT_MAX_RANK] = {};
    dt_layout layout = {};
    dt_tensor tensor = {};
  };
  Copy* first_ = nullptr;
};

template <class T, int32_t type>
struct ScalarWire {
  static constexpr int32_t kType = type;
  static constexpr int64_t kMaxLength = 1;
  static void read(T& member, const dt_field& field, TensorCopies&) { std::memcpy(&member, field.data, sizeof(T)); }
};

template <class T, class Enable = void>
struct Wire {
  static_assert(!sizeof(T*),
                "a member read from a field is int64_t, int32_t, an enum on int32_t, double, float, Ints, Floats, Text "
                "or const dt_tensor*");
};
template <>
struct Wire<int64_t> : ScalarWire<int64_t, DT_FIELD_INT64> {};
template <>
struct Wire<int32_t> : ScalarWire<int32_t, DT_FIELD_INT32> {};
template <>
struct Wire<double> : ScalarWire<double, DT_FIELD_FLOAT64> {};
template <>
struct Wire<float> : ScalarWire<float, DT_FIELD_FLOAT32> {};
template <class T>
struct Wire<T, std::enable_if_t<std::is_enum_v<T>>> : ScalarWire<T, DT_FIELD_INT32> {
  static_assert(sizeof(T) == 4, "an enum read from a field has int32_t as its underlying type");
};

template <class List, class Element, int32_t type>
struct ListWire {
  static constexpr int32_t kType = type;
  static constexpr int64_t kMaxLength = 8;
  static void read(List& member, const dt_field& field, TensorCopies&) {
    member = List();
    member.n = field.length;
    if (field.length > 0) std::memcpy(member.v, field.data, static_cast<size_t>(field.length) * sizeof(Element));
  }
};
template <>
struct Wire<Ints> : ListWire<Ints, int64_t, DT_FIELD_INT64> {};
template <>
struct Wire<Floats> : ListWire<Floats, double, DT_FIELD_FLOAT64> {};

template <>
struct Wire<Text> {
  static constexpr int32_t kType = DT_FIELD_CHAR;
  static constexpr int64_t kMaxLength = sizeof(Text::v) - 1;
  static void read(Text& member, const dt_field& field, TensorCopies&) {
    member = Text();
    if (field.length > 0) std::memcpy(member.v, field.data, static_cast<size_t>(field.length));
  }
};
template <>
struct Wire<const dt_tensor*> {
  static constexpr int32_t kType = DT_FIELD_TENSOR;
  static constexpr int64_t kMaxLength = 1;
  static void read(const dt_tensor*& member, const dt_field& field, TensorCopies& copies) {
    member = copies.add(field.name, *static_cast<const dt_tensor*>(field.data));
  }
};

// Fills one member if the field is given, after its type and length were checked.
template <class T>
void read_field(T& member, const char* name, uint32_t n, const dt_field* const* fields, TensorCopies& copies) {
  using W = Wire<T>;
  for (uint32_t i = 0; i < n; ++i) {
    const dt_field& field = *fields[i];
    if (std::strcmp(field.name, name) != 0) continue;
    if (field.type != W::kType) {
      fail(DT_INVALID_ARGUMENT, nowhere("field '%s' is %s, the implementation reads it as %s"), name,
           field_type_name(field.type), field_type_name(W::kType));
    }
    const bool is_scalar = W::kMaxLength == 1;
    if (field.length < (is_scalar ? 1 : 0) || field.length > W::kMaxLength) {
      fail(DT_INVALID_ARGUMENT, nowhere("field '%s' has %lld elements, the implementation reads %s%lld"), name,
           static_cast<long long>(field.length), is_scalar ? "" : "at most ", static_cast<long long>(W::kMaxLength));
    }
    if (field.data == nullptr && field.length > 0) fail(DT_INVALID_ARGUMENT, nowhere("field '%s' has no data"), name);
    W::read(member, field, copies);
    return;
  }
}

// Visits the members of the struct: lists them as dt_read, or fills them.
struct ListReads {
  dt_read* next;
  template <class Owner, class T>
  void operator()(T Owner::*, const char* name, const char* where) {
    next->h = DT_HDR(dt_read);
    next->name = name;
    next->type = Wire<T>::kType;
    next->max_length = Wire<T>::kMaxLength;
    next->where = where;
    ++next;
  }
};
template <class Params>
struct FillFields {
  Params& params;
  uint32_t n;
  const dt_field* const* fields;
  TensorCopies& copies;
  template <class Owner, class T>  // Params, or a base of it
  void operator()(T Owner::* member, const char* name, const char*) {
    read_field(params.*member, name, n, fields, copies);
  }
};

}  // namespace detail

DOVETAIL_CLOSE_NAMESPACE

// clang-format off
#define DT_READ(P, m) visit(&P::m, #m, __FILE__ ":" DOVETAIL_TEXT(__LINE__));
#define DT_READS_1(P)
#define DT_READS_2(P, m) DT_READ(P, m)
#define DT_READS_3(P, m, ...) DT_READ(P, m) DT_READS_2(P, __VA_ARGS__)
#define DT_READS_4(P, m, ...) DT_READ(P, m) DT_READS_3(P, __VA_ARGS__)
#define DT_READS_5(P, m, ...) DT_READ(P, m) DT_READS_4(P, __VA_ARGS__)
#define DT_READS_6(P, m, ...) DT_READ(P, m) DT_READS_5(P, __VA_ARGS__)
#define DT_READS_7(P, m, ...) DT_READ(P, m) DT_READS_6(P, __VA_ARGS__)
#define DT_READS_8(P, m, ...) DT_READ(P, m) DT_READS_7(P, __VA_ARGS__)
#define DT_READS_9(P, m, ...) DT_READ(P, m) DT_READS_8(P, __VA_ARGS__)
#define DT_READS_10(P, m, ...) DT_READ(P, m) DT_READS_9(P, __VA_ARGS__)
#define DT_READS_11(P, m, ...) DT_READ(P, m) DT_READS_10(P, __VA_ARGS__)
#define DT_READS_12(P, m, ...) DT_READ(P, m) DT_READS_11(P, __VA_ARGS__)
#define DT_READS_13(P, m, ...) DT_READ(P, m) DT_READS_12(P, __VA_ARGS__)
#define DT_READS_14(P, m, ...) DT_READ(P, m) DT_READS_13(P, __VA_ARGS__)
#define DT_READS_15(P, m, ...) DT_READ(P, m) DT_READS_14(P, __VA_ARGS__)
#define DT_READS_16(P, m, ...) DT_READ(P, m) DT_READS_15(P, __VA_ARGS__)
#define DT_READS_17(P, m, ...) DT_READ(P, m) DT_READS_16(P, __VA_ARGS__)
#define DT_READS_18(P, m, ...) DT_READ(P, m) DT_READS_17(P, __VA_ARGS__)
#define DT_READS_19(P, m, ...) DT_READ(P, m) DT_READS_18(P, __VA_ARGS__)
#define DT_READS_20(P, m, ...) DT_READ(P, m) DT_READS_19(P, __VA_ARGS__)
#define DT_READS_21(P, m, ...) DT_READ(P, m) DT_READS_20(P, __VA_ARGS__)
#define DT_COUNT_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, n, ...) n
#define DT_COUNT(...) DT_COUNT_(__VA_ARGS__, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define DT_FIRST_(P, ...) P
#define DT_FIRST(...) DT_FIRST_(__VA_ARGS__, 0)
// clang-format on

// DOVETAIL_READS(Params, member, ...): up to 20 members, of Params or of a base of it, that are read from fields of the
// same names. Write it after the struct, in the same namespace.
#define DOVETAIL_READS(...)                                                                                           \
  [[maybe_unused]] constexpr int dovetail_n_reads(const DT_FIRST(__VA_ARGS__)*) { return DT_COUNT(__VA_ARGS__) - 1; } \
  template <class Visit>                                                                                              \
  void dovetail_reads([[maybe_unused]] const DT_FIRST(__VA_ARGS__)*, [[maybe_unused]] Visit&& visit) {                \
    DOVETAIL_JOIN(DT_READS_, DT_COUNT(__VA_ARGS__))(__VA_ARGS__)                                                      \
  }

#endif
