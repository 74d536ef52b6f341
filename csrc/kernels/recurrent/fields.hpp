// SPDX-License-Identifier: Apache-2.0
// Shared by recurrent layers on all devices: parameters, checks of extents, and addresses of elements.
#ifndef DOVETAIL_KERNELS_RECURRENT_FIELDS_HPP
#define DOVETAIL_KERNELS_RECURRENT_FIELDS_HPP

#include "dovetail/detail/host_device.hpp"
#include "dovetail/plugin.hpp"
#include "kernels/recurrent/args.hpp"

DOVETAIL_OPEN_NAMESPACE

enum RecurrentPort : int { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kPeepholes };

// Extents of a layer, of tensors whose ranks are right.
struct RecurrentDims {
  int64_t directions, steps, batch, inputs, hidden, gates;
  bool batch_first;

  // Elements before the state of (step, direction, element of the batch) in y, and of one in y_h.
  DOVETAIL_HOST_DEVICE int64_t at(int64_t step, int64_t direction, int64_t n) const {
    return (batch_first ? (n * steps + step) * directions + direction : (step * directions + direction) * batch + n) *
           hidden;
  }
  DOVETAIL_HOST_DEVICE int64_t at(int64_t direction, int64_t n) const {
    return (batch_first ? n * directions + direction : direction * batch + n) * hidden;
  }
  // Row of x.
  DOVETAIL_HOST_DEVICE int64_t row(int64_t step, int64_t n) const {
    return batch_first ? n * steps + step : step * batch + n;
  }
};

template <RecurrentCell cell>
struct RecurrentParams {
  static constexpr RecurrentCell kCell = cell;
  static constexpr int kGates = cell == kLstmCell ? 4 : cell == kGruCell ? 3 : 1;
  static constexpr int kFunctions = cell == kLstmCell ? 3 : cell == kGruCell ? 2 : 1;

  int32_t direction = kForward;
  int64_t layout = 0;
  Ints activations;
  Floats activation_alpha, activation_beta;
  double clip = 0;
  int32_t input_forget = 0, linear_before_reset = 0;

  int64_t directions() const { return direction == kBidirectional ? 2 : 1; }
  bool is_backward(int64_t d) const { return direction == kReverse || d == 1; }

  void check_fields() const {
    expect_field("direction", direction, kForward, kBidirectional);
    expect_field("layout", layout, 0, 1);
    if (activations.n != kFunctions && activations.n != kFunctions * directions()) {
      fail(DT_INVALID_ARGUMENT, "field 'activations' has %lld values, not %d for each direction",
           static_cast<long long>(activations.n), kFunctions);
    }
    for (int i = 0; i < activations.n; ++i) expect_field("activations", activations[i], 0, kSoftplus);
    for (const Floats* list : {&activation_alpha, &activation_beta}) {
      if (list->n == 0 || list->n == activations.n) continue;
      fail(DT_INVALID_ARGUMENT, "%lld alphas or betas of %lld activations", static_cast<long long>(list->n),
           static_cast<long long>(activations.n));
    }
  }

  // Extents of the products come from the weights. Throws if x, w or r is not of rank 3.
  RecurrentDims dims(const int64_t* x, int x_rank, const int64_t* w, int w_rank, const int64_t* r, int r_rank) const {
    if (x_rank != 3 || w_rank != 3 || r_rank != 3) {
      fail(DT_SHAPE, "x, w and r have ranks %d, %d and %d, not 3", x_rank, w_rank, r_rank);
    }
    const bool batch_first = layout == 1;
    return {directions(), x[batch_first ? 1 : 0], x[batch_first ? 0 : 1], w[2], r[2], kGates, batch_first};
  }
  RecurrentDims dims(const Run& run) const {
    const Tensor x = run.input(kX), w = run.input(kW), r = run.input(kR);
    return dims(x.dims(), x.rank(), w.dims(), w.rank(), r.dims(), r.rank());
  }
  // With the largest extents.
  RecurrentDims dims(const Descs& inputs) const {
    const Desc x = inputs[kX], w = inputs[kW], r = inputs[kR];
    return dims(x.max(), x.rank(), w.max(), w.rank(), r.max(), r.rank());
  }

  void check_shapes(const Shapes& inputs, const Shapes& outputs) const {
    const Shape x = inputs.get(kX, "x"), w = inputs.get(kW, "w"), r = inputs.get(kR, "r");
    const RecurrentDims d = dims(x.dims(), x.rank(), w.dims(), w.rank(), r.dims(), r.rank());
    const auto expect = [&](int port, const char* name, std::initializer_list<int64_t> wanted) {
      if (inputs.has(port)) expect_dims(inputs.get(port, name), wanted.begin(), static_cast<int>(wanted.size()));
    };
    const int64_t first = d.batch_first ? d.batch : d.directions, second = d.batch_first ? d.directions : d.batch;
    expect(kW, "w", {d.directions, d.gates * d.hidden, x[2]});
    expect(kR, "r", {d.directions, d.gates * d.hidden, d.hidden});
    expect(kB, "b", {d.directions, 2 * d.gates * d.hidden});
    expect(kLengths, "sequence_lens", {d.batch});
    expect(kInitialH, "initial_h", {first, second, d.hidden});
    const int64_t y[] = {d.batch_first ? d.batch : d.steps, d.batch_first ? d.steps : d.directions,
                         d.batch_first ? d.directions : d.batch, d.hidden};
    const int64_t state[] = {first, second, d.hidden};
    expect_dims(outputs.get(0, "y"), y, 4);
    expect_dims(outputs.get(1, "y_h"), state, 3);
    if (cell != kLstmCell) return;
    expect(kInitialC, "initial_c", {first, second, d.hidden});
    expect(kPeepholes, "p", {d.directions, 3 * d.hidden});
    expect_dims(outputs.get(2, "y_c"), state, 3);
  }

  // What the kernels are told of direction `d`.
  RecurrentCellArgs cell_args(int64_t d, int64_t hidden) const {
    RecurrentCellArgs args = {};
    args.cell = cell;
    args.input_forget = input_forget;
    args.linear_before_reset = linear_before_reset;
    args.limit = clip > 0 ? static_cast<float>(clip) : __builtin_inff();
    args.hidden = hidden;
    for (int i = 0; i < kFunctions; ++i) {
      const int at = i + (activations.n > kFunctions ? static_cast<int>(d) * kFunctions : 0);
      args.f[i].kind = static_cast<int32_t>(activations[at]);
      if (activation_alpha.n > 0) args.f[i].a = static_cast<float>(activation_alpha[at]);
      if (activation_beta.n > 0) args.f[i].b = static_cast<float>(activation_beta[at]);
    }
    return args;
  }
  // Does a GRU need the reset state before it can multiply?
  bool is_reset_first() const { return cell == kGruCell && !linear_before_reset; }
};

typedef RecurrentParams<kRnnCell> RnnParams;
typedef RecurrentParams<kGruCell> GruParams;
typedef RecurrentParams<kLstmCell> LstmParams;
DOVETAIL_READS(RnnParams, direction, layout, activations, activation_alpha, activation_beta, clip)
DOVETAIL_READS(GruParams, direction, layout, activations, activation_alpha, activation_beta, clip, linear_before_reset)
DOVETAIL_READS(LstmParams, direction, layout, activations, activation_alpha, activation_beta, clip, input_forget)

#define DT_F "f32|f16|bf16"
#define DT_RECURRENT_INPUTS DT_F " " DT_F " " DT_F " " DT_F " i32|i32|i32 " DT_F
constexpr char kRecurrentTypes[] = DT_RECURRENT_INPUTS " -> " DT_F " " DT_F;
constexpr char kLstmTypes[] = DT_RECURRENT_INPUTS " " DT_F " " DT_F " -> " DT_F " " DT_F " " DT_F;
#undef DT_RECURRENT_INPUTS
#undef DT_F

// Cuts the workspace. Made with null it only counts.
class Carver {
 public:
  Carver(void* memory, uint64_t bytes) : memory_(static_cast<char*>(memory)), left_(bytes) {}
  template <class T>
  T* take(int64_t n) {
    const uint64_t bytes = (static_cast<uint64_t>(n) * sizeof(T) + 255) / 256 * 256;
    T* const at = reinterpret_cast<T*>(memory_);
    taken_ += bytes;
    if (memory_ == nullptr) return nullptr;
    if (bytes > left_)
      fail(DT_INTERNAL, "the workspace lacks %llu bytes", static_cast<unsigned long long>(bytes - left_));
    left_ -= bytes;
    memory_ += bytes;
    return at;
  }
  uint64_t taken() const { return taken_; }

 private:
  char* memory_;
  uint64_t left_, taken_ = 0;
};

DOVETAIL_CLOSE_NAMESPACE

#endif
