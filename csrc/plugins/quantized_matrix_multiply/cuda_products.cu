// SPDX-License-Identifier: Apache-2.0
// QuantizedMatrixMultiply@1#cuda: a thread for each element of y.
#include "kernels/quantized/cuda_finish.cuh"
#include "quantized_matrix_multiply.hpp"

using namespace dovetail;

namespace {

typedef QuantizedMatrixMultiplyParams Params;

struct Args {
  CudaBytes a, b;
  bool has_b_zeros;  // one for each column
  int64_t batch, m, k, n;
  int32_t rank;                                                           // of the batch
  int64_t extent[DT_MAX_RANK], a_step[DT_MAX_RANK], b_step[DT_MAX_RANK];  // steps in matrices
};

__global__ void __launch_bounds__(kBlock)
    multiply(const __grid_constant__ Args args, const __grid_constant__ CudaFinish finish) {
  const int32_t a_zero = args.a.zero_point();
  for (int64_t item = first_item(); item < args.batch * args.m * args.n; item += item_stride()) {
    const int64_t column = item % args.n, row = item / args.n % args.m;
    int64_t rest = item / args.n / args.m, a_matrix = 0, b_matrix = 0;
    for (int axis = args.rank - 1; axis >= 0; --axis) {
      a_matrix += rest % args.extent[axis] * args.a_step[axis];
      b_matrix += rest % args.extent[axis] * args.b_step[axis];
      rest /= args.extent[axis];
    }
    const int64_t a_at = (a_matrix * args.m + row) * args.k, b_at = b_matrix * args.k * args.n + column;
    const int32_t b_zero = args.has_b_zeros ? args.b.stored(args.b.zero[column]) : args.b.zero_point();
    uint32_t sum = 0;
    for (int64_t k = 0; k < args.k; ++k) {
      sum += static_cast<uint32_t>((args.a[a_at + k] - a_zero) * (args.b[b_at + k * args.n] - b_zero));
    }
    finish(item, column, sum);
  }
}

void enqueue(const Params& params, const Run& run) {
  const Tensor a = run.input(Params::kA), b = run.input(Params::kB), y = run.output(0);
  if (y.volume() == 0) return;
  Args args = {};
  args.a = cuda_bytes(run, Params::kA, Params::kAZero);
  args.b = cuda_bytes(run, Params::kB, Params::kBZero);
  args.has_b_zeros = run.has_input(Params::kBZero) && run.input(Params::kBZero).volume() != 1;
  args.rank = y.rank() - 2;
  args.batch = y.volume(0, args.rank);
  args.m = a.extent(-2);
  args.k = a.extent(-1);
  args.n = b.extent(-1);
  int64_t a_step = 1, b_step = 1;
  for (int axis = args.rank - 1; axis >= 0; --axis) {
    args.extent[axis] = y.extent(axis);
    args.a_step[axis] = a.extent(axis) == 1 ? 0 : a_step;
    args.b_step[axis] = b.extent(axis) == 1 ? 0 : b_step;
    a_step *= a.extent(axis);
    b_step *= b.extent(axis);
  }
  const CudaFinish finish = cuda_finish(run, Params::kFactor, Params::kBias, Params::kYZero, params.low, params.high);
  launch(run, "multiply", multiply, blocks_for(y.volume()), kBlock, 0, args, finish);
}

#define FOUR(type) type "|" type "|" type "|" type
#define ROW_OF(y, bias, y_zero)                                                                                       \
  {.tactic = "threads_" y,                                                                                            \
   .needs = kBuiltSm,                                                                                                 \
   .types =                                                                                                           \
       "i8|u8|i8|u8 i8|i8|u8|u8 i8|u8|i8|u8 i8|i8|u8|u8 " FOUR("f32") " " FOUR(bias) " " FOUR(y_zero) " -> " FOUR(y), \
   .formats = "linear",                                                                                               \
   .enqueue = enqueue,                                                                                                \
   .traits = kCaptureSafe},

constexpr Row<Params> kRows[] = {ROW_OF("i32", "i32", "u8") ROW_OF("f32", "f32", "u8") ROW_OF("i8", "i32", "i8")
                                     ROW_OF("u8", "i32", "u8")};

}  // namespace

DOVETAIL_IMPLEMENTS("QuantizedMatrixMultiply@1#cuda", Params, kRows)
