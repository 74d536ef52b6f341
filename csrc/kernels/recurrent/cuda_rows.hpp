// SPDX-License-Identifier: Apache-2.0
// Rows of recurrent layers on CUDA: one product of the input for all steps, then a kernel for each step.
// For rows files.
#ifndef DOVETAIL_KERNELS_RECURRENT_CUDA_ROWS_HPP
#define DOVETAIL_KERNELS_RECURRENT_CUDA_ROWS_HPP

#include "kernels/gemm/cuda_rows.hpp"
#include "kernels/recurrent/fields.hpp"

DOVETAIL_OPEN_NAMESPACE

// The parameter of the kernels. h has two halves, which steps read and write in turns.
struct CudaRecurrent {
  RecurrentDims d;
  RecurrentCellArgs cell[2];  // by direction; their pointers are not used
  bool is_backward[2];
  int32_t type;
  const void *x, *r, *b, *peepholes;  // x: what the gates get from the input, of `type`
  const int32_t* lengths;
  const void *initial_h, *initial_c;
  void *y, *y_h, *y_c;
  float *h, *c, *z, *reset;
};

// Defined in cuda_recurrent.cu.
namespace cuda_recurrent {
void walk(const Run& run, const CudaRecurrent& args);
}

template <class Params>
struct CudaRecurrentRow {
  struct Place {
    void* x;
    float *h, *c, *z, *reset;
    Place(const Params& params, const RecurrentDims& d, int64_t element_bytes, Carver* carver) {
      const int64_t states = d.directions * d.batch * d.hidden;
      x = carver->take<char>(states * d.steps * d.gates * element_bytes);
      h = carver->take<float>(2 * states);
      c = carver->take<float>(Params::kCell == kLstmCell ? states : 0);
      z = carver->take<float>(params.is_reset_first() ? states : 0);
      reset = carver->take<float>(params.is_reset_first() ? states : 0);
    }
  };

  static uint64_t workspace(const Params& params, const Descs& inputs, const Descs&, int) {
    Carver carver(nullptr, 0);
    Place(params, params.dims(inputs), size_of(inputs[kX].type()), &carver);
    return carver.taken();
  }

  static void enqueue(const Params& params, const Run& run) {
    const Tensor x = run.input(kX);
    CudaRecurrent args = {};
    args.d = params.dims(run);
    if (args.d.batch == 0 || args.d.hidden == 0) return;
    args.type = static_cast<int32_t>(x.type());
    Carver carver(run.workspace(), run.workspace_bytes());
    const Place place(params, args.d, size_of(x.type()), &carver);
    const auto data_of = [&](int port) { return run.has_input(port) ? run.input(port).data<const void>() : nullptr; };
    for (int i = 0; i < 2; ++i) {
      args.cell[i] = params.cell_args(i, args.d.hidden);
      args.is_backward[i] = params.is_backward(i);
    }
    args.x = place.x;
    args.r = data_of(kR);
    args.b = data_of(kB);
    args.lengths = static_cast<const int32_t*>(data_of(kLengths));
    args.initial_h = data_of(kInitialH);
    args.y = run.output(0).template data<void>();
    args.y_h = run.output(1).template data<void>();
    if (Params::kCell == kLstmCell) {
      args.initial_c = data_of(kInitialC);
      args.peepholes = data_of(kPeepholes);
      args.y_c = run.output(2).template data<void>();
    }
    args.h = place.h;
    args.c = place.c;
    args.z = place.z;
    args.reset = place.reset;
    multiply_input(run, args, place.x);
    cuda_recurrent::walk(run, args);
  }

 private:
  // to[direction][row of x][gate] = x * w^T
  static void multiply_input(const Run& run, const CudaRecurrent& recurrent, void* to) {
    const RecurrentDims& d = recurrent.d;
    const int64_t rows = d.steps * d.batch, columns = d.gates * d.hidden;
    GemmAxes axes;
    GemmAxis* axis = axes.add(d.directions, false);
    axis->lies(kGemmA, 0);
    axis->lies(kGemmB, columns * d.inputs);
    axis->lies(kGemmY, rows * columns);
    axis = axes.add(rows, false);
    axis->lies(kGemmA, d.inputs);
    axis->lies(kGemmY, columns);
    axis = axes.add(columns, false);
    axis->lies(kGemmB, d.inputs);
    axis->lies(kGemmY, 1);
    axis = axes.add(d.inputs, false);
    axis->lies(kGemmA, 1);
    axis->lies(kGemmB, 1);
    CudaGemm args = {};
    set_groups(&args, axes);
    args.a = run.input(kX).template data<void>();
    args.b = run.input(kW).template data<void>();
    args.y = to;
    args.type = recurrent.type;
    const bool is_float = recurrent.type == DT_TYPE_FLOAT, is_small = rows < 8 || columns < 32;
    const bool is_large = d.directions * divide_up(rows, 128) * divide_up(columns, 128) >= 64;
    cuda_gemm::start(run,
                     is_small   ? cuda_gemm::k_warps
                     : is_large ? (is_float ? cuda_gemm::k_f32_128x128 : cuda_gemm::k_halves_128x128)
                                : (is_float ? cuda_gemm::k_f32_64x64 : cuda_gemm::k_halves_64x64),
                     args);
  }
};

DOVETAIL_CLOSE_NAMESPACE

// The rows of a layer.
#define DOVETAIL_CUDA_RECURRENT_ROWS(Params, types_)                                                  \
  {                                                                                                   \
    {                                                                                                 \
      .tactic = "steps", .needs = kBuiltSm, .types = types_, .formats = "linear",                     \
      .workspace = CudaRecurrentRow<Params>::workspace, .enqueue = CudaRecurrentRow<Params>::enqueue, \
      .traits = kCaptureSafe                                                                          \
    }                                                                                                 \
  }

#endif
