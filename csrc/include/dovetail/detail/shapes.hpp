// SPDX-License-Identifier: Apache-2.0
// The conditions that the kernels of a layer rely on, checked by its Params:
//
//   struct ScaleParams {
//     int32_t mode = 0;
//     void check_fields() const { expect_field("mode", mode, 0, 2); }
//     void check_shapes(const Shapes& inputs, const Shapes& outputs) const {
//       expect_same_dims(outputs.get(0, "y"), inputs.get(0, "x"));
//     }
//   };
//
// Both are optional and throw Error. check_fields runs after the fields were read. check_shapes runs before `fits` of a
// row, with the likeliest extents, and in a context whenever extents have changed. Fields and extents may come from an
// untrusted file; because of these checks, enqueue need not check them again.
#ifndef DOVETAIL_DETAIL_SHAPES_HPP
#define DOVETAIL_DETAIL_SHAPES_HPP

#include "dovetail/detail/views.hpp"

DOVETAIL_OPEN_NAMESPACE

// Type and current extents of one tensor. `name` is for messages.
class Shape {
 public:
  Shape(const char* name, int rank, const int64_t* dims, int32_t type) : name_(name), rank_(rank), dims_(dims) {
    type_ = static_cast<DataType>(type);
  }
  const char* name() const { return name_; }
  int rank() const { return rank_; }
  const int64_t* dims() const { return dims_; }
  DataType type() const { return type_; }
  int64_t volume() const { return detail::volume(dims_, rank_); }
  // Product of the extents from `axis` on; negative axes count from the end.
  int64_t volume_from(int64_t axis) const {
    const int first = at(axis);
    return detail::volume(dims_ + first, rank_ - first);
  }
  // Extent of an axis. Throws if there is no such axis.
  int64_t operator[](int64_t axis) const { return dims_[at(axis)]; }

 private:
  int at(int64_t axis) const {
    if (axis >= -rank_ && axis < rank_) return static_cast<int>(axis < 0 ? axis + rank_ : axis);
    fail(DT_SHAPE, nowhere("%s has no axis %lld, its rank is %d"), name_, static_cast<long long>(axis), rank_);
  }

  const char* name_;
  int rank_;
  const int64_t* dims_;
  DataType type_;
};

// The inputs or the outputs of a layer: with the likeliest extents while planning, the real ones in a run.
class Shapes {
 public:
  explicit Shapes(const Descs& descs) : descs_(&descs), n_(descs.size()) {}
  Shapes(const dt_tensor* const* tensors, uint32_t n) : tensors_(tensors), n_(static_cast<int>(n)) {}

  int size() const { return n_; }
  bool has(int i) const { return descs_ ? descs_->has(i) : i < n_ && tensors_[i] != nullptr; }
  // Throws if the tensor was left out.
  Shape get(int i, const char* name) const {
    if (!has(i)) fail(DT_SHAPE, nowhere("%s is missing"), name);
    if (!descs_) return Shape(name, tensors_[i]->ndim, tensors_[i]->shape, tensors_[i]->layout->data_type);
    const dt_desc& desc = *(*descs_)[i].raw();
    return Shape(name, desc.ndim, desc.opt, desc.data_type);
  }
  // False while the likeliest extents are not known yet.
  bool are_known() const {
    for (int i = 0; i < n_; ++i) {
      if (!has(i)) continue;
      const Shape shape = get(i, "");
      for (int axis = 0; axis < shape.rank(); ++axis)
        if (shape.dims()[axis] < 0) return false;
    }
    return true;
  }

 private:
  const Descs* descs_ = nullptr;
  const dt_tensor* const* tensors_ = nullptr;
  int n_;
};

namespace detail {

// "[2, 3, 224, 224]"
struct DimsText {
  char text[DT_MAX_RANK * 22 + 3];
  DimsText(const int64_t* dims, int rank) {
    char* to = text;
    *to++ = '[';
    for (int i = 0; i < rank && i < DT_MAX_RANK; ++i) {
      to += std::snprintf(to, 23, "%s%lld", i ? ", " : "", static_cast<long long>(dims[i]));
    }
    *to++ = ']';
    *to = 0;
  }
};

}  // namespace detail

// `given` must have these extents.
inline void expect_dims(const Shape& given, const int64_t* dims, int rank) {
  bool fits = given.rank() == rank;
  for (int i = 0; fits && i < rank; ++i) fits = given.dims()[i] == dims[i];
  if (fits) return;
  const detail::DimsText got(given.dims(), given.rank()), wanted(dims, rank);
  fail(DT_SHAPE, nowhere("%s is %s, not %s"), given.name(), got.text, wanted.text);
}
inline void expect_same_dims(const Shape& given, const Shape& other) { expect_dims(given, other.dims(), other.rank()); }

inline void expect_volume(const Shape& given, int64_t n) {
  if (given.volume() == n) return;
  fail(DT_SHAPE, nowhere("%s has %lld values, not %lld"), given.name(), static_cast<long long>(given.volume()),
       static_cast<long long>(n));
}

inline void expect_field(const char* name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return;
  fail(DT_INVALID_ARGUMENT, nowhere("field '%s' is %lld, not %lld..%lld"), name, static_cast<long long>(value),
       static_cast<long long>(low), static_cast<long long>(high));
}

namespace detail {

template <class Params, class Enable = void>
struct HasFieldRule : std::false_type {};
template <class Params>
struct HasFieldRule<Params, std::void_t<decltype(std::declval<const Params&>().check_fields())>> : std::true_type {};

template <class Params, class Enable = void>
struct HasShapeRule : std::false_type {};
template <class Params>
struct HasShapeRule<Params, std::void_t<decltype(std::declval<const Params&>().check_shapes(
                                std::declval<const Shapes&>(), std::declval<const Shapes&>()))>> : std::true_type {};

}  // namespace detail

DOVETAIL_CLOSE_NAMESPACE

#endif
