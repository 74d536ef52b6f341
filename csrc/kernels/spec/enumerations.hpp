// SPDX-License-Identifier: Apache-2.0
// Generated from the specs of the built-in layers by `make refresh`; do not edit.
// The enumerations of layers, as the modules of plugins/builtin state them. X(prefix, Name, value) for each member:
//   enum PoolingKind : int32_t { DOVETAIL_POOLING_TYPE(DOVETAIL_ENUMERATOR, kPool) };  // kPoolMax = 0, ...
#ifndef DOVETAIL_KERNELS_SPEC_ENUMERATIONS_HPP
#define DOVETAIL_KERNELS_SPEC_ENUMERATIONS_HPP

#define DOVETAIL_ENUMERATOR(prefix, Name, value) prefix##Name = value,

// clang-format off

#define DOVETAIL_ACTIVATION_TYPE(X, prefix) \
  X(prefix, Relu, 0) \
  X(prefix, Sigmoid, 1) \
  X(prefix, Tanh, 2) \
  X(prefix, LeakyRelu, 3) \
  X(prefix, Elu, 4) \
  X(prefix, Selu, 5) \
  X(prefix, Softsign, 6) \
  X(prefix, Softplus, 7) \
  X(prefix, Clip, 8) \
  X(prefix, HardSigmoid, 9) \
  X(prefix, ScaledTanh, 10) \
  X(prefix, ThresholdedRelu, 11)

#define DOVETAIL_ATTENTION_NORMALIZATION_OP(X, prefix) \
  X(prefix, None, 0) \
  X(prefix, Softmax, 1)

#define DOVETAIL_BOUNDING_BOX_FORMAT(X, prefix) \
  X(prefix, CornerPairs, 0) \
  X(prefix, CenterSizes, 1)

#define DOVETAIL_CUMULATIVE_OPERATION(X, prefix) \
  X(prefix, Sum, 0) \
  X(prefix, Prod, 1)

#define DOVETAIL_ELEMENT_WISE_OPERATION(X, prefix) \
  X(prefix, Sum, 0) \
  X(prefix, Prod, 1) \
  X(prefix, Max, 2) \
  X(prefix, Min, 3) \
  X(prefix, Sub, 4) \
  X(prefix, Div, 5) \
  X(prefix, Pow, 6) \
  X(prefix, FloorDiv, 7) \
  X(prefix, And, 8) \
  X(prefix, Or, 9) \
  X(prefix, Xor, 10) \
  X(prefix, Equal, 11) \
  X(prefix, Greater, 12) \
  X(prefix, Less, 13) \
  X(prefix, Mod, 100) \
  X(prefix, Fmod, 101) \
  X(prefix, BitAnd, 102) \
  X(prefix, BitOr, 103) \
  X(prefix, BitXor, 104) \
  X(prefix, ShiftLeft, 105) \
  X(prefix, ShiftRight, 106)

#define DOVETAIL_FILL_OPERATION(X, prefix) \
  X(prefix, Linspace, 0) \
  X(prefix, RandomUniform, 1) \
  X(prefix, RandomNormal, 2)

#define DOVETAIL_GATHER_MODE(X, prefix) \
  X(prefix, Default, 0) \
  X(prefix, Element, 1) \
  X(prefix, Nd, 2)

#define DOVETAIL_INTERPOLATION_MODE(X, prefix) \
  X(prefix, Nearest, 0) \
  X(prefix, Linear, 1) \
  X(prefix, Cubic, 2)

#define DOVETAIL_MATRIX_OPERATION(X, prefix) \
  X(prefix, None, 0) \
  X(prefix, Transpose, 1) \
  X(prefix, Vector, 2)

#define DOVETAIL_PADDING_MODE(X, prefix) \
  X(prefix, ExplicitRoundDown, 0) \
  X(prefix, ExplicitRoundUp, 1) \
  X(prefix, SameUpper, 2) \
  X(prefix, SameLower, 3) \
  X(prefix, CaffeRoundDown, 4) \
  X(prefix, CaffeRoundUp, 5)

#define DOVETAIL_POOLING_TYPE(X, prefix) \
  X(prefix, Max, 0) \
  X(prefix, Average, 1) \
  X(prefix, MaxAverageBlend, 2)

#define DOVETAIL_RNN_DIRECTION(X, prefix) \
  X(prefix, Unidirection, 0) \
  X(prefix, Bidirection, 1)

#define DOVETAIL_RNN_GATE_TYPE(X, prefix) \
  X(prefix, Input, 0) \
  X(prefix, Output, 1) \
  X(prefix, Forget, 2) \
  X(prefix, Update, 3) \
  X(prefix, Reset, 4) \
  X(prefix, Cell, 5) \
  X(prefix, Hidden, 6)

#define DOVETAIL_RNN_INPUT_MODE(X, prefix) \
  X(prefix, Linear, 0) \
  X(prefix, Skip, 1)

#define DOVETAIL_RNN_OPERATION(X, prefix) \
  X(prefix, Relu, 0) \
  X(prefix, Tanh, 1) \
  X(prefix, Lstm, 2) \
  X(prefix, Gru, 3)

#define DOVETAIL_RECURRENT_ACTIVATION(X, prefix) \
  X(prefix, Relu, 0) \
  X(prefix, Tanh, 1) \
  X(prefix, Sigmoid, 2) \
  X(prefix, Affine, 3) \
  X(prefix, LeakyRelu, 4) \
  X(prefix, ThresholdedRelu, 5) \
  X(prefix, ScaledTanh, 6) \
  X(prefix, HardSigmoid, 7) \
  X(prefix, Elu, 8) \
  X(prefix, Softsign, 9) \
  X(prefix, Softplus, 10)

#define DOVETAIL_RECURRENT_DIRECTION(X, prefix) \
  X(prefix, Forward, 0) \
  X(prefix, Reverse, 1) \
  X(prefix, Bidirectional, 2)

#define DOVETAIL_REDUCE_OPERATION(X, prefix) \
  X(prefix, Sum, 0) \
  X(prefix, Prod, 1) \
  X(prefix, Max, 2) \
  X(prefix, Min, 3) \
  X(prefix, Avg, 4)

#define DOVETAIL_RESIZE_COORDINATE_TRANSFORMATION(X, prefix) \
  X(prefix, AlignCorners, 0) \
  X(prefix, Asymmetric, 1) \
  X(prefix, HalfPixel, 2) \
  X(prefix, HalfPixelSymmetric, 3) \
  X(prefix, PytorchHalfPixel, 4) \
  X(prefix, HalfPixelForNn, 5) \
  X(prefix, CropAndResize, 6)

#define DOVETAIL_RESIZE_ROUND_MODE(X, prefix) \
  X(prefix, HalfUp, 0) \
  X(prefix, HalfDown, 1) \
  X(prefix, Floor, 2) \
  X(prefix, Ceil, 3)

#define DOVETAIL_RESIZE_SELECTOR(X, prefix) \
  X(prefix, Formula, 0) \
  X(prefix, Upper, 1)

#define DOVETAIL_ROI_ALIGN_MODE(X, prefix) \
  X(prefix, Average, 0) \
  X(prefix, Max, 1)

#define DOVETAIL_SAMPLE_MODE(X, prefix) \
  X(prefix, StrictBounds, 0) \
  X(prefix, Wrap, 1) \
  X(prefix, Clamp, 2) \
  X(prefix, Fill, 3) \
  X(prefix, Reflect, 4)

#define DOVETAIL_SCALE_MODE(X, prefix) \
  X(prefix, Uniform, 0) \
  X(prefix, Channel, 1) \
  X(prefix, Elementwise, 2)

#define DOVETAIL_SCATTER_MODE(X, prefix) \
  X(prefix, Element, 0) \
  X(prefix, Nd, 1)

#define DOVETAIL_SCATTER_REDUCTION(X, prefix) \
  X(prefix, None, 0) \
  X(prefix, Add, 1) \
  X(prefix, Mul, 2) \
  X(prefix, Max, 3) \
  X(prefix, Min, 4)

#define DOVETAIL_TOP_K_OPERATION(X, prefix) \
  X(prefix, Max, 0) \
  X(prefix, Min, 1)

#define DOVETAIL_TREE_AGGREGATE(X, prefix) \
  X(prefix, Sum, 0) \
  X(prefix, Average, 1) \
  X(prefix, Min, 2) \
  X(prefix, Max, 3)

#define DOVETAIL_UNARY_OPERATION(X, prefix) \
  X(prefix, Exp, 0) \
  X(prefix, Log, 1) \
  X(prefix, Sqrt, 2) \
  X(prefix, Recip, 3) \
  X(prefix, Abs, 4) \
  X(prefix, Neg, 5) \
  X(prefix, Sin, 6) \
  X(prefix, Cos, 7) \
  X(prefix, Tan, 8) \
  X(prefix, Sinh, 9) \
  X(prefix, Cosh, 10) \
  X(prefix, Asin, 11) \
  X(prefix, Acos, 12) \
  X(prefix, Atan, 13) \
  X(prefix, Asinh, 14) \
  X(prefix, Acosh, 15) \
  X(prefix, Atanh, 16) \
  X(prefix, Ceil, 17) \
  X(prefix, Floor, 18) \
  X(prefix, Erf, 19) \
  X(prefix, Not, 20) \
  X(prefix, Sign, 21) \
  X(prefix, Round, 22) \
  X(prefix, Isinf, 23) \
  X(prefix, Isnan, 24)

// clang-format on
#endif
