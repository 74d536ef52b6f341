// SPDX-License-Identifier: Apache-2.0
// Fill@1#cuda.
#include "dovetail/cuda.hpp"
#include "numbers.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// alpha and beta: where there is an input, its elements; else the fields.
template <class T>
struct Numbers {
  const T *alphas, *betas;
  double alpha, beta;
  int64_t alpha_whole, beta_whole;
};

__device__ inline double as_real(float v) { return static_cast<double>(v); }
__device__ inline double as_real(__half v) { return static_cast<double>(to_float(v)); }
__device__ inline double as_real(__nv_bfloat16 v) { return static_cast<double>(to_float(v)); }

struct Line {
  int64_t total;
  int32_t rank;
  Divider by_dim[8];
};

template <class T>
__global__ void __launch_bounds__(kBlock)
    line_kernel(const __grid_constant__ Line line, const __grid_constant__ Numbers<T> numbers, T* y) {
  for (int64_t at = first_item(); at < line.total; at += item_stride()) {
    int64_t left = at, index;
    if constexpr (std::is_integral_v<T>) {
      uint64_t value =
          static_cast<uint64_t>(numbers.alphas ? static_cast<int64_t>(*numbers.alphas) : numbers.alpha_whole);
      for (int i = line.rank - 1; i >= 0; --i) {
        left = line.by_dim[i].split(left, &index);
        const int64_t step = numbers.betas ? static_cast<int64_t>(numbers.betas[i]) : numbers.beta_whole;
        value += static_cast<uint64_t>(step) * static_cast<uint64_t>(index);
      }
      y[at] = static_cast<T>(value);
    } else {
      double value = numbers.alphas ? as_real(*numbers.alphas) : numbers.alpha;
      for (int i = line.rank - 1; i >= 0; --i) {
        left = line.by_dim[i].split(left, &index);
        value += (numbers.betas ? as_real(numbers.betas[i]) : numbers.beta) * static_cast<double>(index);
      }
      y[at] = float_to<T>(static_cast<float>(value));
    }
  }
}

// A thread takes the four words of a block.
template <class T>
__global__ void __launch_bounds__(kBlock)
    random_kernel(int64_t total, bool is_uniform, uint64_t seed, const __grid_constant__ Numbers<T> numbers, T* y) {
  const double alpha = numbers.alphas ? as_real(*numbers.alphas) : numbers.alpha;
  const double beta = numbers.betas ? as_real(*numbers.betas) : numbers.beta;
  const int64_t n_blocks = (total + 3) / 4;
  for (int64_t block = first_item(); block < n_blocks; block += item_stride()) {
    uint32_t words[4];
    DT_ISA::philox(static_cast<uint64_t>(block), seed, words);
    double v[4];
    if (is_uniform) {
#pragma unroll
      for (int k = 0; k < 4; ++k) v[k] = alpha + (beta - alpha) * DT_ISA::uniform_of(words[k]);
    } else {
#pragma unroll
      for (int k = 0; k < 4; k += 2) {
        const double radius = beta * sqrt(-2 * log(DT_ISA::open_unit(words[k])));
        double sine, cosine;
        sincospi(2 * DT_ISA::turns_of(words[k + 1]), &sine, &cosine);
        v[k] = alpha + radius * cosine;
        v[k + 1] = alpha + radius * sine;
      }
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (4 * block + k < total) y[4 * block + k] = float_to<T>(static_cast<float>(v[k]));
    }
  }
}

template <class T>
Numbers<T> numbers_of(const FillParams& params, const Run& run) {
  Numbers<T> numbers = {};
  if (run.has_input(1)) numbers.alphas = run.input(1).data<const T>();
  if (run.has_input(2)) numbers.betas = run.input(2).data<const T>();
  numbers.alpha = params.alpha;
  numbers.beta = params.beta;
  numbers.alpha_whole = whole_of(params.alpha);
  numbers.beta_whole = whole_of(params.beta);
  return numbers;
}

template <class T>
void start_line(const FillParams& params, const Run& run) {
  const Tensor y = run.output(0);
  Line line = {};
  line.total = y.volume();
  line.rank = y.rank();
  for (int i = 0; i < y.rank(); ++i) line.by_dim[i] = Divider(y.extent(i), line.total);
  launch(run, "fill_line", line_kernel<T>, blocks_for(line.total), kBlock, 0, line, numbers_of<T>(params, run),
         y.data<T>());
}

void enqueue(const FillParams& params, const Run& run) {
  const Tensor y = run.output(0);
  const int64_t total = y.volume();
  if (total == 0) return;
  if (y.type() == DataType::kINT32) return start_line<int32_t>(params, run);
  if (y.type() == DataType::kINT64) return start_line<int64_t>(params, run);
  with_float_type(y.type(), [&](auto t) {
    typedef decltype(t) T;
    if (params.operation == kLinspace) return start_line<T>(params, run);
    launch(run, "fill_random", random_kernel<T>, blocks_for((total + 3) / 4), kBlock, 0, total,
           params.operation == kRandomUniform, static_cast<uint64_t>(params.seed), numbers_of<T>(params, run),
           y.data<T>());
  });
}

constexpr Row<FillParams> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = kFillTypes32,
     .formats = "linear",
     .fits = fits_fill,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
    {.tactic = "linear_dims64",
     .needs = kBuiltSm,
     .types = kFillTypes64,
     .formats = "linear",
     .fits = fits_fill,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Fill@1#cuda", FillParams, kRows)
