// SPDX-License-Identifier: Apache-2.0
#include "post_ops.hpp"

#include <cmath>

#include "api.hpp"
#include "dovetail/epilogue.hpp"

namespace onednn {
namespace {

using dovetail::Desc;
using dovetail::Epilogue;

constexpr int kResult = -1;

// The number of the value that an operand is: of its step, or kResult; kNoValue where it is none.
constexpr int kNoValue = -2;
int value_of(const dt_step& step, int operand) {
  return step.operand_kind[operand] == DT_OPERAND_RESULT ? kResult
         : step.operand_kind[operand] == DT_OPERAND_STEP ? step.operand_index[operand]
                                                         : kNoValue;
}

// One step of the chain: `value` is the last one before it.
class Reader {
 public:
  Reader(const Epilogue& program, const Desc& output, int channel) : program_(program), output_(output) {
    channel_ = channel;
  }

  // Appends what the steps from `at` on compute of `value`, and returns how many they are; 0 if none.
  int read(int at, int value, std::vector<PostOp>* to) const {
    if (const int n = gated(at, value, to)) return n;
    const dt_step& step = program_.step(at);
    const auto simple = [&](int algorithm, float alpha, float beta) {
      to->push_back({algorithm, alpha, beta});
      return 1;
    };
    if (step.n_operands == 1) {
      if (value_of(step, 0) != value) return 0;
      switch (step.operation) {
        case DT_STEP_SIGMOID:
          return simple(kLogistic, 0, 0);
        case DT_STEP_TANH:
          return simple(kTanh, 0, 0);
        case DT_STEP_NEG:
          return simple(kLinear, -1, 0);
        default:
          return 0;
      }
    }
    if (step.n_operands != 2) return 0;
    const bool is_first = value_of(step, 0) == value;
    const int other = is_first ? 1 : 0;
    if (!is_first && value_of(step, 1) != value) return 0;
    const bool commutes = step.operation != DT_STEP_SUB && step.operation != DT_STEP_DIV;
    if (step.operand_kind[other] == DT_OPERAND_CONSTANT) {
      const float c = step.operand_constant[other];
      switch (step.operation) {
        case DT_STEP_ADD:
          return simple(kLinear, 1, c);
        case DT_STEP_SUB:
          return is_first ? simple(kLinear, 1, -c) : simple(kLinear, -1, c);
        case DT_STEP_MUL:
          return simple(kLinear, c, 0);
        case DT_STEP_MAX:
          return c == 0 ? simple(kRelu, 0, 0) : simple(kClip, c, INFINITY);
        case DT_STEP_MIN:
          return simple(kClip, -INFINITY, c);
        default:
          return 0;
      }
    }
    if (step.operand_kind[other] != DT_OPERAND_TENSOR || (!is_first && !commutes)) return 0;
    PostOp op = {algorithm_of(step.operation), 0, 0, step.operand_index[other], 0, 0};
    if (op.algorithm == 0 || !describe(&op)) return 0;
    to->push_back(op);
    return 1;
  }

 private:
  // x * sigmoid(x)
  int gated(int at, int value, std::vector<PostOp>* to) const {
    if (at + 1 >= program_.n_steps()) return 0;
    const dt_step &first = program_.step(at), &second = program_.step(at + 1);
    if (first.operation != DT_STEP_SIGMOID || value_of(first, 0) != value || second.operation != DT_STEP_MUL) return 0;
    const int a = value_of(second, 0), b = value_of(second, 1);
    if (!(a == value && b == at) && !(a == at && b == value)) return 0;
    to->push_back({kSwish, 1, 0});
    return 2;
  }

  static int algorithm_of(int operation) {
    switch (operation) {
      case DT_STEP_ADD:
        return kAdd;
      case DT_STEP_SUB:
        return kSub;
      case DT_STEP_MUL:
        return kMul;
      case DT_STEP_DIV:
        return kDiv;
      case DT_STEP_MAX:
        return kMax;
      case DT_STEP_MIN:
        return kMin;
      default:
        return 0;
    }
  }

  // Form and type of its tensor; false if the library does not read it.
  bool describe(PostOp* op) const {
    const int64_t* dims;
    int32_t format;
    int rank;
    if (program_.raw()->descs) {
      const dt_desc& desc = *program_.raw()->descs[op->tensor];
      dims = desc.dims, format = desc.format, rank = desc.ndim, op->type = desc.data_type;
    } else {
      const dt_tensor& tensor = *program_.raw()->tensors[op->tensor];
      dims = tensor.shape, format = tensor.layout->format, rank = tensor.ndim, op->type = tensor.layout->data_type;
    }
    if (rank != output_.rank() || (op->type != DT_TYPE_FLOAT && op->type != DT_TYPE_BF16)) return false;
    op->form = dovetail::detail::form_of(dims, format, output_.dims(), output_.raw()->format, rank, channel_);
    if (op->form != kEpilogueByChannel) return op->form == kEpilogueWhole || op->form == kEpilogueOne;
    for (int axis = 0; axis < rank; ++axis)  // the same for all images
      if (axis != channel_ && dims[axis] != 1) return false;
    return true;
  }

  const Epilogue& program_;
  const Desc& output_;
  int channel_;
};

}  // namespace

std::vector<PostOp> post_ops(const Epilogue& program, const Desc& output, int channel_axis, int* n_steps) {
  const Reader reader(program, output, channel_axis);
  std::vector<PostOp> read, whole;
  *n_steps = 0;
  int value = kResult;
  for (int at = 0; at < program.n_steps();) {
    const int n = reader.read(at, value, &read);
    if (n == 0) break;
    at += n;
    value = at - 1;
    const bool ends_layer = at == program.n_steps() || program.step(at).layer != program.step(at - 1).layer;
    if (ends_layer && program.step(at - 1).data_type == static_cast<int32_t>(output.type())) {
      whole = read;
      *n_steps = at;
    }
  }
  return whole;
}

}  // namespace onednn
